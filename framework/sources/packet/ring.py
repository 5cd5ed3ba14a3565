"""One worker's packet socket, and the ring of blocks that the kernel fills for it."""

from __future__ import annotations

from functools import partial
from typing import Any, Final, NamedTuple

import numpy as np

from zcframe.framework import abi
from zcframe.framework.config import ANY
from zcframe.framework.filters.program import Program
from zcframe.framework.jit.words import words_of
from zcframe.framework.packet.decode import MAX_LENGTH
from zcframe.framework.ring import Mapping, PulledRing, Puller, RingEnd
from zcframe.framework.rss.toeplitz import toeplitz_tables
from zcframe.framework.sources.plan import LivePlan

from . import gate
from .losses import Losses
from .pull import CTX, PullContext, notes_size, pull_for
from .refuse import Refusal, refusal_for
from .socket import clear_error, make_blocks, open_socket, statistics

# A block is handed over when its time is up, however little is in it. 32 blocks last for 0.6 s of sparse traffic while
# a worker stands still or is replaced; blocks of 1 MiB would last for 0.16 s.
BLOCK_SIZE: Final = 256 << 10
# A block holds the longest frame that a plugin can see. The kernel fills one block while others are read.
MIN_BLOCK_SIZE: Final = 64 << 10
MIN_BLOCKS: Final = 4
# A block that is not full goes to the worker so long after its first frame, at most twice that.
RETIRE_MS: Final = 20
# A worker naps for half the time in which the kernel, as fast as it can, fills all blocks; no longer than this.
LONGEST_NAP_S: Final = 4e-3
BYTES_A_SECOND: Final = 1e9
COUNTER_BITS: Final = 0xFFFFFFFF


def blocks_for(slots: int) -> tuple[int, int]:
    """(bytes of a block, number of blocks) that hold as many bytes as a User Buffer of so many slots."""
    wanted = slots * abi.BLOCK_SIZE
    size = min(max(wanted // MIN_BLOCKS, MIN_BLOCK_SIZE), BLOCK_SIZE)
    return size, max(wanted // size, MIN_BLOCKS)


class Shape(NamedTuple):
    """How the frames of an interface come.

    loopback: whether each is seen going out and coming in; mixed: whether some have no Ethernet header.
    """

    loopback: bool = False
    mixed: bool = False


class BlockMemory(NamedTuple):
    """The blocks that the kernel fills, and the notes of how far a worker has walked in them."""

    blocks: Mapping
    block_size: int
    block_count: int
    notes: Mapping


def nap_for(size: int) -> float:
    """Seconds that a worker may nap with so many bytes of blocks."""
    return min(LONGEST_NAP_S, size / 2 / BYTES_A_SECOND)


def make_puller(plan: LivePlan, memory: BlockMemory, tables: np.ndarray[Any, Any], mixed: bool, end: RingEnd) -> Puller:
    """What brings frames to a worker.

    memory: blocks and notes, mapped; tables: as `toeplitz_tables` returns them; mixed: as for `pull_for`.
    """
    context = PullContext(
        header=end.header_address,
        descriptors=end.desc_address,
        user=end.user_address,
        slots=end.slots,
        notes=memory.notes.address,
        blocks=memory.blocks.address,
        block_size=memory.block_size,
        block_count=memory.block_count,
        longest=MAX_LENGTH,
        tables=int(tables.ctypes.data),
        fields=plan.rss.field_mask,
        hashes=1,
        port=plan.port,
    )
    return Puller(pull_for(mixed), words_of(context), CTX.hashes, memory, tables)


def _sum(*counts: tuple[int, int]) -> tuple[int, int]:
    """Frames and bytes of all."""
    return sum(frames for frames, _ in counts), sum(octets for _, octets in counts)


class PacketRing(PulledRing):
    """The ring of worker `number` of the interface, and its socket, to which nothing comes before `open_gate()`.

    shape: of the interface's frames. losses: of the interface as a whole, counted in this ring. Raises PacketError, and
    RingError where memory does not suffice.
    """

    def __init__(self, plan: LivePlan, number: int, shape: Shape, losses: Losses | None = None) -> None:
        self._plan, self._shape, self._losses = plan, shape, losses
        self._block_size, self._blocks = blocks_for(plan.ring_slots)
        self._tables = toeplitz_tables(plan.rss.key)
        self._arrived = self._dropped = 0
        self._settled = False
        self._refusal: Refusal | None = None
        # In whose place another one came: a frame that was on its way then may still count.
        self._former: list[Refusal] = []
        self._over = 0, 0
        self._refused = 0, 0
        domain, notes = plan.first + number, notes_size(self._blocks)
        super().__init__(number, plan.ring_slots, plan.ifname, domain=domain, longest=MAX_LENGTH, notes=notes)
        with self._undo as undo:
            self.socket = undo.closing(open_socket(plan.ifname))
            gate.shut(self.socket)
            make_blocks(self.socket, self._block_size, self._blocks, RETIRE_MS)
            self._undo = undo.pop_all()

    @property
    def memory(self) -> int:
        """With the blocks that the kernel fills."""
        return super().memory + self._block_size * self._blocks

    def open_gate(self) -> None:
        """Let frames come; those that this machine sends only where they are seen once, and queues are not verified."""
        if self._refusal is not None and self._refusal.attach(self.socket):
            return
        if self._plan.verify or self._shape.loopback:
            gate.open_for_received(self.socket)
        elif self._plan.ifname == ANY:
            gate.open_for_all_once(self.socket)
        else:
            gate.open_for_all(self.socket)

    def filter_in_kernel(self, program: Program | None) -> None:
        """Have the kernel refuse frames that this program rejects, where it takes it, from `open_gate()` on.

        It may be called again while frames come, each time with `open_gate()` behind it. None: it refuses none.
        """
        if self._refusal is not None:
            self._former.append(self._refusal)
        # Nothing is on its way any more by one that was taken off with the change before.
        while len(self._former) > 1:
            self._over = _sum(self._over, self._former[0].read())
            self._former.pop(0).close()
        loopback = self._shape.loopback
        self._refusal = refusal_for(program, self.ifname, loopback=loopback) if program is not None else None
        if self._refusal is not None:
            self._undo.closing(self._refusal)

    @property
    def refused(self) -> tuple[int, int]:
        """Frames and bytes that the kernel refused; final when all is settled."""
        if not self._settled:
            current = [self._refusal] if self._refusal is not None else []
            self._refused = _sum(self._over, *(refusal.read() for refusal in (*self._former, *current)))
        return self._refused

    def close_gate(self) -> None:
        """Let no more frames come; what has come stays."""
        gate.shut(self.socket)

    def clear_error(self) -> None:
        """Clear the error by which poll() reports that the interface went down."""
        clear_error(self.socket)

    def consumer(self) -> RingEnd:
        """Map as a worker does, blocks and notes as well; it goes on where its predecessor ended."""
        blocks = Mapping(self.socket.fileno(), self._block_size * self._blocks, writable=True)
        memory = BlockMemory(blocks, self._block_size, self._blocks, self.notes())
        puller = partial(make_puller, self._plan, memory, self._tables, self._shape.mixed)
        return self.end(blocks, self.socket.fileno(), puller, nap_for(self._block_size * self._blocks))

    def account(self) -> None:
        """Bring the counters up to date, until all is settled."""
        if self._settled:
            return
        arrived, dropped = statistics(self.socket)
        self._arrived += arrived
        self._dropped += dropped
        books = self.counters
        books["ring_full"], books["arrived"] = self._dropped, self._arrived
        if self._losses is not None:
            self._losses.refresh()
            books["nic_drop"] = self._losses.lost
            books["arrived"] += np.uint64(self._losses.lost)
            books["flags"] |= abi.RING_AT_LEAST if self._losses.at_least else 0

    def settle(self) -> bool:
        """Whether the worker has fetched all that came before the gate was shut; then the counters are final."""
        self.account()
        fetched = int(self.counters["write"][0])
        self._refused = self.refused
        self._settled = self._settled or fetched == (self._arrived - self._dropped) & COUNTER_BITS
        return self._settled
