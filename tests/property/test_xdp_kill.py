"""A worker is killed between any two instructions of `pull`: no frame is lost or doubled, nor is any chunk.

The kernel's side is simulated here: it takes chunks from the fill ring, and refuses one that is somewhere else already.
"""

from __future__ import annotations

import gc
import mmap
import socket
import struct
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.kit.traced import Traced
from zcframe.framework import abi
from zcframe.framework.jit.words import words_of
from zcframe.framework.rss import SYMMETRIC_KEY
from zcframe.framework.rss.fields import field_mask
from zcframe.framework.rss.toeplitz import hash_frame, toeplitz_tables
from zcframe.framework.sources.xdp.metadata import ALL, MAGIC, abi_types
from zcframe.framework.sources.xdp.pull import PullContext, pull, warm_up

SLOTS, RX, CHUNKS, CHUNK, HEADROOM = 16, 32, 64, 128, 32
BITS = 0xFFFFFFFF
FIELDS = "5-tuple"
TABLES = toeplitz_tables(SYMMETRIC_KEY)
TYPES = abi_types(field_mask(FIELDS))
# Counters that have just begun, and such as are about to come round.
STARTS = (0, BITS - 20)
# A page for each thing that is shared; of one worker: header, user's page, notes, receive ring, descriptors.
PAGES = 6
HEADER, USER, NOTES, RECEIVE, DESCRIPTORS = (page * abi.PAGE_SIZE for page in range(5))
ENTRIES = 64


def frame_of(worker: int, number: int) -> bytes:
    """The number-th frame for a worker: UDP from an address that tells both."""
    ip = bytes.fromhex("4500002e00000000401100000a") + bytes((worker, number >> 8, number & 255)) + bytes((10, 9, 9, 9))
    return bytes(12) + b"\x08\x00" + ip + bytes.fromhex("0035003500120000") + number.to_bytes(4) * 2


def record_of(number: int, reported: int) -> bytes:
    """What the card tells of the number-th frame: UDP over IPv4 with a tag of 802.1Q."""
    return struct.pack("=QIIHHI", number + 1, number + 2, 41, socket.htons(0x8100), number + 3, MAGIC | reported)


class Machine:
    """Shared memory of `workers` sockets on one queue, and the kernel's own knowledge of it.

    reported: what the card tells of each frame: its time, hash and tag, of which each is the number of the frame, and more.
    """

    def __init__(self, workers: int, start: int, reported: int = 0) -> None:
        self.workers, self.start, self.reported = workers, start, reported
        self.chunks = workers * CHUNKS
        self.fill_size = 1 << (self.chunks - 1).bit_length()
        self._fill = (workers * PAGES) * abi.PAGE_SIZE
        self._guard = self._fill + 2 * abi.PAGE_SIZE
        self._blocks = self._guard + abi.PAGE_SIZE
        self._map = mmap.mmap(-1, self._blocks + self.chunks * CHUNK)
        self.bytes: np.ndarray[Any, Any] = np.frombuffer(self._map, np.uint8)
        self.address = int(self.bytes.ctypes.data)
        # The kernel's: how far it is in the fill ring, frames per worker. Ours: frames that workers were done with.
        self.taken = start
        self.sent = [0] * workers
        self.seen: list[list[int]] = [[] for _ in range(workers)]
        self._begin()
        self.contexts = [self._context(worker) for worker in range(workers)]

    def word(self, at: int) -> np.ndarray[Any, Any]:
        return self.bytes[at : at + 4].view("u4")

    def _begin(self) -> None:
        for worker in range(self.workers):
            base = worker * PAGES * abi.PAGE_SIZE
            for at in (HEADER + abi.HEADER_WRITE, USER + abi.USER_READ, RECEIVE, RECEIVE + 4):
                self.word(base + at)[0] = self.start
            self.bytes[base + NOTES : base + NOTES + 8].view("u8")[0] = self.start << 32 | self.start
        self.word(self._fill)[0] = (self.start + self.chunks) & BITS
        for number in range(self.chunks):
            self._fill_entry(self.start + number)[0] = number * CHUNK

    def _fill_entry(self, number: int) -> np.ndarray[Any, Any]:
        at = self._fill + ENTRIES + number % self.fill_size * 8
        return self.bytes[at : at + 8].view("u8")

    def _rx_entry(self, worker: int, number: int) -> np.ndarray[Any, Any]:
        at = worker * PAGES * abi.PAGE_SIZE + RECEIVE + ENTRIES + number % RX * 16
        return self.bytes[at : at + 16].view("u8,u4,u4")

    def _desc(self, worker: int, number: int) -> np.ndarray[Any, Any]:
        at = worker * PAGES * abi.PAGE_SIZE + DESCRIPTORS + number % SLOTS * abi.DESC_SIZE
        return self.bytes[at : at + abi.DESC_SIZE].view(abi.DESC)

    def _context(self, worker: int) -> np.ndarray[Any, Any]:
        base, fill = self.address + worker * PAGES * abi.PAGE_SIZE, self.address + self._fill
        context = PullContext(
            header=base + HEADER,
            descriptors=base + DESCRIPTORS,
            slots=SLOTS,
            user=base + USER,
            chunks=self.address + self._blocks,
            notes=base + NOTES,
            guard=self.address + self._guard,
            number=worker + 1,
            rx_producer=base + RECEIVE,
            rx_consumer=base + RECEIVE + 4,
            rx_entries=base + RECEIVE + ENTRIES,
            rx_mask=RX - 1,
            fill_producer=fill,
            fill_entries=fill + ENTRIES,
            fill_flags=fill + 8,
            fill_mask=self.fill_size - 1,
            tables=int(TABLES.ctypes.data),
            fields=field_mask(FIELDS),
            hashes=1,
            port=worker,
            socket=-1,
            reported=self.reported,
            types=int(TYPES.ctypes.data),
        )
        return words_of(context)

    def counter(self, worker: int, at: int) -> int:
        """Counted from the start."""
        return (int(self.word(worker * PAGES * abi.PAGE_SIZE + at)[0]) - self.start) & BITS

    # --- the kernel

    def deliver(self, worker: int, count: int) -> None:
        """So many more frames for a worker, while there are chunks and room in its receive ring."""
        for _ in range(count):
            waiting = self.sent[worker] - self.counter(worker, RECEIVE + 4)
            assert 0 <= waiting <= RX
            if self.taken == int(self.word(self._fill)[0]) or waiting == RX:
                return
            chunk = int(self._fill_entry(self.taken)[0]) // CHUNK * CHUNK
            self.taken = (self.taken + 1) & BITS
            frame, at = frame_of(worker, self.sent[worker]), self._blocks + chunk + HEADROOM
            self.bytes[at : at + len(frame)] = np.frombuffer(frame, np.uint8)
            record = record_of(self.sent[worker], self.reported)
            self.bytes[at - len(record) : at] = np.frombuffer(record, np.uint8)
            self._rx_entry(worker, self.start + self.sent[worker])[0] = (chunk + HEADROOM, len(frame), 0)
            self.sent[worker] += 1
            self.word(worker * PAGES * abi.PAGE_SIZE + RECEIVE)[0] = (self.start + self.sent[worker]) & BITS

    # --- a worker

    def pull(self, worker: int) -> int:
        return int(pull(self.contexts[worker], 5))

    def consume(self, worker: int) -> None:
        """What the chain does: look at what is in the ring, release it."""
        base = worker * PAGES * abi.PAGE_SIZE
        for number in range(
            self.counter(worker, USER + abi.USER_READ), self.counter(worker, HEADER + abi.HEADER_WRITE)
        ):
            desc = self._desc(worker, self.start + number)[0]
            at = self._blocks + int(desc["offset"])
            frame = self.bytes[at : at + int(desc["len"])].tobytes()
            assert frame == frame_of(worker, number), (worker, number)
            assert int(desc["port"]) == worker
            names = ("rss_type", "rss_hash", "timestamp", "wire_len", "vlan_tpid", "vlan_tci", "status")
            assert tuple(int(desc[name]) for name in names) == self._expected(frame, number)
            self.seen[worker].append(number)
        self.word(base + USER + abi.USER_READ)[0] = self.word(base + HEADER + abi.HEADER_WRITE)[0]

    def _expected(self, frame: bytes, number: int) -> tuple[int, ...]:
        if self.reported:
            status = abi.STATUS_HW_TIME | abi.STATUS_VLAN
            return abi.RSS_UDP_IPV4, number + 2, number + 1, len(frame) + 4, 0x8100, number + 3, status
        return *hash_frame(frame, SYMMETRIC_KEY, FIELDS), 5, len(frame), 0, 0, 0

    # --- what must hold

    def check(self) -> None:
        """When every worker has pulled in peace: each frame once and in order, each chunk in one place."""
        places: Counter[int] = Counter()
        for number in range((int(self.word(self._fill)[0]) - self.taken) & BITS):
            places[int(self._fill_entry(self.taken + number)[0]) // CHUNK] += 1
        for worker in range(self.workers):
            note = int(self.bytes[worker * PAGES * abi.PAGE_SIZE + NOTES :][:8].view("u8")[0])
            back = ((note >> 32) - self.start) & BITS
            write = self.counter(worker, HEADER + abi.HEADER_WRITE)
            for number in range(back, write):
                places[int(self._desc(worker, self.start + number)[0]["offset"]) // CHUNK] += 1
            for number in range(write, self.sent[worker]):
                places[int(self._rx_entry(worker, self.start + number)[0][0]) // CHUNK] += 1
            assert self.seen[worker] == list(range(self.counter(worker, USER + abi.USER_READ)))
        assert places == Counter(range(self.chunks))
        assert int(self.word(self._guard)[0]) == 0

    def finish(self) -> None:
        """Go on in peace until all is seen and all chunks are where they belong."""
        for _ in range(3):
            for worker in range(self.workers):
                self.deliver(worker, 9)
            while any(self.pull(worker) for worker in range(self.workers)):
                for worker in range(self.workers):
                    self.consume(worker)
        assert [len(seen) for seen in self.seen] == self.sent
        self.check()

    def keep(self) -> tuple[bytes, int, list[int], list[list[int]]]:
        return self.bytes.tobytes(), self.taken, list(self.sent), [list(seen) for seen in self.seen]

    def put_back(self, kept: tuple[bytes, int, list[int], list[list[int]]]) -> None:
        self.bytes[:] = np.frombuffer(kept[0], np.uint8)
        self.taken, self.sent, self.seen = kept[1], list(kept[2]), [list(seen) for seen in kept[3]]


@pytest.fixture(scope="module", autouse=True)
def compiled() -> None:
    warm_up()
    machine = Machine(1, 0)
    machine.pull(0)


def half_way(workers: int, start: int, reported: int = 0) -> Machine:
    """Each worker has chunks to give back, and more frames waiting than it has room for."""
    machine = Machine(workers, start, reported)
    for worker in range(workers):
        machine.deliver(worker, 11)
        machine.pull(worker)
        machine.consume(worker)
        machine.deliver(worker, 25)
    return machine


@pytest.fixture
def stepping() -> Iterator[Callable[[Machine], Traced]]:
    """Start worker 0's pull under trace."""
    made: list[Traced] = []

    def start(machine: Machine) -> Traced:
        gc.collect()
        made.append(Traced.ahead_of(lambda: machine.pull(0)))
        return made[-1]

    yield start
    for traced in made:
        traced.kill()


def each_change(machine: Machine, traced: Traced) -> Iterator[int]:
    """Step on; after each change of memory, its number. The caller puts back what it changes itself."""
    before, changes = machine.bytes.tobytes(), 0
    while traced.to_store():
        now = machine.bytes.tobytes()
        if now != before:
            before, changes = now, changes + 1
            yield changes
    assert machine.bytes.tobytes() == before, "it stored unseen"


def succeed(machine: Machine) -> None:
    """Others go on meanwhile; then a successor comes for worker 0."""
    for _ in range(4):
        for other in range(1, machine.workers):
            machine.deliver(other, 7)
            machine.pull(other)
            machine.consume(other)
    machine.finish()


@pytest.mark.needs("tracing")
@pytest.mark.parametrize(
    ("workers", "start", "reported"), [(1, 0, 0), (2, 0, 0), (1, STARTS[1], 0), (2, STARTS[1], 0), (2, STARTS[1], ALL)]
)
def test_killed_after_any_store(stepping: Callable[[Machine], Traced], workers: int, start: int, reported: int) -> None:
    machine = half_way(workers, start, reported)
    changes = 0
    for changes in each_change(machine, stepping(machine)):  # noqa: B007
        kept = machine.keep()
        succeed(machine)
        machine.put_back(kept)
    # Eleven chunks go back, eleven or more frames are described, by several stores each.
    assert changes > 50
    succeed(machine)


@pytest.mark.long
@pytest.mark.needs("tracing")
def test_killed_after_any_store_of_a_succession(stepping: Callable[[Machine], Traced]) -> None:
    """A worker is killed with the fill ring in its hand, at every point of that; its successor after any store, too."""
    held = 0
    machine = half_way(2, STARTS[1])
    for _ in each_change(machine, stepping(machine)):
        if not int(machine.word(machine._guard)[0]):
            continue
        held += 1
        first = machine.keep()
        second = stepping(machine)
        for _ in each_change(machine, second):
            kept = machine.keep()
            succeed(machine)
            machine.put_back(kept)
            if not int(machine.word(machine._guard)[0]):
                break
        second.kill()
        machine.put_back(first)
    assert held > 11


def test_nobody_waits_for_who_holds_the_fill_ring() -> None:
    """A worker that stands still there keeps back what others would give, and none of what they receive."""
    machine = half_way(2, 0)
    machine.word(machine._guard)[0] = 1 << 1
    before = int(machine.word(machine._fill)[0])
    assert machine.pull(1) == 25
    machine.consume(1)
    assert machine.seen[1] == list(range(16))
    assert int(machine.word(machine._fill)[0]) == before
    machine.finish()


def test_a_full_ring_still_tells_that_frames_wait() -> None:
    """Else a worker that drains would leave them behind."""
    machine = half_way(1, 0)
    machine.pull(0)
    assert machine.pull(0) > 0
    machine.finish()


@given(
    steps=st.lists(st.tuples(st.sampled_from(["deliver", "pull", "consume"]), st.integers(0, 2), st.integers(1, 40))),
    start=st.sampled_from(STARTS),
    reported=st.sampled_from([0, ALL]),
)
@settings(deadline=None)
def test_any_order_of_things(steps: list[tuple[str, int, int]], start: int, reported: int) -> None:
    machine = Machine(3, start, reported)
    for what, worker, count in steps:
        if what == "deliver":
            machine.deliver(worker, count)
        else:
            getattr(machine, what)(worker)
    machine.finish()
