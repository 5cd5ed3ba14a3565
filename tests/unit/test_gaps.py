"""Where a gap is told: behind all that its worker had in its ring when the loss was seen, and once."""

from __future__ import annotations

import io
import struct

import dpkt

from zcframe.framework.outputs.kinds.pcapng import pcapng_head, with_comment
from zcframe.framework.outputs.output import Input
from zcframe.framework.outputs.writer.gaps import Gap, Losses, State


class Worker:
    """A worker's state as the test sets it, and the gap that looks at it."""

    def __init__(self) -> None:
        self.losses, self.written, self.done = Losses(), 0, 0
        self.gap = Gap("eth1/0", lambda: State(self.losses, self.written, self.done))


def test_a_gap_waits_until_the_worker_has_read_what_is_older() -> None:
    worker = Worker()
    worker.written, worker.losses = 10, Losses(ring_full=3)
    worker.gap.check(100)
    worker.done = 9
    worker.gap.check(200)
    worker.done, worker.written = 10, 20
    # It has read all by now; what it handed on meanwhile is in the ring by the next look.
    worker.gap.check(300)
    assert worker.gap.due(10_000) == ""
    worker.gap.check(400)
    assert [worker.gap.due(at) for at in (399, 400)] == ["", "eth1/0 ring_full 3"]
    worker.gap.told()
    worker.gap.check(500)
    assert worker.gap.due(10_000) == ""


def test_what_is_lost_meanwhile_is_told_at_the_next_place() -> None:
    worker = Worker()
    worker.losses = Losses(nic_drop=1, no_room=2)
    for _ in range(3):
        worker.gap.check(0)
    worker.losses = Losses(nic_drop=5, no_room=2)
    worker.gap.check(50)
    assert worker.gap.due(0) == "eth1/0 nic_drop 1, no_room 2"
    worker.gap.told()
    for _ in range(3):
        worker.gap.check(60)
    assert worker.gap.due(60) == "eth1/0 nic_drop 4"


def test_a_successor_tells_what_is_lost_from_then_on() -> None:
    worker = Worker()
    worker.losses = Losses(ring_full=7)
    worker.gap.begin()
    for _ in range(3):
        worker.gap.check(0)
    assert worker.gap.due(10_000) == ""


def test_positions_of_a_ring_run_round() -> None:
    worker = Worker()
    worker.written, worker.losses, worker.done = 2, Losses(ring_full=1), (1 << 32) - 1
    for _ in range(3):
        worker.gap.check(0)
    assert worker.gap.due(10_000) == ""
    worker.done = (1 << 32) + 2
    for _ in range(2):
        worker.gap.check(0)
    assert worker.gap.due(0) != ""


def test_a_comment_of_any_length_leaves_the_frame_as_it_was() -> None:
    frame = bytes(range(61))
    block = struct.pack("=IIIIIII", 6, 96, 0, 0, 7, 61, 61) + frame + bytes(3) + struct.pack("=I", 96)
    head = pcapng_head([Input("eth1", 0)], 65535, "")
    for length in range(1, 9):
        made = with_comment(block, "x" * length)
        assert [bytes(data) for _, data in dpkt.pcapng.Reader(io.BytesIO(head + made + block))] == [frame, frame]
