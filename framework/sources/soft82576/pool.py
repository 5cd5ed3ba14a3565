"""Windows of capture files in memory that all rings share: frames are described where they were read to.

Window number n lies in slot n mod `slots`. Numbers go up by one, over all files and rounds, as 32-bit words that wrap;
so do the slots: the oldest window makes room for the next one when every ring has passed it.

    freed <= appended <= taken <= freed + slots
        freed      windows below are behind `read` of every ring; the NIC moves it
        appended   windows below are in the rings; the NIC alone knows
        taken      windows below were given to a reader, by compare and exchange
"""

from __future__ import annotations

import mmap
from typing import Any, Final, NamedTuple

import numpy as np

from zcframe.framework import abi
from zcframe.framework.jit.words import numbered
from zcframe.framework.packet.decode import MAX_LENGTH
from zcframe.framework.ring import Mapping, SharedBuffer, Undo, make_memory, whole_pages
from zcframe.framework.sources.capture.records import MAX_FRAME
from zcframe.framework.sources.capture.window import FRONT, SLACK

# Bytes of a file that one window holds. The more memory windows take in turn, the longer the kernel's copy waits for
# cache lines that another CPU had last; the smaller they are, the more calls a packet costs.
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
NAP_PER_SLOT: Final = 12e-9
LONGEST_NAP: Final = 2e-3


class Shared(NamedTuple):
    """Words that the NIC and its readers share; each has a cache line for itself."""

    taken: int = 0
    freed: int = 8
    last: int = 16  # number behind the last window of the job
    stopped: int = 24  # not 0: windows of the job that are not done will not be needed


SHARED: Final = Shared()


class State(NamedTuple):
    """Words of one slot, a cache line, of which the two `..._of` are stored last: number of the window + 1, wrapped."""

    begin: int = 0  # offset in the file where the window's first record begins
    begin_of: int = 0
    rows: int = 0  # descriptors that were made
    end: int = 0  # offset in the file behind the last of these records
    whole: int = 0  # 1: the next window goes on there; 0: what stands there is to be read in order
    done_of: int = 0
    earliest: int = 0  # of the times of its frames; NEVER and -1 where none has a time
    latest: int = 0


STATE: Final = numbered(State)
WORDS: Final = len(State._fields)
STATE_SIZE: Final = WORDS * 8
NEVER: Final = int(np.iinfo(np.int64).max)


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
            self.shared = SharedBuffer(fd, size, MAX_LENGTH, nap)
            self._undo = undo.pop_all()

    def writable(self) -> Windows:
        """Map as the NIC does, before rings are sealed; processes that it forks then inherit the mapping."""
        return Windows(self)

    def close(self) -> None:
        self._undo.close()


class Windows:
    """The NIC's mapping of a pool, and what it shares with its readers alone.

    shared, states: int64 words; states has shape (slots, WORDS). tables: uint8,
    descriptors of each slot's frames; table_size: bytes of one slot's.
    """

    def __init__(self, pool: WindowPool) -> None:
        self.window, self.slots, self.stride = pool.window, pool.slots, pool.stride
        self._data = Mapping(pool.shared.fd, pool.shared.size, writable=True, populate=True)
        self._view = self._data.view("u1", 0, pool.shared.size).data
        self.rows = (pool.window + OVERLAP) // BYTES_A_ROW
        self.table_size = self.rows * abi.DESC_SIZE
        words = SHARED.stopped + 8
        # Anonymous and shared: nobody but forks of this process can ever map it.
        memory = mmap.mmap(-1, whole_pages((words + self.slots * WORDS) * 8) + self.slots * self.table_size)
        numbers = np.frombuffer(memory, np.int64, words + self.slots * WORDS)
        self.shared, self.states = numbers[:words], numbers[words:].reshape(self.slots, WORDS)
        self.shared_address, self.state_address = (int(a.ctypes.data) for a in (self.shared, self.states))
        rows = np.frombuffer(memory, abi.DESC, self.slots * self.rows, len(memory) - self.slots * self.table_size)
        self.tables: np.ndarray[Any, Any] = rows.reshape(self.slots, self.rows)
        self.table_address = int(self.tables.ctypes.data)

    def slot(self, number: int) -> int:
        return number & (self.slots - 1)

    def offset(self, number: int) -> int:
        """Of the window's first byte, from where descriptors' offsets count."""
        return self.slot(number) * self.stride + FRONT

    def state(self, number: int) -> int:
        """Address of the slot's words."""
        return self.state_address + self.slot(number) * STATE_SIZE

    def table(self, number: int) -> int:
        """Address of the slot's descriptors."""
        return self.table_address + self.slot(number) * self.table_size

    def address(self, number: int) -> int:
        return self._data.address + self.offset(number)

    def view(self, number: int, first: int, last: int) -> memoryview:
        """Bytes [first, last) of the window; it has room for `window` + TAIL."""
        at = self.offset(number)
        return self._view[at + first : at + last]
