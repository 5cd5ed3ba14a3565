"""The software NIC as a whole process: which frame arrives where, with which descriptor."""

from __future__ import annotations

import functools
import itertools
from pathlib import Path
from typing import Any

import dpkt
import numpy as np
import pytest

from tests.kit.capture_build import (
    Record,
    enhanced,
    ethernet,
    flow_records,
    interface,
    pcap,
    pcapng,
    section,
    simple,
    udp4,
)
from tests.kit.soft_nic import (
    plan,
    replay,
)
from zcframe.framework import abi
from zcframe.framework.rss import MICROSOFT_KEY, SYMMETRIC_KEY
from zcframe.framework.sources.base import SourceEvent
from zcframe.framework.sources.capture import frames
from zcframe.framework.sources.soft82576.deliver import BURST
from zcframe.framework.sources.trace import bundled_trace

# What the NIC should do, written down again from Microsoft's text and dpkt's reading of the headers.


@functools.cache
def toeplitz(key: bytes, data: bytes) -> int:
    result, width = 0, 8 * len(key)
    for index in range(8 * len(data)):
        if data[index // 8] >> (7 - index % 8) & 1:
            result ^= int.from_bytes(key) >> (width - 32 - index) & 0xFFFFFFFF
    return result


def expected_hash(frame: bytes, key: bytes) -> tuple[int, int]:
    """(type, hash) of a well-formed frame, 5-tuple."""
    eth = dpkt.ethernet.Ethernet(frame)
    ip, tags = eth.data, getattr(eth, "vlan_tags", [])
    if len(tags) > 1 or not isinstance(ip, dpkt.ip.IP | dpkt.ip6.IP6):
        return 0, 0
    v6 = isinstance(ip, dpkt.ip6.IP6)
    fragment = (
        any(isinstance(h, dpkt.ip6.IP6FragmentHeader) for h in ip.all_extension_headers) if v6 else ip.mf or ip.offset
    )
    segment = ip.data
    if fragment or not isinstance(segment, dpkt.tcp.TCP | dpkt.udp.UDP):
        return (abi.RSS_IPV6 if v6 else abi.RSS_IPV4), toeplitz(key, ip.src + ip.dst)
    tcp = isinstance(segment, dpkt.tcp.TCP)
    ports = segment.sport.to_bytes(2) + segment.dport.to_bytes(2)
    kinds = (abi.RSS_TCP_IPV6, abi.RSS_UDP_IPV6) if v6 else (abi.RSS_TCP_IPV4, abi.RSS_UDP_IPV4)
    return kinds[not tcp], toeplitz(key, ip.src + ip.dst + ports)


@pytest.mark.parametrize(("key", "secret"), [("symmetric", SYMMETRIC_KEY), ("microsoft", MICROSOFT_KEY)])
def test_every_frame_of_the_bundled_trace(key: str, secret: bytes) -> None:
    """In the queue that Toeplitz and RETA say, in order, byte for byte, with the right descriptor."""
    path = bundled_trace()
    taken, event, consumers = replay(plan(path, queues=8, slots=256, key=key))
    expected: list[list[tuple[Any, ...]]] = [[] for _ in range(8)]
    for frame, wire, ns in frames(str(path)):
        kind, value = expected_hash(frame, secret)
        queue = (value & 127) % 8 if kind else 0
        expected[queue].append((frame, wire, ns, kind, value))
    for queue in range(8):
        found = [(f.data, f.wire_len, f.timestamp, f.rss_type, f.rss_hash) for f in taken[queue]]
        assert found == expected[queue]
        assert {f.flag_access for f in taken[queue]} == {abi.ACCESS_READABLE}
        assert {(f.status, f.port, f.vlan_tci) for f in taken[queue]} == {(0, 0, 0)}
    total = sum(map(len, expected))
    assert event == SourceEvent("finished", f"{total} frames replayed")
    for queue, consumer in enumerate(consumers):
        assert consumer["arrived"] == consumer["write"] == len(expected[queue])
        assert consumer["arrived_bytes"] == sum(row[1] for row in expected[queue])
        assert consumer["nic_drop"] == consumer["ring_full"] == consumer["truncated"] == 0
        assert consumer["state"] == abi.STATE_GONE


@pytest.mark.needs("captures")
def test_real_captures_in_one_replay(captures: Path) -> None:
    """Many files in a row, through one small ring."""
    files = [path for path in sorted(captures.glob("*.pcap")) if path.stat().st_size < 20_000][:40]
    files = [
        path for path in files if not any(name in path.name for name in ("BGP_redist", "fuzz", "bad", "malformed"))
    ]
    (taken,), event, _ = replay(plan(*files, slots=64))
    expected = [(data[:32767], wire, ns) for path in files for data, wire, ns in frames(str(path))]
    assert [(f.data, f.wire_len, f.timestamp) for f in taken] == expected
    assert event.kind == "finished"


@pytest.mark.parametrize(("pace", "longest"), [("max", 32767), ("original", 2048)])
def test_long_frames(tmp_path: Path, pace: Any, longest: int) -> None:
    """Where they lie in a file they are seen up to 32,767 bytes; where they are copied, as far as a block goes."""
    path = tmp_path / "a.pcap"
    sizes = [2047, 2048, 2049, 9000, 32767, 32768, 65549, 60]
    records = [Record(ethernet(udp4(1, 2, 3, 4, bytes(size - 42))), i, size + 4) for i, size in enumerate(sizes)]
    path.write_bytes(pcap(records, nano=True))
    (taken,), _, (consumer,) = replay(plan(path, pace=pace))
    assert [f.data for f in taken] == [record.data[:longest] for record in records]
    assert [f.wire_len for f in taken] == [size + 4 for size in sizes]
    assert [f.status for f in taken] == [abi.STATUS_TRUNCATED * (size > longest) for size in sizes]
    assert consumer["truncated"] == sum(size > longest for size in sizes)
    assert consumer["arrived_bytes"] == sum(sizes) + 4 * len(sizes)


def test_frames_without_a_time_and_of_several_interfaces(tmp_path: Path) -> None:
    path = tmp_path / "a.pcapng"
    data = section() + interface(1) + interface(101, tsresol=9) + simple(b"x" * 60)
    path.write_bytes(data + enhanced(udp4(1, 2, 3, 4), 77, number=1) + section() + interface(1) + enhanced(b"", 5))
    (taken,), _, _ = replay(plan(path, loop=2))
    assert [f.port for f in taken] == [0, 1, 2] * 2
    assert [f.status for f in taken] == [abi.STATUS_NO_TIME, 0, 0] * 2
    assert [f.timestamp for f in taken if f.status] == [0, 0]
    assert [f.len for f in taken] == [60, 42, 0] * 2


def test_rounds_of_a_loop_go_on_in_time(tmp_path: Path) -> None:
    """Every round keeps its own gaps, and begins behind the last timestamp of the one before, also across files."""
    one, two = tmp_path / "1.pcap", tmp_path / "2.pcap"
    one.write_bytes(pcap([Record(b"a" * 60, 5_000_000), Record(b"b" * 60, 9_000_000)]))
    two.write_bytes(pcap([Record(b"c" * 60, 7_000_000)]))
    (taken,), event, _ = replay(plan(one, two, loop=3))
    assert [f.data[:1] for f in taken] == [b"a", b"b", b"c"] * 3
    stamps = [[f.timestamp for f in taken[i : i + 3]] for i in (0, 3, 6)]
    assert stamps[0] == [5_000_000, 9_000_000, 7_000_000]
    for earlier, later in itertools.pairwise(stamps):
        assert min(later) > max(earlier)
        assert np.diff(later).tolist() == np.diff(earlier).tolist()
    assert event.text == "9 frames replayed"


def test_a_loop_over_the_end_of_time(tmp_path: Path) -> None:
    """A span of 260 years fits once: then timestamps begin anew rather than wrap."""
    path = tmp_path / "a.pcapng"
    path.write_bytes(pcapng([Record(b"a" * 60, 1), Record(b"b" * 60, 2**63 - 1)]))
    (taken,), event, _ = replay(plan(path, loop=4))
    assert event.kind == "finished"
    assert [f.timestamp for f in taken] == [1, 2**63 - 1] * 4


@pytest.mark.parametrize("count", [1, BURST, 100, 299, 300, 301, 750])
@pytest.mark.parametrize("pace", ["max", 1e6])
def test_count_is_exact(tmp_path: Path, count: int, pace: Any) -> None:
    path = tmp_path / "a.pcap"
    path.write_bytes(pcap(flow_records(300)))
    taken, event, consumers = replay(plan(path, queues=4, slots=1024, loop=0, pace=pace, count=count))
    assert sum(consumer["arrived"] for consumer in consumers) == count
    assert sum(map(len, taken)) == count - sum(consumer["ring_full"] for consumer in consumers)
    assert event.text == f"{count} frames replayed"
