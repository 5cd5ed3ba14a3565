"""What the software NIC makes of files: progress, damage, link types, and of pipes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from tests.kit.capture_build import (
    Record,
    block,
    enhanced,
    flow_records,
    interface,
    pcap,
    pcapng,
    section,
)
from tests.kit.soft_nic import (
    Consumer,
    await_all,
    await_end,
    descriptors,
    plan,
    replay,
    running,
    until,
)
from zcframe.framework.errors import CaptureFileError, LinkTypeError, UsageError
from zcframe.framework.rss import RssConfig
from zcframe.framework.sources.base import Source, SourceEvent
from zcframe.framework.sources.soft82576 import ReplayPlan, Soft82576


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
