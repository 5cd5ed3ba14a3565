"""How the software NIC keeps time, waits, drops and wakes."""

from __future__ import annotations

import os
from pathlib import Path

import numba
import pytest

from tests.kit.capture_build import (
    Record,
    enhanced,
    flow_records,
    interface,
    pcap,
    section,
)
from tests.kit.soft_nic import (
    PATIENCE,
    Consumer,
    Frame,
    await_end,
    plan,
    replay,
    running,
    until,
)
from zcframe.framework import abi
from zcframe.framework.ring import Ring
from zcframe.framework.sources.base import SourceEvent


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
