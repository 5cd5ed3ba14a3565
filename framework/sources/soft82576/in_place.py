"""The NIC for regular files at full speed: frames are described where they were read to, by all CPUs at once.

Reader processes and the NIC itself read windows; the NIC alone brings what they described into the rings, window by
window. So it alone knows how far the replay is, and all that runs along a file is its own: counts, damage, rounds.

Whatever is no plain record (a section or an interface that begins, damage, the end of the file, a link type that is not
read) ends the job. The NIC's own CaptureReader goes on there, in order: what it says of a file is what it says of every
other file. The frames that it hands out are copied to a window.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numba import types

from zcframe.framework.jit.compiler import precompile
from zcframe.framework.jit.words import words_of
from zcframe.framework.ring import RingEnd
from zcframe.framework.sources.capture import CaptureReader
from zcframe.framework.sources.capture.scanner import Form

from .channel import ChildEnd
from .deliver import COUNTER_BITS
from .descriptors import (
    COURSE,
    ENDED,
    GOING,
    NO_ROOM,
    Course,
    append_windows,
    pack,
    pass_on,
    wake_all,
)
from .feed import Nic, NicOrders
from .pool import SHARED, TAIL, Windows
from .queues import Q
from .readers import Readers, readers_for
from .reading import Job, WindowReader, compile_reading

# A full ring is half empty after such a nap, by a worker as fast as can be.
DOZE_PER_SLOT: Final = 50e-9
LONGEST_DOZE: Final = 200e-6
# Where another process is about to finish a window.
SHORT_DOZE: Final = 20e-6
# After so many naps consumers are woken for however few frames.
PATIENCE: Final = 20
# Between two looks for orders.
LOOK_S: Final = 1e-3


class InPlaceNic(Nic):
    """Replays a plan whose files are all regular, at pace "max". windows: the mapped pool."""

    def __init__(
        self,
        orders: NicOrders,
        ends: Sequence[RingEnd],
        channel: ChildEnd,
        progress: np.ndarray[Any, Any],
        windows: Windows,
    ) -> None:
        super().__init__(orders, ends, channel, progress)
        self._windows = windows
        self._mine = WindowReader(windows, self._plan.rss)
        self._ends = np.zeros((windows.slots, len(ends)), np.int64)
        self._readers = Readers(0, windows, self._plan.rss, channel)
        self._course = words_of(self._make_course())
        self._naps, self._due = 0, 0.0
        self._doze = min(LONGEST_DOZE, self._plan.ring_slots * DOZE_PER_SLOT)
        self._in_order_until = 0

    def prepare(self) -> None:
        """Compile everything, then fork the readers, which inherit it."""
        super().prepare()
        compile_reading()
        precompile(wake_all, types.Array(types.int64, 2, "C"))
        count = readers_for(len(os.sched_getaffinity(0)))
        self._readers = Readers(count, self._windows, self._plan.rss, self._channel)

    def _make_course(self) -> Course:
        windows = self._windows
        return Course(
            shared=windows.shared_address,
            states=windows.state_address,
            tables=windows.table_address,
            table_size=windows.table_size,
            left=0,
        )

    def close(self) -> None:
        """End the readers."""
        self._readers.close()

    # --- along a file

    def _replay(self, reader: CaptureReader) -> None:
        self._in_order_until = 0
        super()._replay(reader)

    def _next_rows(self, reader: CaptureReader) -> int:
        """Replay as much as there is of plain records, then hand out what follows."""
        if reader.window.offset >= self._in_order_until and (form := reader.form):
            self._replay_windows(reader, form)
        return reader.read() if self._left else 0

    def _replay_windows(self, reader: CaptureReader, form: Form) -> None:
        """Replay what follows as one job, up to whatever is no plain record."""
        windows, offset = self._windows, reader.window.offset
        size = os.fstat(reader.window.fileno()).st_size
        count = -(-(size - offset) // windows.window)
        if count <= 0:
            return
        job = Job(int(self._course[COURSE.appended]), count, offset, size, form)
        before, end = self._left, self._work(job, reader.window.fileno())
        reader.go_on(end, before - self._left)
        if end < size:
            # The readers went far ahead in vain. Where that happens again and again, windows gain nothing.
            self._in_order_until = end + windows.slots * windows.window

    # --- a job

    def _work(self, job: Job, fd: int) -> int:
        """Do a job, with the readers' help; returns the offset behind the last record."""
        windows, shared = self._windows, self._windows.shared
        shared[SHARED.taken], shared[SHARED.last], shared[SHARED.stopped] = job.first, job.last, 0
        pass_on(windows.state(job.first), job.first, job.offset)
        self._mine.begin(job, fd)
        if job.windows > 1:
            self._readers.begin(job, fd)
        self._course[COURSE.last], self._course[COURSE.end] = job.last, job.offset
        self._bring()
        self._finish()
        return int(self._course[COURSE.end])

    def _append(self) -> int:
        """Append what is described and finds room; returns why that ended."""
        return int(append_windows(self._course, self._shift, self._reta, self._queues, self._ends))

    def _bring(self) -> None:
        """Bring all windows of the job into the rings, and read some of them. Raises Stopped, SourceDiedError."""
        self._course[COURSE.left], self._course[COURSE.whole] = self._left, 1
        before = self._left
        while (why := self._append()) != ENDED:
            if self._course[COURSE.left] != before:
                self._naps, before = 0, self._course[COURSE.left]
            if why != GOING:
                self._help()
            if self._look():
                self._account()
        self._account()

    def _look(self) -> bool:
        """Where it is due, look for orders and for readers that died; returns whether it was.

        Raises Stopped, SourceDiedError.
        """
        if time.monotonic() < self._due:
            return False
        self._readers.look()
        self._channel.check()
        self._due = time.monotonic() + LOOK_S
        return True

    def _account(self) -> None:
        """Bring the progress page up to date."""
        course = self._course
        if self._is_first_round:
            self._first_stamp = min(self._first_stamp, int(course[COURSE.earliest]))
            self._last_stamp = max(self._last_stamp, int(course[COURSE.latest]))
        self._count(self._left - int(course[COURSE.left]), int(course[COURSE.end]))

    def _help(self) -> None:
        """Read a window while nothing can be appended; sleep where that is not possible either."""
        outcome = self._mine.go_on()
        self._naps = 0 if outcome >= 0 else self._naps + 1
        if outcome < 0:
            self._sleep(starved=outcome == NO_ROOM)

    def _sleep(self, *, starved: bool) -> None:
        """Sleep for a moment, and see that nobody sleeps for whom there is work."""
        if starved or self._naps > PATIENCE:
            wake_all(self._queues)
        time.sleep(min(LONGEST_DOZE, (self._doze if starved else SHORT_DOZE) * self._naps))

    def _finish(self) -> None:
        """End a job: when no reader works on it, windows that nobody needs are passed over."""
        shared, course = self._windows.shared, self._course
        shared[SHARED.stopped] = 1
        self._mine.drop()
        while not self._readers.idle:
            self._readers.look()
            self._channel.wait(self._doze)
        while course[COURSE.appended] != shared[SHARED.taken]:
            self._ends[self._windows.slot(int(course[COURSE.appended]))] = self._queues[:, Q.write]
            course[COURSE.appended] = int(course[COURSE.appended]) + 1 & COUNTER_BITS
        wake_all(self._queues)

    # --- in order

    def _deliver(self, reader: CaptureReader, first: int, last: int) -> int:
        """Copy rows to a window and bring them into the rings; returns the row behind those that had room."""
        windows, course, number = self._windows, self._course, int(self._course[COURSE.appended])
        self._append()  # with no job to do, it frees windows
        if number - int(windows.shared[SHARED.freed]) & COUNTER_BITS >= windows.slots:
            wake_all(self._queues)
            return first
        windows.shared[SHARED.taken] = course[COURSE.last] = number + 1 & COUNTER_BITS
        source = (reader.window.address, reader.records, first, last)
        target = (windows.address(number), windows.window + TAIL, windows.offset(number))
        place = (windows.table(number), windows.rows, windows.state(number), number)
        row = int(pack(*source, *target, *self._spread[:2], *place))
        # One more than there are, so that the window ends where there are none, too.
        course[COURSE.left], course[COURSE.whole] = row - first + 1, 1
        while self._append() != ENDED:
            self._help()
            self._look()
        return row
