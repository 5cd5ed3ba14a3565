"""A ring for other programs by its parts: what the writer leaves in it, also where it is killed in a write."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from zcframe.framework import abi
from zcframe.framework.errors import UsageError
from zcframe.framework.outputs.ring.memory import RingMemory, RingSink
from zcframe.framework.outputs.spec import parse_output
from zcframe.framework.outputs.writer.account import COUNT, Account, account_size
from zcframe.framework.outputs.writer.gaps import Gaps
from zcframe.framework.outputs.writer.merge import Merge
from zcframe.framework.outputs.writer.stream import Stream
from zcframe.framework.ring import Mapping, make_memory

from . import test_outputs

SLOTS, BLOCK = 64, 128


class Worker(test_outputs.Ring):
    """A worker that hands on records for rings: frame n is of n + 1 bytes, at time n, and has n as its hash."""

    def hand_on(self, *numbers: int) -> None:
        for number in numbers:
            frame = bytes([number % 251]) * (number + 1)
            kept = frame[:BLOCK] + bytes(-len(frame[:BLOCK]) % 8)
            size = 40 + len(kept)
            head = struct.pack("=8I", 6, size, 3, 0, number, len(frame[:BLOCK]), len(frame), number)
            record = head + struct.pack("=HHI", abi.STATUS_HW_TIME, abi.RSS_IPV4, 0) + kept
            self.memory[self.end : self.end + size] = np.frombuffer(record, np.uint8)
            self.end, self.frames = self.end + size, self.frames + 1
        self.leave_mark(numbers[-1])


class Killed(Exception):
    pass


@pytest.fixture
def memory() -> Iterator[RingMemory]:
    made = RingMemory("test", SLOTS, BLOCK)
    yield made
    made.close()


@pytest.fixture
def account() -> Account:
    size = account_size(1)
    return Account(Mapping(make_memory("zc-test-account", size), size, writable=True), 0, 1)


def stream(memory: RingMemory, account: Account, worker: Worker) -> Stream:
    """A writer that takes over."""
    merge = Merge([worker.row(0)], ng=True, live=False)
    made = Stream(merge, [0], account, RingSink(memory), list, Gaps([]))
    made.begin()
    return made


def written(account: Account) -> int:
    return int(account.read()[COUNT.written])


def found(memory: RingMemory) -> list[tuple[int, int, bytes]]:
    """(time, length on the wire, bytes) of what is published and still there."""
    ring, blocks = memory._ring, memory._buffer
    descs = ring.view(abi.DESC, abi.PAGE_SIZE, SLOTS)
    rows = []
    for number in range(max(0, memory.arrived - SLOTS), memory.arrived):
        desc = descs[number % SLOTS]
        at, length = int(desc["offset"]), int(desc["len"])
        assert (at, int(desc["port"])) == (number % SLOTS * BLOCK, 3)
        assert int(desc["status"]) & ~abi.STATUS_TRUNCATED == abi.STATUS_HW_TIME
        assert bool(desc["status"] & abi.STATUS_TRUNCATED) == (desc["wire_len"] > length)
        assert (desc["rss_hash"], desc["rss_type"]) == (desc["timestamp"], abi.RSS_IPV4)
        rows.append((int(desc["timestamp"]), int(desc["wire_len"]), blocks.view("u1", at, length).tobytes()))
    return rows


def wanted(numbers: Any) -> list[tuple[int, int, bytes]]:
    return [(n, n + 1, (bytes([n % 251]) * (n + 1))[:BLOCK]) for n in numbers]


def test_slots_are_overwritten_in_turn(memory: RingMemory, account: Account) -> None:
    worker = Worker()
    one = stream(memory, account, worker)
    worker.hand_on(*range(200))
    before = 0
    while one.turn(ended=False):
        assert memory.arrived - before <= SLOTS // 4
        before = memory.arrived
    assert memory.arrived == written(account) == 200
    assert int(memory._header["write"][0]) == 200
    assert found(memory) == wanted(range(136, 200))


def test_killed_in_a_write(memory: RingMemory, account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    """In front of the store that publishes, the write is done again; behind it, it is done."""
    worker = Worker()
    worker.hand_on(1, 2, 3)

    def killed(*_: object) -> int:
        raise Killed

    with monkeypatch.context() as early, pytest.raises(Killed):
        early.setattr(memory, "fill", killed)
        stream(memory, account, worker).turn(ended=False)
    assert account.interrupted and (memory.arrived, written(account)) == (0, 0)
    with monkeypatch.context() as late:
        one = stream(memory, account, worker)
        late.setattr(account, "commit", killed)
        with pytest.raises(Killed):
            one.turn(ended=False)
    assert account.interrupted and (memory.arrived, written(account)) == (3, 0)
    successor = stream(memory, account, worker)
    assert (memory.arrived, written(account)) == (3, 3)
    worker.hand_on(4)
    while successor.turn(ended=False):
        pass
    assert found(memory) == wanted((1, 2, 3, 4)) and written(account) == 4


@pytest.mark.parametrize(
    "option", ["slots=100", "slots=32", "block=5000", "block=65536", "mode=9", "group=no-such", "readers=0"]
)
def test_options_that_are_wrong(option: str) -> None:
    with pytest.raises(UsageError, match=option):
        parse_output(f"ring:x,{option}")
