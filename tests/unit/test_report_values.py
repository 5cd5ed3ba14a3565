"""What `report` is given, and may return: columns by name, keys of TopK as they were declared, rows as they are."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import numpy as np
import pytest

from zcframe import PASS, LogHist, Table, TopK, addr, blob, f64, merge, plain, plugin, text, u8, u16, u64
from zcframe.framework.errors import DeclarationError
from zcframe.testing import interpret_plugin, run_plugin, tcp, udp


@plugin
class Sums:
    """Bytes by host and by path."""

    hosts = Table(key={"host": addr, "name": text(4)}, value={"bytes": u64, "sizes": LogHist(error=1 / 4, high=2000)})
    top = TopK(key={"host": addr, "path": text(13), "port": u16}, k=8)

    def filter(pkt: Any, state: Any, params: Any):
        row = state.hosts.upsert(pkt.src, pkt.payload)
        row.bytes += pkt.wirelen
        row.sizes.add(pkt.wirelen)
        state.top.add(1, pkt.src, pkt.payload, pkt.dport)
        state.top.add(1, pkt.dst, b"a constant of the module", pkt.dport)
        return PASS

    def merge(states):
        return merge(states)

    def report(merged: Any):
        rows = merged.hosts[merged.hosts.bytes.argsort(kind="stable")[::-1]]
        return {"rows": rows, "by": {plain(row.host): row.bytes for row in rows}, "top": merged.top.top()}


PACKETS = [
    tcp(src="10.0.0.1", dst="10.0.0.2", dport=80, payload=b"one"),
    tcp(src="10.0.0.1", dst="10.0.0.2", dport=80, payload=b"one"),
    udp(src="2001:db8::1", dst="2001:db8::2", dport=53, payload=b"thirteen bytes, and more"),
]
KEYS = Counter(
    {
        ("10.0.0.1", "one", 80): 2,
        ("10.0.0.2", "a constant of", 80): 2,
        ("2001:db8::1", "thirteen byte", 53): 1,
        ("2001:db8::2", "a constant of", 53): 1,
    }
)


def _keys(entries: Any) -> Counter[tuple[str, str, int]]:
    return Counter({(str(e.key["host"]), e.key["path"], e.key["port"]): e.count for e in entries})


def _check(result: Any) -> None:
    assert not result.faults
    assert _keys(result.state.top.top()) == KEYS
    first, second = result.state.hosts[np.argsort(result.state.hosts.bytes)[::-1]]
    assert plain(first) == {
        "host": "10.0.0.1",
        "name": "one",
        "bytes": int(first.bytes),
        "sizes": first.sizes.summary(),
    }
    assert plain(second.name) == "thir"


@pytest.mark.parametrize("queues", [1, 2, 8])
def test_keys_and_columns_are_those_of_the_packets(queues: int) -> None:
    result = run_plugin(Sums, PACKETS, queues=queues)
    _check(result)
    assert list(result.report["by"]) == ["10.0.0.1", "2001:db8::1"]
    assert [row["host"] for row in result.report["rows"]] == ["10.0.0.1", "2001:db8::1"]
    json.dumps(result.report)


def test_plain_python_has_the_same_keys() -> None:
    _check(interpret_plugin(Sums, PACKETS))


def test_a_column_is_a_plain_array_and_a_part_is_rows() -> None:
    hosts = run_plugin(Sums, PACKETS).state.hosts
    assert type(hosts.bytes) is np.ndarray
    assert (hosts.bytes == hosts["bytes"]).all()
    assert (hosts[:1].bytes == hosts["bytes"][:1]).all()
    with pytest.raises(AttributeError, match="no field byts: its fields are host, name, bytes, sizes"):
        _ = hosts.byts


def test_what_a_report_returns_becomes_json() -> None:
    found = plain(
        {
            np.uint16(5): [np.float64("nan"), np.int64(-1), (True, None)],
            "octets": b"\x00\xff",
            "text": np.bytes_(b"caf\xc3\xa9"),
            "array": np.arange(3, dtype="u8"),
        }
    )
    assert json.loads(json.dumps(found)) == {
        "5": [None, -1, [True, None]],
        "octets": "00ff",
        "text": "caf\u00e9",
        "array": [0, 1, 2],
    }


@pytest.mark.parametrize(
    "key", [{}, (), {"x": f64}, {"x": blob(3)}, {"x": text(129)}, {"x": 3}, dict.fromkeys("abcdefgh", u8)]
)
def test_a_key_that_top_k_cannot_hold_is_refused(key: Any) -> None:
    with pytest.raises(DeclarationError):
        TopK(key=key)
