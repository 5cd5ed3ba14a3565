"""The software NIC as a whole process: what arrives where, how it waits, drops, wakes, ends and dies."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import functools
import itertools
import mmap
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dpkt
import numba
import numpy as np
import pytest

from tests.kit.capture_build import (
    Record,
    block,
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
from zcframe.framework import abi
from zcframe.framework.errors import CaptureFileError, LinkTypeError, UsageError
from zcframe.framework.nic.settings.record import started_at
from zcframe.framework.ring import Ring
from zcframe.framework.rss import MICROSOFT_KEY, SYMMETRIC_KEY, RssConfig
from zcframe.framework.sources.base import Source, SourceEvent
from zcframe.framework.sources.capture import frames
from zcframe.framework.sources.soft82576 import ReplayPlan, Soft82576
from zcframe.framework.sources.soft82576.deliver import BURST
from zcframe.framework.sources.trace import bundled_trace

# Far above what anything here takes, so that a test which would hang fails instead.
PATIENCE = 60.0


def plan(*files: Path | str, queues: int = 1, slots: int = 64, key: str = "symmetric", **more: Any) -> ReplayPlan:
    rss = RssConfig.make(key, "5-tuple", queues)
    return ReplayPlan(tuple(map(str, files)), rss, queues=queues, ring_slots=slots, **more)


@contextmanager
def running(replay: ReplayPlan) -> Iterator[Soft82576]:
    """A NIC that waits for `go()`."""
    source = Soft82576(replay)
    try:
        source.start()
        yield source
    finally:
        source.close()


def await_events(source: Soft82576) -> list[SourceEvent]:
    """The next events; there must be some."""
    assert select.select([source.events_fd], [], [], PATIENCE)[0], "the NIC says nothing"
    return source.poll_events()


def await_end(source: Soft82576) -> SourceEvent:
    while True:
        for event in await_events(source):
            if event.kind != "warning":
                return event


def await_all(source: Soft82576) -> list[SourceEvent]:
    """All events up to the end."""
    events = await_events(source)
    while not events or events[-1].kind == "warning":
        events += await_events(source)
    return events


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it never came to that"
        time.sleep(0.001)


def descriptors() -> dict[int, str]:
    """What each descriptor of this process is open on."""
    found = {}
    for fd in os.listdir("/proc/self/fd"):
        with contextlib.suppress(FileNotFoundError):  # the listing's own, closed by now
            found[int(fd)] = os.readlink(f"/proc/self/fd/{fd}")
    return found


class Frame:
    """A received frame: its bytes and its descriptor's fields."""

    def __init__(self, descriptor: Any, data: bytes) -> None:
        self.data = data
        for name in abi.DESC.names or ():
            setattr(self, name, int(descriptor[name]))

    timestamp: int
    offset: int
    wire_len: int
    rss_hash: int
    len: int
    status: int
    rss_type: int
    flag_access: int
    port: int
    vlan_tci: int


class Consumer:
    """A worker's end of a ring, in Python."""

    def __init__(self, ring: Ring) -> None:
        self.end = ring.consumer()
        size = self.end.slots * abi.DESC_SIZE
        self._descs = np.frombuffer((ctypes.c_char * size).from_address(self.end.desc_address), abi.DESC)

    def __getitem__(self, name: str) -> int:
        """A field of the ring's header."""
        return int(self.end.header[name][0])

    def take(self) -> list[Frame]:
        """Everything that is published; its slots are free afterwards."""
        read, write = int(self.end.user["read"][0]), self["write"]
        taken = []
        for number in range(read, write):
            descriptor = self._descs[number & (self.end.slots - 1)]
            address = self.end.block_address + int(descriptor["offset"])
            taken.append(Frame(descriptor, ctypes.string_at(address, int(descriptor["len"]))))
        self.end.user["read"] = write
        return taken

    def sleep(self, seconds: float) -> bool:
        """As a worker does: say so, look again, wait; whether it was woken."""
        self.end.user["flags"] = abi.USER_WANT_WAKE
        if self["write"] != int(self.end.user["read"][0]):
            return True
        woken = bool(select.select([self.end.wake_fd], [], [], seconds)[0])
        self.end.user["flags"] = 0
        return woken


def replay(orders: ReplayPlan) -> tuple[list[list[Frame]], SourceEvent, list[Consumer]]:
    """Everything that a NIC brings, by queue."""
    with running(orders) as source:
        consumers = [Consumer(ring) for ring in source.rings]
        taken: list[list[Frame]] = [[] for _ in consumers]
        source.go()
        ends: list[SourceEvent] = []
        while not ends or ends[-1].kind == "warning":
            ends += source.poll_events()
            for queue, consumer in enumerate(consumers):
                taken[queue] += consumer.take()
        for queue, consumer in enumerate(consumers):
            taken[queue] += consumer.take()
        return taken, ends[-1], consumers


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


def test_max_speed_waits_for_room(tmp_path: Path) -> None:
    """Nobody reads: a ring's worth arrives, everything of it published, and no frame more."""
    path = tmp_path / "a.pcap"
    path.write_bytes(pcap(flow_records(1000)))
    with running(plan(path)) as source:
        consumer = Consumer(source.rings[0])
        source.go()
        until(lambda: consumer["write"] == 64)
        assert (consumer["arrived"], consumer["ring_full"]) == (64, 0)
        first = consumer.take()
        until(lambda: consumer["write"] == 128)
        assert [f.data for f in first + consumer.take()] == [r.data for r in flow_records(128)]
        source.stop()
        assert await_end(source).kind == "finished"


def test_stop_at_a_full_ring(tmp_path: Path) -> None:
    """A dead worker never makes room, and stop() must not wait for it; what had arrived is published."""
    path = tmp_path / "a.pcap"
    path.write_bytes(pcap(flow_records(1000)))
    with running(plan(path, loop=0)) as source:
        consumer = Consumer(source.rings[0])
        source.go()
        until(lambda: consumer["write"] == 64)
        source.stop()
        assert await_end(source) == SourceEvent("finished", "stopped after 64 frames")
        assert (consumer["arrived"], consumer["write"], consumer["state"]) == (64, 64, abi.STATE_GONE)


def test_a_pace_drops_what_finds_no_room(tmp_path: Path) -> None:
    path = tmp_path / "a.pcap"
    path.write_bytes(pcap(flow_records(1000)))
    with running(plan(path, pace=1e6)) as source:
        consumer = Consumer(source.rings[0])
        source.go()
        assert await_end(source) == SourceEvent("finished", "1000 frames replayed")
        assert (consumer["arrived"], consumer["write"], consumer["ring_full"]) == (1000, 64, 936)
        assert [f.data for f in consumer.take()] == [record.data for record in flow_records(64)]


@pytest.mark.parametrize("read", [1, 1000, 2**31, 2**32 - 65, 2**32 - 1])
def test_a_read_counter_that_lies_means_a_full_ring(tmp_path: Path, read: int) -> None:
    """A worker may write what it wants there: the NIC must not run over unread frames."""
    path = tmp_path / "a.pcap"
    path.write_bytes(pcap(flow_records(200)))
    with running(plan(path, pace=1e6)) as source:
        consumer = Consumer(source.rings[0])
        consumer.end.user["read"] = read
        source.go()
        assert await_end(source).kind == "finished"
        # A value just behind the start frees those slots, anything else none at all.
        published = 64 - (2**32 - read) if read >= 2**32 - 64 else 0
        assert (consumer["write"], consumer["ring_full"]) == (published, 200 - published)


def test_counters_wrap_at_32_bits(tmp_path: Path) -> None:
    """`write` and `read` are free-running: the NIC's own view of them never wraps, what it compares does."""
    from zcframe.framework.sources.soft82576 import deliver, queues

    @numba.njit
    def has_room(table, queue):  # type: ignore[no-untyped-def]
        return deliver.has_room(table, queue)

    ring = Ring(0, 64)
    producer, consumer = ring.producer(), ring.consumer()
    table = queues.queue_table([producer])
    table[0, queues.Q.write] = table[0, queues.Q.room_until] = 2**32 + 10
    consumer.user["read"] = 2**32 + 10 - 63 & 0xFFFFFFFF
    assert has_room(table, 0)
    assert table[0, queues.Q.room_until] == 2**32 + 11
    table[0, queues.Q.write] += 1
    assert not has_room(table, 0)
    for end in (producer, consumer):
        end.close()
    ring.close()


def test_a_sleeper_is_woken(tmp_path: Path) -> None:
    path = tmp_path / "a.pcap"
    path.write_bytes(pcap(flow_records(20)))
    with running(plan(path, pace=200.0)) as source:
        consumer = Consumer(source.rings[0])
        source.go()
        taken: list[Frame] = []
        while len(taken) < 20:
            assert consumer.sleep(PATIENCE), "never woken"
            taken += consumer.take()
        assert 1 <= consumer["wakeups"] <= 20


def test_a_sleeper_is_woken_for_a_few_frames() -> None:
    """Though they fill no fraction of the ring, and the NIC itself waits for more."""
    reading, writing = os.pipe()
    os.write(writing, pcap(flow_records(3)))
    with running(plan(f"/dev/fd/{reading}")) as source:
        consumer = Consumer(source.rings[0])
        source.go()
        count = 0
        while count < 3:
            assert consumer.sleep(PATIENCE), "never woken"
            count += len(consumer.take())
    os.close(reading)
    os.close(writing)


def test_who_does_not_sleep_is_not_woken(tmp_path: Path) -> None:
    path = tmp_path / "a.pcap"
    path.write_bytes(pcap(flow_records(50)))
    with running(plan(path, pace=1e5, count=50, loop=0)) as source:
        consumer = Consumer(source.rings[0])
        source.go()
        assert await_end(source).kind == "finished"
        assert consumer["wakeups"] == 0
        # But the end is told to everybody.
        assert os.eventfd_read(consumer.end.wake_fd) == 1


def test_a_sleeper_is_woken_at_max_speed_too(tmp_path: Path) -> None:
    """The NIC must not wait for room from somebody who sleeps."""
    path = tmp_path / "a.pcap"
    path.write_bytes(pcap(flow_records(5000)))
    with running(plan(path)) as source:
        consumer = Consumer(source.rings[0])
        source.go()
        count = 0
        while count < 5000:
            assert consumer.sleep(PATIENCE), "never woken"
            count += len(consumer.take())
        assert await_end(source).text == "5000 frames replayed"


def test_original_pace_survives_any_clock(tmp_path: Path) -> None:
    """Frames in disorder, a clock that is set back by years, one that stands still: every frame comes, in order."""
    path = tmp_path / "a.pcapng"
    base = 1_700_000_000 * 10**9
    stamps = [base, base + 10**6, base + 10**5, base + 2 * 10**6, 0, 0, 10**6, 5, 0, 2 * 10**6]
    records = [Record(bytes([i]) * 60, ns) for i, ns in enumerate(stamps)]
    path.write_bytes(section() + interface(tsresol=9) + b"".join(enhanced(r.data, r.ns) for r in records))
    (taken,), event, _ = replay(plan(path, pace="original", loop=2))
    assert event == SourceEvent("finished", "20 frames replayed")
    assert [f.data for f in taken] == [record.data for record in records] * 2


@pytest.mark.parametrize("pace", ["original", 1e-9])
def test_stop_while_waiting_for_a_frames_time(tmp_path: Path, pace: Any) -> None:
    path = tmp_path / "a.pcap"
    path.write_bytes(pcap(flow_records(3, start=0, step=2 * 10**18)))
    with running(plan(path, pace=pace)) as source:
        consumer = Consumer(source.rings[0])
        source.go()
        until(lambda: consumer["write"] == 1)
        source.stop()
        assert await_end(source) == SourceEvent("finished", "stopped after 1 frames")


def test_stop_before_go(tmp_path: Path) -> None:
    path = tmp_path / "a.pcap"
    path.write_bytes(pcap(flow_records(3)))
    with running(plan(path)) as source:
        source.stop()
        assert await_end(source) == SourceEvent("finished", "stopped after 0 frames")


def test_nothing_arrives_before_go(tmp_path: Path) -> None:
    path = tmp_path / "a.pcap"
    path.write_bytes(pcap(flow_records(3)))
    with running(plan(path)) as source:
        source.ready()
        assert not select.select([source.events_fd], [], [], 0.2)[0]
        assert Consumer(source.rings[0])["arrived"] == 0
        assert source.poll_events() == []


def test_an_end_is_told_once(tmp_path: Path) -> None:
    """The process's own end behind it is no news."""
    path = tmp_path / "a.pcap"
    path.write_bytes(pcap(flow_records(3)))
    with running(plan(path)) as source:
        source.go()
        assert await_end(source).kind == "finished"
        while select.select([source.events_fd], [], [], PATIENCE)[0] and Path(f"/proc/{source.pid}").exists():
            assert source.poll_events() == []


def test_killed(tmp_path: Path) -> None:
    """The supervisor hears of it at once, the ring's counters are at most one burst apart, and it can be closed."""
    path = tmp_path / "a.pcap"
    path.write_bytes(pcap(flow_records(5000)))
    with running(plan(path, slots=4096)) as source:
        consumer = Consumer(source.rings[0])
        source.go()
        until(lambda: consumer["write"] == 4096)
        assert source.pid is not None
        os.kill(source.pid, signal.SIGKILL)
        event = await_end(source)
        assert event.kind == "failed"
        assert event.text.startswith(f"the software NIC (pid {source.pid}) was killed by SIGKILL: ")
        assert 0 <= consumer["arrived"] - consumer["write"] - consumer["ring_full"] - consumer["nic_drop"] <= BURST
        assert source.poll_events() == []
        source.stop()


def test_signals_for_the_whole_group_do_not_end_it(tmp_path: Path) -> None:
    path = tmp_path / "a.pcap"
    path.write_bytes(pcap(flow_records(10)))
    with running(plan(path)) as source:
        assert source.pid is not None
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2):
            os.kill(source.pid, number)
        source.go()
        assert await_end(source) == SourceEvent("finished", "10 frames replayed")


def test_the_parents_signal_handlers_stay_with_the_parent(tmp_path: Path) -> None:
    path = tmp_path / "a.pcap"
    path.write_bytes(pcap(flow_records(10)))
    seen: list[int] = []
    previous = signal.signal(signal.SIGALRM, lambda number, _: seen.append(number))
    try:
        with running(plan(path)) as source:
            assert source.pid is not None
            os.kill(source.pid, signal.SIGALRM)
            assert "was killed by SIGALRM" in await_end(source).text
        assert seen == []
        assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == set()
    finally:
        signal.signal(signal.SIGALRM, previous)


def test_it_does_not_outlive_the_supervisor(tmp_path: Path) -> None:
    """Nor where it cannot see that the supervisor is gone, because it has been stopped itself."""
    path = tmp_path / "a.pcap"
    path.write_bytes(pcap(flow_records(10)))
    program = f"""
import os, time
from zcframe.framework.rss import RssConfig
from zcframe.framework.sources.soft82576 import ReplayPlan, Soft82576
source = Soft82576(ReplayPlan(({str(path)!r},), RssConfig.make("symmetric", "5-tuple", 1), queues=1, ring_slots=64))
source.start()
source.go()
print(source.pid, flush=True)
time.sleep(600)
"""
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as supervisor:
        assert supervisor.stdout is not None
        nic = int(supervisor.stdout.readline())
        assert Path(f"/proc/{nic}/comm").read_text() == "zc-nic\n"
        os.kill(nic, signal.SIGSTOP)
        supervisor.kill()
    until(lambda: started_at(nic) is None)


@pytest.mark.parametrize(("pace", "memory"), [("max", "windows"), ("original", "buffer")])
def test_workers_get_no_writable_mapping(tmp_path: Path, pace: Any, memory: str) -> None:
    """Not by the descriptor they inherit, not by opening it again, not by mprotect, not by write()."""
    path = tmp_path / "a.pcap"
    path.write_bytes(pcap(flow_records(10)))
    before = descriptors()
    with running(plan(path, pace=pace)) as source:
        ring = source.rings[0]
        with pytest.raises(PermissionError):
            ring.producer()
        links = {fd: link for fd, link in descriptors().items() if before.get(fd) != link}
        nics_own = [fd for fd, link in links.items() if "memfd:zc-" in link and "memfd:zc-user" not in link]
        assert {links[fd].split("-")[1].split()[0] for fd in nics_own} == {"ring", memory, "progress"}
        for fd in nics_own:
            again = os.open(f"/proc/self/fd/{fd}", os.O_RDWR)
            for number in (fd, again):
                with pytest.raises(PermissionError):
                    mmap.mmap(number, 4096)
                with pytest.raises(PermissionError):
                    os.pwrite(number, b"x", 0)
            os.close(again)
        inodes = {str(os.fstat(fd).st_ino) for fd in nics_own}
        mapped = [line.split() for line in Path("/proc/self/maps").read_text().splitlines() if "memfd:zc-" in line]
        assert not [line for line in mapped if "w" in line[1] and line[4] in inodes]
        consumer = ring.consumer()
        libc = ctypes.CDLL(None, use_errno=True)
        for address in (consumer.header_address, consumer.block_address):
            assert libc.mprotect(ctypes.c_void_p(address), 4096, mmap.PROT_READ | mmap.PROT_WRITE) == -1
            assert ctypes.get_errno() == errno.EACCES
        consumer.close()


def test_progress(tmp_path: Path) -> None:
    one, two = tmp_path / "1.pcap", tmp_path / "2.pcapng"
    one.write_bytes(pcap(flow_records(100)))
    two.write_bytes(pcapng(flow_records(100)))
    size = one.stat().st_size + two.stat().st_size
    with running(plan(one, two, slots=1024, loop=2)) as source:
        assert source.progress() == (0, 2 * size)
        source.go()
        await_end(source)
        position = source.position()
        assert (position.done, position.total) == source.progress() == (2 * size, 2 * size)
        assert (position.frames, position.file, position.round) == (400, 1, 1)


def test_progress_without_an_end(tmp_path: Path) -> None:
    path = tmp_path / "a.pcap"
    path.write_bytes(pcap(flow_records(10)))
    with running(plan(path, loop=0, count=25)) as source:
        source.go()
        await_end(source)
        done, total = source.progress()
        assert total == 0
        assert done > 2 * path.stat().st_size


def test_a_file_that_is_cut(tmp_path: Path) -> None:
    """All whole records arrive, in each round, those of the next file follow, then the run has failed."""
    cut, whole = tmp_path / "cut.pcap", tmp_path / "whole.pcap"
    cut.write_bytes(pcap(flow_records(50))[:-1])
    whole.write_bytes(pcap(flow_records(50)))
    (taken,), event, _ = replay(plan(cut, whole, loop=2))
    assert [f.data for f in taken] == [record.data for record in (flow_records(49) + flow_records(50)) * 2]
    assert event.kind == "failed"
    assert event.text == f"1 of 2 files could not be replayed whole: {cut}; every whole record was delivered"
    (taken,), event, _ = replay(plan(cut))
    assert len(taken) == 49
    assert event.text.startswith(f"{cut} is cut short at byte {cut.stat().st_size - 65}: ")
    assert event.text.endswith("the 49 whole records before it were delivered")


@pytest.mark.parametrize("pace", ["max", "original"])
def test_rounds_without_a_frame_come_to_an_end(tmp_path: Path, pace: Any) -> None:
    """An empty capture, and one that is damaged at its first record, for ever."""
    empty, cut = tmp_path / "empty.pcap", tmp_path / "cut.pcap"
    empty.write_bytes(pcap([]))
    cut.write_bytes(pcap(flow_records(1))[:-1])
    assert replay(plan(empty, loop=0, pace=pace))[1] == SourceEvent("finished", "0 frames replayed")
    assert replay(plan(empty, cut, loop=0, pace=pace))[1].kind == "failed"


def test_a_link_type_that_comes_late(tmp_path: Path) -> None:
    path = tmp_path / "a.pcapng"
    odd = enhanced(b"y" * 10, 0, number=1)
    path.write_bytes(section() + interface(1) + enhanced(b"x" * 60, 0) + interface(220) + odd + enhanced(b"z" * 60, 0))
    with running(plan(path, loop=3)) as source:
        consumer = Consumer(source.rings[0])
        source.go()
        events = await_all(source)
        assert len(consumer.take()) == 9
        assert source.passed_over() == {"USB_LINUX_MMAPPED (220)": 3}
    warning, end = events
    assert warning.text.startswith(f"{path} has records of link type USB_LINUX_MMAPPED (220), from which no IP is read")
    assert end == SourceEvent("finished", "9 frames replayed")


def test_a_file_that_vanishes_before_its_turn(tmp_path: Path) -> None:
    one, two = tmp_path / "1.pcap", tmp_path / "2.pcap"
    for path in (one, two):
        path.write_bytes(pcap(flow_records(100)))
    with running(plan(one, two)) as source:
        consumer = Consumer(source.rings[0])
        source.go()
        until(lambda: consumer["write"] == 64)
        two.unlink()
        consumer.take()
        until(lambda: consumer["write"] == 100)
        warning, end = await_all(source)
        assert warning == SourceEvent("warning", f"cannot open {two}: No such file or directory")
        assert end.kind == "failed"
        assert end.text.startswith(f"1 of 2 files could not be replayed whole: {two};")


def test_what_cannot_be_replayed_is_refused_before_anything_runs(tmp_path: Path) -> None:
    good, usb, noise = tmp_path / "good.pcap", tmp_path / "usb.pcap", tmp_path / "noise.pcap"
    good.write_bytes(pcap(flow_records(1)))
    usb.write_bytes(pcap([Record(b"x")], link=220))
    noise.write_bytes(b"noise" * 20)
    before = descriptors()
    with pytest.raises(CaptureFileError, match=r"none.pcap: No such file"):
        Soft82576(plan(good, tmp_path / "none.pcap"))
    with pytest.raises(LinkTypeError, match="USB_LINUX_MMAPPED"):
        Soft82576(plan(usb))
    with pytest.raises(CaptureFileError, match=r"USB_LINUX_MMAPPED.*; .*noise.pcap is not a capture file"):
        Soft82576(plan(usb, noise))
    with pytest.raises(CaptureFileError, match=r"none.pcap: No such file.*; .* is a directory"):
        Soft82576(plan(good, tmp_path / "none.pcap", noise, tmp_path))
    assert descriptors() == before


def test_plans_that_cannot_be() -> None:
    rss = RssConfig.make("symmetric", "5-tuple", 8)
    for wrong in (
        {"files": ()},
        {"files": ("-", "-")},
        {"loop": -1},
        {"pace": 0.0},
        {"pace": -5.0},
        {"count": 0},
        {"queues": 4},
        {"queues": 17},
    ):
        with pytest.raises(UsageError):
            ReplayPlan(**{"files": ("a",), "rss": rss, **wrong})  # type: ignore[arg-type]


def test_what_a_source_says_of_itself(tmp_path: Path) -> None:
    path, other = tmp_path / "a.pcap", tmp_path / "b.pcapng"
    path.write_bytes(pcap(flow_records(1)))
    other.write_bytes(section() + interface(113) + interface(1) + block(5, bytes(8)))
    source: Source = Soft82576(plan(path, other, queues=2, kind="trace"))
    assert (source.kind, source.names, source.backend) == ("trace", (str(path), str(other)), "soft82576")
    assert source.link_types == ("ETHERNET", "LINUX_SLL")
    assert [ring.queue for ring in source.rings] == [0, 1]
    assert source.pid is None
    source.close()


def is_broken(pipe: int) -> bool:
    try:
        os.write(pipe, b"x")
    except BrokenPipeError:
        return True
    return False


def test_a_pipe() -> None:
    """What the constructor took from it to look at is not lost, and stop() ends the wait for more."""
    data = pcap(flow_records(100))
    reading, writing = os.pipe()
    os.write(writing, data[: len(data) // 2])
    with running(plan(f"/dev/fd/{reading}", slots=1024)) as source:
        os.close(reading)
        consumer = Consumer(source.rings[0])
        source.go()
        until(lambda: consumer["write"] >= 49)
        os.write(writing, data[len(data) // 2 :])
        until(lambda: consumer["write"] == 100)
        assert [f.data for f in consumer.take()] == [record.data for record in flow_records(100)]
        assert source.progress()[1] == 0
        source.stop()
        assert await_end(source) == SourceEvent("finished", "stopped after 100 frames")
        # Only the NIC had been reading: who writes learns of its end at once.
        until(lambda: is_broken(writing))
    os.close(writing)


def test_a_pipe_that_ends() -> None:
    reading, writing = os.pipe()
    os.write(writing, pcapng(flow_records(5)))
    source = Soft82576(plan(f"/dev/fd/{reading}"))
    os.close(reading)
    os.close(writing)
    source.start()
    source.go()
    assert await_end(source) == SourceEvent("finished", "5 frames replayed")
    source.close()


def test_a_pipe_cannot_be_looped() -> None:
    reading, writing = os.pipe()
    os.write(writing, pcap(flow_records(5)))
    with pytest.raises(UsageError, match=rf"/dev/fd/{reading} is no file and can be read only once"):
        Soft82576(plan(f"/dev/fd/{reading}", loop=2))
    os.close(reading)
    os.close(writing)


def test_close_leaves_nothing(tmp_path: Path) -> None:
    """Neither a process nor a descriptor, whatever the NIC was doing, and it may be called twice."""
    path = tmp_path / "a.pcap"
    path.write_bytes(pcap(flow_records(1000)))
    before = descriptors()
    for steps in range(3):
        source = Soft82576(plan(path, queues=4))
        if steps > 0:
            source.start()
        if steps > 1:
            source.go()
        source.close()
        source.close()
        assert source.poll_events() == []
        assert descriptors() == before
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)
