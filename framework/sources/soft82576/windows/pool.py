"""Windows of capture files in memory that all rings share: frames are described where they were read to.

Window number n lies in slot n mod `slots`. Numbers go up by one, over all files and rounds, as 32-bit words that wrap;
so do the slots: the oldest window makes room for the next one when every ring has passed it.

    freed <= appended <= taken <= freed + slots
        freed      windows below are behind `read` of every ring
        appended   windows below are in the rings; whoever holds window `appended` has the turn
        taken      windows below were given to a reader

All three are moved by compare and exchange, or by whoever has the turn.
"""

from __future__ import annotations

import mmap
import os
from typing import Final, NamedTuple

import numpy as np

from zcframe.framework import abi
from zcframe.framework.jit.words import Words, numbered
from zcframe.framework.packet.decode import MAX_LENGTH
from zcframe.framework.ring import Mapping, SharedBuffer, Undo, make_memory, whole_pages
from zcframe.framework.sources.capture.records import MAX_FRAME
from zcframe.framework.sources.capture.window import FRONT, SLACK
from zcframe.framework.sources.soft82576.queues import QueueTable

# Bytes of a file that one window holds. The more memory windows take in turn, the longer the kernel's copy waits for
# cache lines that another CPU had last; the smaller they are, the more often a packet changes hands.
WINDOW: Final = 128 << 10
# A window ends with the record that begins in it, however far that reaches into the next.
TAIL: Final = MAX_FRAME + abi.PAGE_SIZE
# So much of the next window is read, too: the last record seldom reaches further.
OVERLAP: Final = 4 << 10
# A record of fewer bytes has no IP header. Where a window holds more records than that, it is read in order.
BYTES_A_ROW: Final = 32
# Windows a queue, so that a worker can nap and still find work: as many bytes as its blocks had elsewhere.
WINDOWS_A_QUEUE: Final = 4
FEWEST: Final = 8
# A worker that has emptied its ring comes back when so many slots can have been filled, at the fastest pace.
NAP_PER_SLOT: Final = 6e-9
# No process of a run works longer in one piece, while those that share its CPU are awaited: workers with their plugins
# at what lies in the windows. Whatever takes longer is a stranger.
TURN_NS: Final = 700_000
LONGEST_NAP: Final = 2e-3
LINE: Final = abi.CACHE_LINE // 8


class Shared(NamedTuple):
    """Words that the NIC and its readers share; the first five have a cache line each.

    The rest is of the job, and belongs to whoever has the turn.
    """

    taken: int = 0
    freed: int = LINE
    appended: int = 2 * LINE
    stopped: int = 3 * LINE  # not 0: no more windows of the job will be needed
    ended: int = 4 * LINE  # not 0: the job is done, or as many frames as were wanted
    last: int = 5 * LINE  # number behind the last window of the job
    left: int = 5 * LINE + 1  # frames that may still come
    end: int = 5 * LINE + 2  # offset in the file behind the last record that was brought
    earliest: int = 5 * LINE + 3  # of the times so far
    latest: int = 5 * LINE + 4


SHARED: Final = Shared()
SHARED_WORDS: Final = 6 * LINE
NEVER: Final = int(np.iinfo(np.int64).max)


class Begin(NamedTuple):
    """Words of one slot: where its first record begins. `of` is stored last: number of the window + 1, wrapped."""

    offset: int
    of: int


BEGIN: Final = numbered(Begin)
BEGIN_SIZE: Final = abi.CACHE_LINE


def patience_for(queues: int) -> int:
    """Nanoseconds in which all processes of a run that share a CPU have had their turn."""
    cpus = len(os.sched_getaffinity(0))
    return TURN_NS * -(-(queues + cpus) // cpus)


class WindowPool:
    """The pool, made by the supervisor; `writable()` maps it in the NIC, rings map it read-only as `shared`.

    window: bytes of a file in each; queues, ring_slots: of the run. Raises RingError where memory does not suffice.
    """

    def __init__(self, queues: int, ring_slots: int, window: int = WINDOW) -> None:
        self.window = window
        self.slots = max(FEWEST, 1 << (queues * WINDOWS_A_QUEUE - 1).bit_length())
        self.stride = whole_pages(FRONT + window + TAIL + SLACK)
        nap = min(LONGEST_NAP, ring_slots * queues * NAP_PER_SLOT)
        size = self.slots * self.stride
        with Undo() as undo:
            fd = undo.fd(make_memory("zc-windows", size))
            self.shared = SharedBuffer(fd, size, MAX_LENGTH, nap, patience_for(queues))
            self._undo = undo.pop_all()

    def writable(self, queues: QueueTable) -> Windows:
        """Map as the NIC does, before rings are sealed; processes that it forks then inherit the mapping."""
        return Windows(self, queues)

    def close(self) -> None:
        self._undo.close()


class Windows:
    """The NIC's mapping of a pool, and what it shares with its readers alone.

    shared: words of Shared. begins: words of Begin, a row a slot. queues: a copy of the table, in shared memory.
    ends: int64, shape (slots, queues), how far each ring was when the slot's window was in it.
    """

    def __init__(self, pool: WindowPool, queues: QueueTable) -> None:
        self.window, self.slots, self.stride = pool.window, pool.slots, pool.stride
        self.patience_ns = pool.shared.patience_ns
        self._data = Mapping(pool.shared.fd, pool.shared.size, writable=True, populate=True)
        # Records of one window at most.
        self.rows = (pool.window + OVERLAP) // BYTES_A_ROW
        sizes = SHARED_WORDS, self.slots * LINE, queues.size, self.slots * len(queues)
        # Anonymous and shared: nobody but forks of this process can ever map it.
        words = np.frombuffer(mmap.mmap(-1, whole_pages(sum(sizes) * 8)), np.int64)
        shared, begins, table, ends = np.split(words, np.cumsum(sizes))[:-1]
        self.shared: Words = shared
        self.begins: QueueTable = begins.reshape(self.slots, LINE)
        self.queues: QueueTable = table.reshape(queues.shape)
        self.queues[:] = queues
        self.ends: QueueTable = ends.reshape(self.slots, len(queues))

    @property
    def front(self) -> int:
        """Offset of the first window's first byte, as descriptors count."""
        return FRONT

    @property
    def address(self) -> int:
        """Of the first window's first byte; the others follow, `stride` bytes apart."""
        return self._data.address + FRONT

    def slot(self, number: int) -> int:
        return number & (self.slots - 1)
