"""A plugin that needs all packets of a pair of addresses in one state: right on any number of queues."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import pytest

from tests.kit import reference
from tests.kit.command import zcframe
from tests.kit.places import BUNDLED

# How often one flow of a pair follows another one: no sum over the flows, whatever the declared reductions are.
TURNS = """
from zcframe import PASS, Table, plugin, u16, u64

@plugin(%s)
class Turns:
    pairs = Table(
        key={"lo_hi": u64, "lo_lo": u64, "up_hi": u64, "up_lo": u64}, value={"port": u16.max, "turns": u64}
    )

    def filter(pkt, state, params):
        if pkt.rss_type == 0 or pkt.is_fragment:
            return PASS
        a, b = (pkt.src_hi, pkt.src_lo), (pkt.dst_hi, pkt.dst_lo)
        low, high = (a, b) if a < b else (b, a)
        row = state.pairs.upsert(low[0], low[1], high[0], high[1])
        if row:
            port = max(pkt.sport, pkt.dport)
            row.turns += 0 if row.new or row.port == port else 1
            row.port = port
        return PASS

    def report(merged):
        return {"pairs": len(merged.pairs), "turns": int(merged.pairs["turns"].sum()), "lost": merged.lost["pairs"]}
"""


def _expected() -> dict[str, int]:
    last, turns = dict[frozenset[bytes], int](), defaultdict[frozenset[bytes], int](int)
    for packet in reference.read(BUNDLED).packets:
        head = reference.headers(packet.frame)
        hashed, _ = reference.rss(packet.frame, reference.SYMMETRIC, "ip-pair")
        if head is not None and hashed and not head.fragment:
            pair, port = frozenset((head.src, head.dst)), max(head.sport, head.dport)
            turns[pair] += last.get(pair, port) != port
            last[pair] = port
    return {"pairs": len(turns), "turns": sum(turns.values()), "lost": 0}


@pytest.fixture(scope="module")
def expected() -> dict[str, int]:
    return _expected()


@pytest.mark.parametrize("queues", [1, 3])
def test_what_is_needed_together_is_counted_together(tmp_path: Path, expected: dict[str, int], queues: int) -> None:
    mine = tmp_path / "turns.py"
    mine.write_text(TURNS % 'needs="ip-pair"')
    done = zcframe("run", "--json", "--read", BUNDLED, "--queues", queues, "--plugin", mine)
    assert done.document["plugins"]["turns"] == expected
    assert done.document["rss"]["fields"] == "ip-pair"


def test_without_the_need_it_is_not(tmp_path: Path, expected: dict[str, int]) -> None:
    mine = tmp_path / "turns.py"
    mine.write_text(TURNS % "")
    done = zcframe("run", "--json", "--read", BUNDLED, "--queues", 3, "--plugin", mine)
    assert done.document["plugins"]["turns"] != expected


def test_a_run_that_would_part_them_is_refused(tmp_path: Path) -> None:
    mine = tmp_path / "turns.py"
    mine.write_text(TURNS % 'needs="ip-pair"')
    done = zcframe("run", "--read", BUNDLED, "--rss-fields", "5-tuple", "--plugin", mine)
    (line,) = done.stderr.splitlines()
    assert done.code == 2
    assert line.endswith(
        "--rss-fields 5-tuple: plugin turns needs all packets of a pair of addresses in one place: use --rss-fields ip-pair"
    )
