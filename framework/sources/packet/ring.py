"""One worker's packet socket, and the ring of blocks that the kernel fills for it."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from zcframe.framework import abi
from zcframe.framework.packet.decode import MAX_LENGTH
from zcframe.framework.ring import Mapping, PulledRing, RingEnd
from zcframe.framework.rss.toeplitz import toeplitz_tables
from zcframe.framework.sources.plan import LivePlan

from . import gate
from .losses import Losses
from .pull import WORDS, notes_size, pull
from .socket import clear_error, make_blocks, open_socket, statistics

# Every frame of this interface is seen going out and coming in.
LOOPBACK: Final = "lo"
# A block is handed over when its time is up, however little is in it: 32 of them bear a worker that stands still, or is
# being replaced, for 0.6 s of sparse traffic. Blocks of 1 MiB would bear 0.16 s.
BLOCK_SIZE: Final = 256 << 10
# A block takes the longest frame that a plugin can see. The kernel needs one to fill while others are being read.
MIN_BLOCK_SIZE: Final = 64 << 10
MIN_BLOCKS: Final = 4
# A block that is not full goes to the worker so long after its first frame, at most twice that.
RETIRE_MS: Final = 20
# A worker naps for a quarter of the time in which the kernel, as fast as it can, fills all blocks; no longer than this.
LONGEST_NAP_S: Final = 2e-3
BYTES_A_SECOND: Final = 1e9
COUNTER_BITS: Final = 0xFFFFFFFF


def blocks_for(slots: int) -> tuple[int, int]:
    """(bytes of a block, number of blocks) that hold as many bytes as a User Buffer of so many slots."""
    wanted = slots * abi.BLOCK_SIZE
    size = min(max(wanted // MIN_BLOCKS, MIN_BLOCK_SIZE), BLOCK_SIZE)
    return size, max(wanted // size, MIN_BLOCKS)


def nap_for(size: int) -> float:
    """Seconds that a worker may nap with so many bytes of blocks."""
    return min(LONGEST_NAP_S, size / 4 / BYTES_A_SECOND)


class Puller:
    """What the worker calls for frames. words: see `pull`; notes, tables: what they point to, kept as long."""

    def __init__(self, notes: Mapping, tables: np.ndarray[Any, Any]) -> None:
        self.words = np.zeros(WORDS, np.int64)
        self._notes, self._tables = notes, tables

    def __call__(self, _: RingEnd) -> int:
        return int(pull(self.words))


class PacketRing(PulledRing):
    """The ring of worker `number` of the interface, and its socket, to which nothing comes before `open_gate()`.

    losses: of the interface as a whole, on the books of this ring. Raises PacketError, and RingError where memory does
    not suffice.
    """

    def __init__(self, plan: LivePlan, number: int, losses: Losses | None = None) -> None:
        self._plan, self._losses = plan, losses
        self._block_size, self._blocks = blocks_for(plan.ring_slots)
        self._tables = toeplitz_tables(plan.rss.key)
        self._arrived = self._dropped = 0
        self._settled = False
        domain, notes = plan.first + number, notes_size(self._blocks)
        super().__init__(number, plan.ring_slots, plan.ifname, domain=domain, longest=MAX_LENGTH, notes=notes)
        with self._undo as undo:
            self.socket = undo.closing(open_socket(plan.ifname))
            gate.shut(self.socket)
            make_blocks(self.socket, self._block_size, self._blocks, RETIRE_MS)
            self._undo = undo.pop_all()

    def open_gate(self) -> None:
        """Let frames come; what this machine sends is left out where it is seen twice, or no card chose its queue."""
        if self._plan.verify or self._plan.ifname == LOOPBACK:
            gate.open_for_received(self.socket)
        else:
            gate.open_for_all(self.socket)

    def close_gate(self) -> None:
        """Let no more frames come; what has come stays."""
        gate.shut(self.socket)

    def clear_error(self) -> None:
        """Have poll() no longer tell that the interface went down."""
        clear_error(self.socket)

    def consumer(self) -> RingEnd:
        """Map as a worker does, blocks and notes as well; it goes on where its predecessor ended."""
        blocks = Mapping(self.socket.fileno(), self._block_size * self._blocks, writable=True)
        notes = self.notes()
        puller = Puller(notes, self._tables)
        end = self.end(blocks, self.socket.fileno(), puller, nap_for(self._block_size * self._blocks))
        puller.words[:] = [
            *(end.header_address, end.desc_address, end.user_address, end.slots, notes.address),
            *(blocks.address, self._block_size, self._blocks, MAX_LENGTH),
            *(self._tables.ctypes.data, self._plan.rss.field_mask, self._plan.port),
        ]
        return end

    def account(self) -> None:
        """Bring the books up to date, until all is settled."""
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
        """Whether the worker has fetched all that came before the gate was shut; the books are closed then."""
        self.account()
        fetched = int(self.counters["write"][0])
        self._settled = self._settled or fetched == (self._arrived - self._dropped) & COUNTER_BITS
        return self._settled
