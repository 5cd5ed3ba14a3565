"""Objects with methods in a plugin's state: in the state and in rows, over queues and splits, faults, refusals."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import dpkt
import numpy as np
import pytest
from scapy.compat import raw
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether

from tests.kit.places import BUNDLED, ROOT
from tests.kit.rig import FIRST_NS, Frame, Rig, bound, read_capture, run
from zcframe import (
    PASS,
    Array,
    Bloom,
    CountMin,
    Distinct,
    Ewma,
    LogHist,
    Moments,
    Param,
    Reservoir,
    Table,
    TopK,
    merge,
    plugin,
    u8,
    u16,
    u64,
)
from zcframe.framework.chain.build import build_chain
from zcframe.framework.errors import DeclarationError, PluginCompileError

ether = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")


@plugin
class Everything:
    """Each kind in the state, small and large ones in rows."""

    width = Param(256)
    sizes = LogHist(error=1 / 16)
    lengths = Moments()
    flows = Distinct(precision=12)
    senders = CountMin(width=width)
    seen = Bloom(capacity=5000)
    top = TopK(key=("hi", "lo"), k=32)
    sample = Reservoir(fields=("ts", "wire"), k=20)
    recent = Ewma(seconds=0.5)
    ports = Table(
        key={"port": u16},
        value={"sources": Distinct(precision=8, exact=16), "packets": u64, "wire": Moments(), "sizes": LogHist()},
        capacity=1 << 16,
    )

    @staticmethod
    def filter(pkt, state, params):  # type: ignore[no-untyped-def]
        if pkt.ip_version != 4:
            return PASS
        state.sizes.add(pkt.wirelen)
        state.lengths.add(pkt.wirelen)
        state.flows.add(pkt.src_lo, pkt.dst_lo, pkt.proto)
        state.senders.add(pkt.wirelen, pkt.src_lo)
        state.seen.add(pkt.src_lo)
        state.top.add(pkt.wirelen, pkt.src_hi, pkt.src_lo)
        state.sample.add(pkt.ts, pkt.wirelen)
        state.recent.add(pkt.ts, pkt.wirelen)
        row = state.ports.upsert(pkt.dport)
        if row:
            row.packets += 1
            row.sources.add(pkt.src_lo)
            row.wire.add(pkt.wirelen)
            row.sizes.add(pkt.wirelen)
        return PASS


class Facts:
    """What is in a capture, as dpkt reads it: IPv4 without tags, ports of what is whole or the first fragment."""

    def __init__(self, frames: Sequence[Frame]) -> None:
        self.sizes: list[int] = []
        self.flows: set[Any] = set()
        self.octets: Counter[int] = Counter()
        self.tuples: list[tuple[int, int]] = []
        for frame in frames:
            ip = dpkt.ethernet.Ethernet(frame.data).data
            if isinstance(ip, dpkt.ip.IP):
                self.sizes.append(len(frame.data))
                self.flows.add((ip.src, ip.dst, ip.p))
                self.octets[0xFFFF << 32 | int.from_bytes(ip.src, "big")] += len(frame.data)
                self.tuples.append((frame.ts, len(frame.data)))


def check(state: Any, facts: Facts) -> None:
    """Each result is within its bound of what is in the capture."""
    sizes = np.array(facts.sizes)
    assert state.sizes.count == state.lengths.count == state.sample.seen == len(sizes)
    for q in (0.1, 0.5, 0.9, 0.99):
        exact = np.quantile(sizes, q, method="inverted_cdf")
        assert abs(state.sizes.quantile(q) - exact) <= exact / 16
    assert state.lengths.mean == pytest.approx(sizes.mean()) and state.lengths.std == pytest.approx(sizes.std())
    assert state.flows.count == pytest.approx(len(facts.flows), rel=4 * max(state.flows.error, 1e-9))
    assert all(state.senders.estimate(key) >= octets for key, octets in facts.octets.items())
    assert all(state.seen.has(key) for key in facts.octets)
    assert state.top.total == sizes.sum() and state.top.bound <= sizes.sum() / 32
    for entry in state.top.top():
        assert entry.count - entry.error <= facts.octets[entry.key["lo"]] <= entry.count
    assert {(one["ts"], one["wire"]) for one in state.sample.sample} <= set(facts.tuples)
    assert state.recent.last == max(ts for ts, _ in facts.tuples)
    assert sum(row.packets for row in state.ports) == sum(row.wire.count for row in state.ports) == len(sizes)
    for row in state.ports:
        assert (row.sizes.min, row.sizes.max) == (row.wire.min, row.wire.max)


EXACT = ("sizes", "lengths", "flows", "senders", "seen", "sample")


def content(state: Any) -> tuple[Any, ...]:
    """What is the same however a capture was divided."""
    rows = sorted(row.tobytes() for row in state.ports)
    return *(getattr(state, name).tobytes() for name in EXACT), rows


@pytest.fixture(scope="module")
def bundled() -> list[Frame]:
    return read_capture(BUNDLED)


@pytest.fixture(scope="module")
def alone(bundled: list[Frame]) -> Any:
    with run([Everything], bundled) as rig:
        assert rig.ledger()["faulted"] == {"everything": 0}
        return rig.state("everything")


def test_results_are_those_of_the_capture(alone: Any, bundled: list[Frame]) -> None:
    check(alone, Facts(bundled))
    sources: dict[int, set[bytes]] = defaultdict(set)
    for frame in bundled:
        ip = dpkt.ethernet.Ethernet(frame.data).data
        if isinstance(ip, dpkt.ip.IP):
            ports = isinstance(ip.data, dpkt.udp.UDP | dpkt.tcp.TCP)
            sources[ip.data.dport if ports else 0].add(ip.src)
    rows = {int(row.port): row.sources for row in alone.ports}
    assert sources.keys() <= rows.keys()
    exact = [port for port in sources if rows[port].exact]
    assert len(exact) > 1000 and {port for port in exact if rows[port].count != len(sources[port])} <= {0}


@pytest.mark.parametrize("queues", [2, 8])
def test_queues_make_no_difference(alone: Any, bundled: list[Frame], queues: int) -> None:
    with Rig(bound(Everything, queues), queues=queues).feed(bundled) as rig:
        state = rig.state("everything")
    assert content(state) == content(alone)
    assert state.recent.rate == pytest.approx(alone.recent.rate, rel=1e-9)
    assert state.top.tobytes() == alone.top.tobytes()


def test_parts_of_a_capture_merge_to_the_whole(alone: Any, bundled: list[Frame]) -> None:
    parts = []
    for part in (bundled[:3000], bundled[3000:3001], bundled[3001:]):
        with run([Everything], part) as rig:
            parts.append(rig.state("everything"))
    left, right = merge([merge(parts[:2]), parts[2]]), merge([parts[0], merge(parts[1:])])
    assert content(left) == content(right) == content(alone)
    for state in (left, right):
        check(state, Facts(bundled))


@pytest.mark.long
@pytest.mark.needs("captures")
@pytest.mark.parametrize("name", ["443-firefox.pcap", "bittorrent.pcap", "dns-exf.pcap", "ceph.pcap"])
def test_real_captures(name: str) -> None:
    frames = read_capture(Path(os.environ.get("ZCFRAME_CAPTURES", ROOT.parent / "shared" / "captures")) / name)
    with Rig(bound(Everything, 2), queues=2).feed(frames) as rig:
        check(rig.state("everything"), Facts(frames))


@plugin(per="worker")
class Raising:
    """Adds to objects, then raises for some packets; a table of one window, whose rows give up their slots."""

    ports = Distinct(precision=4, exact=64)
    rows = Table(
        key={"port": u16},
        value={"done": u8.max, "small": Moments(), "large": LogHist()},
        capacity=16,
        done="done",
        least="done",
    )
    found = Array(u64, 1)

    @staticmethod
    def filter(pkt, state, params):  # type: ignore[no-untyped-def]
        state.ports.add(pkt.dport)
        row = state.rows.upsert(pkt.dport)
        row.done = 1
        row.small.add(pkt.dport)
        row.large.add(pkt.dport)
        state.found[pkt.dport % 8 // 7] += 1
        return PASS


def udp(dport: int) -> Frame:
    return Frame(raw(ether / IP(src="10.0.0.1", dst="10.0.0.2") / UDP(sport=7, dport=dport)), FIRST_NS)


def test_a_fault_takes_back_what_was_added() -> None:
    """Every eighth port raises: nothing of it is left, though its rows had taken the slots of others."""
    ports = [*range(1, 41), *range(20, 41)]
    with run([bound(Raising)], [udp(port) for port in ports]) as rig:
        state, ledger = rig.state("raising"), rig.ledger()
    kept = [port for port in ports if port % 8 != 7]
    assert ledger["faulted"] == {"raising": len(ports) - len(kept)}
    assert state.ports.count == len(set(kept)) and state.ports.exact
    assert state.expired["rows"] > 0
    for row in state.rows:
        assert row.small.count == row.large.count > 0
        assert row.small.min == row.small.max == row.large.p50 == int(row.port) and int(row.port) in kept


@plugin
class Unasked:
    rows = Table(key={"port": u16}, value={"sizes": LogHist(), "hosts": Distinct(precision=4, exact=2)})

    @staticmethod
    def filter(pkt, state, params):  # type: ignore[no-untyped-def]
        if pkt.dport == 1:
            state.rows.find(99).sizes.add(1)
        else:
            state.rows.upsert(pkt.dport).hosts.add(pkt.src_lo)
        return PASS


def test_an_object_of_a_row_that_is_not_there_is_a_fault() -> None:
    with run([Unasked], [udp(port) for port in (1, 2, 1)]) as rig:
        assert rig.ledger()["faulted"] == {"unasked": 2}
        (row,) = rig.state("unasked").rows
    assert (row.port, row.hosts.count, row.sizes.count) == (2, 1, 0)
    with pytest.raises(AttributeError, match="the row has no field nothing: it has port, "):
        _ = row.nothing


@plugin(per="worker")
class Foreseen:
    """Asks in `ahead`, a burst before it adds; estimates what was added before."""

    seen = Bloom(capacity=100)
    counts = CountMin(width=4096)
    asked = Array(u64, 2)
    most = Array(u64.max, 1)

    @staticmethod
    def ahead(pkt, state, params):  # type: ignore[no-untyped-def]
        return int(state.seen.has(pkt.dport))

    @staticmethod
    def filter(pkt, state, params, ahead):  # type: ignore[no-untyped-def]
        state.asked[ahead] += 1
        if state.seen.add(pkt.dport) != 1 - ahead:
            raise ValueError("another packet of the burst")
        state.counts.add(2, pkt.dport)
        state.most[0] = max(state.most[0], state.counts.estimate(pkt.dport))
        return PASS


def test_what_only_reads_may_be_asked_ahead() -> None:
    with Rig(Foreseen) as rig:
        for _ in range(3):
            rig.feed([udp(port) for port in range(1, 41)])
        state = rig.state("foreseen")
        assert rig.ledger()["faulted"] == {"foreseen": 0}
    assert state.asked.tolist() == [40, 80] and state.most[0] == 6


SOURCE = """
from zcframe import PASS, CountMin, Distinct, LogHist, Param, Table, TopK, plugin, u16, u64

@plugin
class Mine:
    bits = Param(10)
    names = Distinct(precision=bits)
    top = TopK(key=("hi", "lo"))
    counts = CountMin()
    ports = Table(key={{"port": u16}}, value={{"n": u64, "sizes": LogHist(error=1/4), "hosts": Distinct(4, 4)}})

    def filter(pkt, state, params{more}):
        {line}
        return PASS
"""
AHEAD = """
    def ahead(pkt, state, params):
        state.names.add(1)
        return 1
"""

MISTAKES = {
    "state.names.push(1)": "the Distinct names has no push: it has add()",
    "state.counts.estimat(1)": "the CountMin counts has no estimat; did you mean estimate?",
    "state.names.add()": "names.add() takes (k0), 0 values were given",
    "state.top.add(1, 2)": "top.add() takes (amount, hi, lo), 2 values were given",
    "state.names.add(pkt.ts / 2)": "names.add() takes whole numbers, not a float",
    "state.names = 3": "state.names is a Distinct: it is changed by state.names.add()",
    "state.names[0] += 1": "names has no index: it has methods",
    "row = state.ports.upsert(1); row.hosts.push(1)": "the Distinct ports.hosts has no push: it has add()",
    "row = state.ports.upsert(1); row.hosts = 1": "hosts of a row of ports is a Distinct: it is changed by row.hosts.add()",
    "row = state.ports.upsert(1); row.host.add(1)": "a row of ports has no field host; did you mean hosts?",
}


@pytest.mark.parametrize("line", MISTAKES)
def test_mistakes_are_told(tmp_path: Path, line: str) -> None:
    path = tmp_path / "mine.py"
    path.write_text(SOURCE.format(line=line, more=""))
    with pytest.raises(PluginCompileError) as caught:
        build_chain([bound(str(path))])
    assert MISTAKES[line] in str(caught.value) and f"{path}:13:" in str(caught.value)


def test_ahead_cannot_add(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text(SOURCE.format(line="pass", more=", ahead") + AHEAD)
    with pytest.raises(PluginCompileError, match=r"prefetch cannot call names.add\(\), nor can ahead"):
        build_chain([bound(str(path))])


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: LogHist(error=2), "LogHist(error=2): a number from "),
        (lambda: LogHist(high=1.5), "LogHist(high=1.5): a whole number from 1 to "),
        (lambda: Distinct(precision=True), "Distinct(precision=True): a whole number from 4 to 18 is needed"),
        (lambda: TopK(key="hi"), "TopK(key='hi'): a tuple of names is needed"),
        (lambda: Reservoir(fields=()), "Reservoir(fields=()): a tuple of names is needed"),
        (lambda: Ewma(seconds="1"), "Ewma(seconds='1'): a number from "),
        (lambda: Array(Distinct(), 3), "an Array holds u8, u16, u32, u64, i64, f64 or addr, not Distinct("),  # type: ignore[arg-type]
        (lambda: Table({"a": Distinct()}, {"n": u64}), "in field a, not Distinct("),  # type: ignore[dict-item]
        (lambda: Table({"a": u64}, {"n": Distinct}), "in field n: write Distinct(...)"),  # type: ignore[dict-item]
        (lambda: Table({"a": u64}, {"n": Distinct()}, done="n", least="n"), "in `done` and `least` value fields"),
    ],
)
def test_declarations_that_cannot_be(make: Any, reason: str) -> None:
    with pytest.raises(DeclarationError) as caught:
        make()
    assert reason in str(caught.value)


@plugin
class Heavy:
    rows = Table(key={"port": u16}, value={"hosts": Distinct(precision=16)})

    @staticmethod
    def filter(pkt, state, params):  # type: ignore[no-untyped-def]
        return PASS


def test_a_row_has_a_largest_size() -> None:
    with pytest.raises(DeclarationError, match="a row of rows takes 65,808 bytes, 32,768 are possible"):
        bound(Heavy)


def _run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "zcframe", "run", "--json", "--queues", "2", "--read", str(BUNDLED), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.long
def test_the_command_reports_results_and_takes_sizes_from_parameters(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    lines = (
        "row = state.ports.upsert(pkt.proto)",
        "if row:",
        "    row.n += 1",
        "    row.sizes.add(pkt.wirelen)",
        "state.names.add(pkt.src_hi, pkt.src_lo)",
    )
    path.write_text(SOURCE.format(line="\n        ".join(lines), more=""))
    finished = _run("--plugin", f"{path}?bits=6")
    document = json.loads(finished.stdout)
    mine = document["plugins"]["mine"]
    assert mine["names"]["error"] == pytest.approx(1.04 / 8)
    rows = mine["ports"]["rows"]
    assert sum(row["sizes"]["count"] for row in rows) == sum(row["n"] for row in rows)
    assert document["totals"]["ledger"]["faulted"] == 0
    refused = _run("--plugin", f"{path}?bits=99")
    assert refused.returncode == 2 and "Traceback" not in refused.stderr
    assert "Distinct(precision=99): a whole number from 4 to 18 is needed" in refused.stderr
