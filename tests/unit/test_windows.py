"""Files read in windows by several processes: what comes into which ring, in which order, and how it ends.

Windows here are far smaller than files, so that records lie across their borders; `frames` reads the same files in
order, in one piece.
"""

from __future__ import annotations

import os
import signal
import socket
import struct
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import dpkt
import psutil
import pytest

from tests.kit.capture_build import (
    Record,
    block,
    enhanced,
    ethernet,
    flow_records,
    interface,
    obsolete,
    pcap,
    pcapng,
    section,
    simple,
    udp4,
)
from tests.kit.soft_nic import Consumer, Frame, await_all, plan, replay, running, until
from zcframe.framework import abi
from zcframe.framework.errors import ZcframeError
from zcframe.framework.rss import SYMMETRIC_KEY
from zcframe.framework.rss.toeplitz import hash_frame
from zcframe.framework.sources.base import SourceEvent
from zcframe.framework.sources.capture import CaptureReader, batches, frames
from zcframe.framework.sources.capture.records import LENGTH, OFFSET, PORT, STATUS, TIMESTAMP, WIRE_LENGTH
from zcframe.framework.sources.capture.scanner import told_of
from zcframe.framework.sources.soft82576.channel import ChildEnd
from zcframe.framework.sources.soft82576.windows.readers import Readers, readers_for
from zcframe.framework.sources.soft82576.windows.reading import NO_FORM, OVER, Job, WindowReader
from zcframe.framework.sources.trace import bundled_trace

LONGEST = 32767
SMALL = 4096

Seen = tuple[bytes, int, int, int, int, tuple[int, int]]


def in_order(path: Path) -> Iterator[Seen]:
    """(frame, wire length, time, status, port, (hash type, hash)) of each record, up to damage."""
    try:
        for data, records in batches(str(path)):
            for row in records.tolist():
                frame = data[row[OFFSET] : row[OFFSET] + row[LENGTH]].tobytes()
                status = row[STATUS] | abi.STATUS_TRUNCATED * (len(frame) > LONGEST)
                hashed = hash_frame(frame[: abi.BLOCK_SIZE], SYMMETRIC_KEY, "5-tuple")
                yield frame[:LONGEST], row[WIRE_LENGTH], row[TIMESTAMP], status, row[PORT], hashed
    except ZcframeError:
        return


def seen(frame: Frame) -> Seen:
    hashed = (frame.rss_type, frame.rss_hash)
    return frame.data, frame.wire_len, frame.timestamp, frame.status, frame.port, hashed


def by_queue(found: Iterator[Seen], queues: int) -> list[list[Seen]]:
    lists: list[list[Seen]] = [[] for _ in range(queues)]
    for one in found:
        kind, value = one[-1]
        lists[(value & 127) % queues if kind else 0].append(one)
    return lists


def check_equal(path: Path, queues: int = 3, window: int = SMALL) -> SourceEvent:
    """The windows bring what the reader in order brings, to each queue in the same order; returns how it ended."""
    taken, event, consumers = replay(plan(path, queues=queues, slots=256, window=window))
    expected = by_queue(in_order(path), queues)
    for queue in range(queues):
        assert [seen(frame) for frame in taken[queue]] == expected[queue], f"queue {queue}"
        header = consumers[queue]
        assert header["arrived"] == header["write"] == len(expected[queue])
        assert header["arrived_bytes"] == sum(one[1] for one in expected[queue])
        assert header["truncated"] == sum(one[3] & abi.STATUS_TRUNCATED for one in expected[queue])
        assert header["ring_full"] == header["nic_drop"] == 0
    return event


@pytest.fixture
def several_cpus(monkeypatch: pytest.MonkeyPatch) -> None:
    """Readers besides the NIC, also where there is one CPU."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 1, 2})


def children(source: Any) -> list[psutil.Process]:
    """Processes of the NIC."""
    return psutil.Process(source.pid).children()


@pytest.mark.parametrize("queues", [1, 2, 3, 8, 16])
@pytest.mark.usefixtures("several_cpus")
def test_the_bundled_trace_on_every_number_of_queues(queues: int) -> None:
    assert check_equal(bundled_trace(), queues).kind == "finished"


@pytest.mark.parametrize("window", [64, 1000, 65536, 1 << 20])
@pytest.mark.usefixtures("several_cpus")
def test_windows_of_every_size(window: int) -> None:
    """Also such as are shorter than a record."""
    assert check_equal(bundled_trace(), window=window).kind == "finished"


@pytest.mark.long
@pytest.mark.needs("captures")
@pytest.mark.parametrize("queues", [1, 8])
@pytest.mark.usefixtures("several_cpus")
def test_real_captures(captures: Path, queues: int) -> None:
    """Each file by itself, whole or damaged, of whatever link type; with the reader's own words at its end."""
    files = sorted(captures.glob("*.pcap*"))
    assert len(files) > 100
    for path in files[:: 1 if queues == 8 else 5]:
        try:
            batches(str(path)).__next__()
        except (ZcframeError, StopIteration):
            continue
        event = check_equal(path, queues)
        try:
            for _ in frames(str(path)):
                pass
        except ZcframeError as error:
            assert event == SourceEvent("failed", str(error))
        else:
            assert event.kind == "finished"


def mixed(count: int) -> list[bytes]:
    """IP packets of many flows and sizes, without Ethernet."""
    return [udp4(i % 61, i % 7, 1000 + i % 13, 53, bytes(i * 37 % 1400)) for i in range(count)]


def sll(packet: bytes) -> bytes:
    return struct.pack(">HHH8sH", 0, 1, 6, b"\x02\0\0\0\0\x01\0\0", 0x0800) + packet


CAPTURES = {
    "ethernet": pcap([Record(ethernet(p), i * 1000, len(p) + 18) for i, p in enumerate(mixed(600))]),
    "big-endian": pcap([Record(ethernet(p), i * 1000) for i, p in enumerate(mixed(600))], ">", nano=True),
    "raw": pcap([Record(p, i * 1000) for i, p in enumerate(mixed(600))], link=101),
    "cooked": pcap([Record(sll(p), i * 1000) for i, p in enumerate(mixed(600))], link=113),
    "loopback": pcap([Record(struct.pack("=I", 2) + p, i * 1000) for i, p in enumerate(mixed(600))], link=0),
    "ppp": pcap([Record(b"\xff\x03\x00\x21" + p, i * 1000) for i, p in enumerate(mixed(600))], link=9),
    "odd": pcap([Record(p, i * 1000) for i, p in enumerate(mixed(600))], link=220),
    "pcapng": section()
    + interface(1)
    + interface(101, tsresol=9)
    + interface(9)
    + b"".join(
        enhanced(ethernet(p), i, number=0)
        + enhanced(p, i, number=1)
        + enhanced(b"\xff\x03\x00\x21" + p, i, number=2)
        + simple(ethernet(p))
        + obsolete(ethernet(p), i)
        + block(5, bytes(20))
        for i, p in enumerate(mixed(150))
    ),
    "sections": b"".join(
        section(order) + interface(link, 0, order) + b"".join(enhanced(p, i, order) for i, p in enumerate(mixed(90)))
        for order, link in [("<", 101), (">", 228), ("<", 1), (">", 220), ("<", 101)]
    ),
    "a large block": section() + interface(101) + enhanced(mixed(9)[8], 1) + block(10, bytes(1 << 20)) * 2
    + b"".join(enhanced(p, i) for i, p in enumerate(mixed(90))),
    "many interfaces": section() + interface(101) * 200
    + b"".join(enhanced(p, i, number=i % 200) for i, p in enumerate(mixed(400))),
    "tiny records": pcap([Record(b"x" * (i % 3), i * 1000) for i in range(5000)]),
}  # fmt: skip


@pytest.mark.parametrize("kind", CAPTURES)
@pytest.mark.usefixtures("several_cpus")
def test_every_kind_of_capture(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "a.cap"
    path.write_bytes(CAPTURES[kind])
    orders = plan(path, window=SMALL)
    if kind == "odd":
        # Alone it is refused; behind another file it is counted.
        first = tmp_path / "first.pcap"
        first.write_bytes(pcap(flow_records(1)))
        with running(plan(first, path, slots=1024, window=SMALL)) as source:
            source.go()
            await_all(source)
            assert source.passed_over() == {"USB_LINUX_MMAPPED (220)": 600}
        return
    event = check_equal(path)
    assert event.kind == "finished", event
    assert orders.window == SMALL


@pytest.mark.long
@pytest.mark.usefixtures("several_cpus")
@pytest.mark.parametrize(
    ("kind", "is_pcapng", "is_rare"),
    [("ethernet", False, False), ("cooked", False, False), ("ppp", False, True), ("pcapng", True, True)],
)
def test_readers_are_told_only_what_a_form_has(tmp_path: Path, kind: str, is_pcapng: bool, is_rare: bool) -> None:
    """By None, numba drops what reads the other kinds of capture."""
    path = tmp_path / "a.cap"
    path.write_bytes(CAPTURES[kind])
    form = CaptureReader(str(path)).form
    assert form is not None
    _, interfaces, rare = told_of(form)
    assert (interfaces is not None, rare is not None) == (is_pcapng, is_rare)


def test_damage_in_every_window(tmp_path: Path) -> None:
    """The same words as of a reader in order, and every record before the damage."""
    whole = CAPTURES["ethernet"]
    path = tmp_path / "a.pcap"
    starts, at = [], 24
    while at < len(whole):
        starts.append(at)
        at += 16 + struct.unpack_from("=I", whole, at + 8)[0]
    for start in starts[::41]:
        path.write_bytes(whole[: start + 8] + b"\xff\xff\xff\x7f" + whole[start + 12 :])
        event = check_equal(path)
        assert event.text.startswith(f"{path} is damaged at byte {start}: "), event
        path.write_bytes(whole[: start + 11])
        event = check_equal(path)
        assert event.text.startswith(f"{path} is cut short at byte {start}: "), event


@pytest.mark.usefixtures("several_cpus")
def test_jumbo_frames_are_whole(tmp_path: Path) -> None:
    """Lengths and bytes as dpkt reads them."""
    path = tmp_path / "a.pcap"
    sizes = [60, 1500, 2048, 2049, 9000, 16000, 32753, 32754, 40000, 65000] * 20
    path.write_bytes(pcap([Record(ethernet(bytes([i % 256]) * (size - 14)), i) for i, size in enumerate(sizes)]))
    for window in (SMALL, 1 << 16):
        (taken,), event, _ = replay(plan(path, slots=256, window=window))
        assert event.kind == "finished"
        with path.open("rb") as file:
            expected = [data for _, data in dpkt.pcap.Reader(file)]
        assert [frame.data for frame in taken] == [data[:LONGEST] for data in expected]
        assert [frame.wire_len for frame in taken] == list(map(len, expected))


@pytest.mark.parametrize("count", [1, 63, 64, 599, 600, 601, 1199, 5000])
@pytest.mark.usefixtures("several_cpus")
def test_count_and_rounds(tmp_path: Path, count: int) -> None:
    """So many frames arrive and no more, each round's times behind those of the one before."""
    path = tmp_path / "a.pcap"
    path.write_bytes(CAPTURES["ethernet"])
    (taken,), event, _ = replay(plan(path, slots=256, window=SMALL, loop=3, count=count))
    one = list(in_order(path))
    span = one[-1][2] - one[0][2] + 1000
    expected = [(data, ns + number * span) for number in range(3) for data, _, ns, *_ in one][:count]
    assert [(frame.data, frame.timestamp) for frame in taken] == expected
    assert event == SourceEvent("finished", f"{len(expected)} frames replayed")


@pytest.mark.usefixtures("several_cpus")
def test_a_file_that_becomes_shorter(tmp_path: Path) -> None:
    """Also where it ends with a whole record then: what is missing is told."""
    path = tmp_path / "a.pcap"
    for left in (24, 24 + 76 * 8000, 24 + 76 * 8000 + 5):
        path.write_bytes(pcap(flow_records(20_000, size=10)))
        assert path.stat().st_size == 24 + 76 * 20_000
        with running(plan(path, window=SMALL)) as source:
            consumer = Consumer(source.rings[0])
            source.go()
            until(lambda consumer=consumer: consumer["write"] == 64)
            os.truncate(path, left)
            events: list[SourceEvent] = []
            taken: list[Frame] = []
            while not events or events[-1].kind == "warning":
                taken += consumer.take()
                events += source.poll_events()
            taken += consumer.take()
        assert events[-1].kind == "failed"
        assert f"{path} became shorter while it was read, {24 + 76 * 20_000} bytes at first" in events[-1].text
        assert f"the {len(taken)} whole records before it were delivered" in events[-1].text
        assert [f.data for f in taken] == [record.data for record in flow_records(len(taken), size=10)]


def test_a_file_that_is_written_over(tmp_path: Path) -> None:
    path = tmp_path / "a.pcap"
    path.write_bytes(pcap(flow_records(20_000, size=10)))
    with running(plan(path, window=SMALL)) as source:
        consumer = Consumer(source.rings[0])
        source.go()
        until(lambda: consumer["write"] == 64)
        time.sleep(0.02)  # the clock of a file system may tick a hundred times a second
        with path.open("r+b") as file:
            file.seek(24)
            file.write(pcap(flow_records(1, size=10))[24:])
        events: list[SourceEvent] = []
        while not events:
            consumer.take()
            events += source.poll_events()
    assert events[-1].kind == "failed"
    assert f"{path} was changed while it was read" in events[-1].text


def test_a_file_that_grows(tmp_path: Path) -> None:
    """What was written behind it while it was read belongs to it."""
    path = tmp_path / "a.pcap"
    whole = pcap(flow_records(20_000, size=10))
    path.write_bytes(whole[: 24 + 76 * 15_000 + 30])
    with running(plan(path, window=SMALL)) as source:
        consumer = Consumer(source.rings[0])
        source.go()
        until(lambda: consumer["write"] == 64)
        with path.open("ab") as file:
            file.write(whole[24 + 76 * 15_000 + 30 :])
        events: list[SourceEvent] = []
        frames_taken = 0
        while not events:
            frames_taken += len(consumer.take())
            events += source.poll_events()
        frames_taken += len(consumer.take())
    assert events == [SourceEvent("finished", "20000 frames replayed")]
    assert frames_taken == 20_000


def test_readers_of_a_machine() -> None:
    assert [readers_for(cpus) for cpus in (1, 2, 4, 128)] == [0, 1, 3, 7]


@pytest.mark.usefixtures("several_cpus")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV])
def test_a_reader_that_dies(tmp_path: Path, number: int) -> None:
    """What was delivered counts and nothing more comes, in order; the NIC tells who died, and no reader stays."""
    path = tmp_path / "a.pcap"
    path.write_bytes(pcap(flow_records(20_000, size=10)))
    with running(plan(path, window=SMALL, loop=0)) as source:
        source.ready()
        until(lambda: [reader.name() for reader in children(source)] == ["zc-read"] * 2)
        readers = children(source)
        consumer = Consumer(source.rings[0])
        source.go()
        until(lambda: consumer["write"] == 64)
        readers[0].send_signal(number)
        events: list[SourceEvent] = []
        taken: list[Frame] = []
        while not events:
            taken += consumer.take()
            events += source.poll_events()
        taken += consumer.take()
        assert events[-1].kind == "failed"
        name = signal.Signals(number).name
        assert f"a reader of the software NIC (pid {readers[0].pid}) was killed by {name}" in events[-1].text
        assert len(taken) == consumer["arrived"]
        round_ = [record.data for record in flow_records(20_000, size=10)]
        assert [f.data for f in taken] == [round_[i % 20_000] for i in range(len(taken))]
        until(lambda: not any(reader.is_running() for reader in readers))


@pytest.mark.usefixtures("several_cpus")
def test_readers_end_with_the_nic(tmp_path: Path) -> None:
    path = tmp_path / "a.pcap"
    path.write_bytes(pcap(flow_records(20_000, size=10)))
    with running(plan(path, window=SMALL, loop=0)) as source:
        source.ready()
        readers = children(source)
        source.go()
        assert source.pid is not None
        os.kill(source.pid, signal.SIGKILL)
        (event,) = await_all(source)
        assert "the software NIC" in event.text
        until(lambda: not any(r.is_running() and r.status() != psutil.STATUS_ZOMBIE for r in readers))


class Between:
    """In place of a WindowReader: one that stands between two rings for a moment."""

    def __init__(self, written: int) -> None:
        self._written = written

    def begin(self, job: Job, fd: int) -> None:
        pass

    def read_on(self) -> int:
        os.write(self._written, b"one ring")
        time.sleep(0.05)
        os.write(self._written, b"the other")
        return OVER


def test_a_reader_is_not_ended_between_two_rings(tmp_path: Path) -> None:
    """Else a run that is stopped would have frames behind some that it has not."""
    seen, written = os.pipe()
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with os.fdopen(seen, "rb", buffering=0) as read, ours, theirs, (tmp_path / "a").open("w+") as file:
        readers = Readers(1, lambda: cast(WindowReader, Between(written)), ChildEnd(theirs), lambda channel: None)
        os.close(written)
        readers.begin(Job(0, 2, 0, 1, 0, 0, NO_FORM), file.fileno())
        assert read.read(100) == b"one ring"
        readers.close()
        assert read.read(100) == b"the other"


def test_memory_is_bounded(tmp_path: Path) -> None:
    """A window is used again when every ring has passed it, and not before."""
    path = tmp_path / "a.pcap"
    path.write_bytes(pcap(flow_records(20_000, size=10)))
    with running(plan(path, queues=2, slots=65536, window=SMALL)) as source:
        consumers = [Consumer(ring) for ring in source.rings]
        source.go()
        until(lambda: sum(c["write"] for c in consumers) >= 8 * 50)
        time.sleep(0.2)
        written = sum(c["write"] for c in consumers)
        assert written < 16 * 60, "more windows than there are hold frames that nobody has read"
        before = [[f.data for f in c.take()] for c in consumers]
        assert sum(map(len, before)) == written
        until(lambda: sum(c["write"] for c in consumers) > written)


@pytest.mark.needs("tshark")
def test_lengths_as_tshark_has_them(tmp_path: Path) -> None:
    path = tmp_path / "a.pcapng"
    path.write_bytes(pcapng([Record(ethernet(udp4(1, 2, 3, 4, bytes(i * 97 % 9000))), i) for i in range(400)]))
    command = ["tshark", "-r", str(path), "-T", "fields", "-e", "frame.cap_len", "-e", "frame.len"]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    (taken,), _, _ = replay(plan(path, slots=256, window=SMALL))
    assert [str(n) for frame in taken for n in (frame.len, frame.wire_len)] == told
