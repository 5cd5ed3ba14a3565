"""Reading of windows: the part of the work that every process of the software NIC can do at the same time.

A reader takes a window, reads its bytes, is told by the reader of the window before where the first record begins,
scans the records, tells the next reader where they end, and describes them.
"""

from __future__ import annotations

import os
from typing import Final, NamedTuple

import numpy as np
from numba import types

from zcframe.framework.jit.compiler import precompile
from zcframe.framework.rss import RssConfig
from zcframe.framework.rss.toeplitz import toeplitz_tables
from zcframe.framework.sources.capture.records import COLUMNS, MORE
from zcframe.framework.sources.capture.scanner import Form, Scanner

from .deliver import COUNTER_BITS
from .descriptors import NO_WORK, NOT_YET, begin_of, describe_window, pass_on, take
from .pool import OVERLAP, SHARED, TAIL, Windows

# Windows that a reader may have read while the one before the first of them is not scanned yet.
MOST_HELD: Final = 3


class Job(NamedTuple):
    """A part of a regular file: bytes [offset, size), in windows numbered from `first`; a record begins at `offset`."""

    first: int
    windows: int
    offset: int
    size: int
    form: Form

    @property
    def last(self) -> int:
        """The number behind the last window."""
        return self.first + self.windows & COUNTER_BITS


def compile_reading() -> None:
    """Have compiled what readers call, but for the scanners."""
    word, records = types.int64, types.Array(types.int64, 2, "C")
    precompile(take, word, word)
    precompile(begin_of, word, word)
    precompile(pass_on, word, word, word)
    precompile(describe_window, word, records, *[word] * 9)


class WindowReader:
    """What one process needs to read windows; several work on one job, with the same `windows`."""

    def __init__(self, windows: Windows, rss: RssConfig) -> None:
        self._windows = windows
        self._tables = toeplitz_tables(rss.key)
        self._spread = (int(self._tables.ctypes.data), rss.field_mask)
        self._records = np.zeros((windows.rows, COLUMNS), np.int64)
        # Numbers of windows that were taken, oldest first, and the bytes of each that are there.
        self._held: dict[int, int] = {}

    def begin(self, job: Job, fd: int) -> None:
        """Work on this job; fd: of its file."""
        self._job, self._fd, self._scanner = job, fd, Scanner(job.form)
        self._held.clear()

    def drop(self) -> None:
        """Give up the windows that are held: nobody needs them."""
        self._held.clear()

    @property
    def stopped(self) -> bool:
        """Whether windows that are not done will not be needed."""
        return bool(self._windows.shared[SHARED.stopped])

    @property
    def holds(self) -> bool:
        """Whether windows are taken and not finished."""
        return bool(self._held)

    def go_on(self) -> int:
        """Finish a window, or take another one and read it: returns 0 or more, else NONE_LEFT, NO_ROOM or NO_WORK."""
        if self._held and self._finish():
            return 0
        if len(self._held) == MOST_HELD:
            return NO_WORK
        number = int(take(self._windows.shared_address, self._windows.slots))
        if number >= 0:
            self._held[number] = 0
            self._read_to(number, self._windows.window + OVERLAP)
        return number

    def _place(self, number: int) -> int:
        """Offset in the file of the window's first byte."""
        return self._job.offset + (number - self._job.first & COUNTER_BITS) * self._windows.window

    def _read_to(self, number: int, end: int) -> bool:
        """Read up to byte `end` of a window, or the end of the file; whether it is all there."""
        place = self._place(number)
        while (there := self._held[number]) < end:
            count = os.preadv(self._fd, [self._windows.view(number, there, end)], place + there)
            if not count:
                return False
            self._held[number] = there + count
        return True

    def _finish(self) -> bool:
        """Scan and describe the oldest window held, once it is known where its records begin; whether that was."""
        windows, number = self._windows, next(iter(self._held))
        begin = int(begin_of(self._state(number), number))
        if begin == NOT_YET:
            return False
        rows, start, whole = self._scan(number, begin - self._place(number))
        end, state = self._place(number) + start, self._state(number)
        if whole:
            following = number + 1 & COUNTER_BITS
            pass_on(self._state(following), following, end)
        else:
            windows.shared[SHARED.stopped] = 1
        where = (windows.address(number), self._records, rows, windows.offset(number))
        describe_window(*where, *self._spread, windows.table(number), state, number, end, int(whole))
        del self._held[number]
        return True

    def _scan(self, number: int, start: int) -> tuple[int, int, bool]:
        """(rows, start of what follows, whether that is a plain record of the next window) for records from `start`."""
        windows, rows = self._windows, 0
        base = windows.address(number)
        while True:
            found, start, reason, needed = self._scanner.scan(base, start, self._held[number], self._records[rows:])
            rows += found
            if start >= windows.window:
                return rows, start, True
            # A record that reaches further, or whatever is no record: damage, a section, the end of the file.
            too_far = reason != MORE or start + needed > windows.window + TAIL
            if too_far or not self._read_to(number, start + needed):
                return rows, start, False

    def _state(self, number: int) -> int:
        return self._windows.state(number)
