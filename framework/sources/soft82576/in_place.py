"""The NIC for regular files at full speed: frames are described where they were read to, by all CPUs at once.

Reader processes and the NIC itself read windows, and take turns at the rings. What runs along a file and needs no
packet is the NIC's own: orders, damage, rounds, progress.

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

from zcframe.framework.child import PR_SET_TIMERSLACK, prctl
from zcframe.framework.ring import RingEnd
from zcframe.framework.sandbox import Walls, reader_rules
from zcframe.framework.sources.capture import CaptureReader
from zcframe.framework.sources.capture.scanner import Form

from .channel import ChildEnd
from .deliver import COUNTER_BITS
from .feed import Nic, NicOrders
from .queues import Q
from .windows.pool import BEGIN, NEVER, SHARED, WindowPool
from .windows.readers import Readers, readers_for
from .windows.reading import IDLE, OVER, Job, WindowReader

# A full ring is half empty after such a nap, by a worker as fast as can be.
DOZE_PER_SLOT: Final = 10e-9
LONGEST_DOZE: Final = 40e-6
# Where the readers are about to finish the job.
SHORT_DOZE: Final = 50e-6
# Between two looks for orders.
LOOK_S: Final = 1e-3


class InPlaceNic(Nic):
    """Replays a plan whose files are all regular, at pace "max"; maps the pool."""

    def __init__(
        self,
        orders: NicOrders,
        ends: Sequence[RingEnd],
        channel: ChildEnd,
        progress: np.ndarray[Any, Any],
        pool: WindowPool,
    ) -> None:
        super().__init__(orders, ends, channel, progress)
        self._wakes = [end.wake_fd for end in ends]
        self._windows = pool.writable(self._queues)
        self._queues = self._windows.queues
        self._mine = self._make_reader()
        self._readers = Readers(0, self._make_reader, channel, self._enclose)
        self._due = 0.0
        self._in_order_until = 0

    def _make_reader(self) -> WindowReader:
        doze = min(LONGEST_DOZE, self._plan.ring_slots * DOZE_PER_SLOT)
        return WindowReader(self._windows, self._plan.rss, doze)

    def _enclose(self, channel: int) -> None:
        """In a new reader: it is to read what it is sent, and to wake workers."""
        walls = Walls(up=self._plan.sandbox)
        walls.close(reader_rules(channel, self._wakes), kept=None, fds=(channel, *self._wakes))

    def prepare(self) -> None:
        """Compile what the first file needs, then fork the readers, which inherit it."""
        prctl(PR_SET_TIMERSLACK, 1000)
        super().prepare()
        self._fork_readers()

    def _fork_readers(self) -> None:
        """Readers that know what this process knows: they can load no code any more."""
        self._readers.close()
        count = readers_for(len(os.sched_getaffinity(0)))
        self._readers = Readers(count, self._make_reader, self._channel, self._enclose)

    def _compile(self, reader: CaptureReader) -> None:
        """What reads in order as well: each file has a place for it, its end, and then nothing can be kept on disk."""
        if reader.form:
            self._mine.compile(reader.form)
        super()._compile(reader)

    def close(self) -> None:
        """End the readers, none of them between two rings: what arrived is a beginning of what there is to read."""
        self._windows.shared[SHARED.ended] = 1
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
        timed = int(self._is_first_round and self._plan.loop != 1)
        job = Job(int(windows.shared[SHARED.appended]), count, offset, size, self._shift, timed, form)
        before, end = self._left, self._work(job, reader.window.fileno())
        reader.go_on(end, before - self._left)
        if end < size:
            # The readers went far ahead in vain. Where that happens again and again, windows gain nothing.
            self._in_order_until = end + windows.slots * windows.window

    # --- a job

    def _work(self, job: Job, fd: int) -> int:
        """Do a job, with the readers' help; returns the offset behind the last record."""
        self._set(job.first, job.last, job.offset, self._left)
        if self._mine.begin(job, fd):
            self._fork_readers()
        if job.windows > 1:
            self._readers.begin(job, fd)
        self._read_to_the_end()
        self._finish()
        return int(self._windows.shared[SHARED.end])

    def _set(self, taken: int, last: int, offset: int, left: int) -> None:
        """Set what readers share to the beginning of a job."""
        shared, begin = self._windows.shared, self._windows.begins[self._windows.slot(taken)]
        shared[SHARED.taken], shared[SHARED.last] = taken, last
        shared[SHARED.stopped] = shared[SHARED.ended] = 0
        shared[SHARED.left], shared[SHARED.end] = left, offset
        shared[SHARED.earliest], shared[SHARED.latest] = NEVER, -1
        begin[BEGIN.offset], begin[BEGIN.of] = offset, taken + 1 & COUNTER_BITS

    def _read_to_the_end(self) -> None:
        """Read windows until the job is done, with an eye on orders. Raises Stopped, SourceDiedError."""
        while (why := self._mine.read_on()) != OVER:
            if why == IDLE:
                time.sleep(SHORT_DOZE)
            if time.monotonic() >= self._due:
                self._look()
                self._account()
        self._account()

    def _look(self) -> None:
        """Look for orders, and for readers that died. Raises Stopped, SourceDiedError."""
        self._readers.look()
        self._channel.check()
        self._due = time.monotonic() + LOOK_S

    def _account(self) -> None:
        """Bring the progress page up to date."""
        shared = self._windows.shared
        self._first_stamp = min(self._first_stamp, int(shared[SHARED.earliest]))
        self._last_stamp = max(self._last_stamp, int(shared[SHARED.latest]))
        self._count(self._left - int(shared[SHARED.left]), int(shared[SHARED.end]))

    def _finish(self) -> None:
        """End a job: when no reader works on it, windows that nobody needs are passed over."""
        windows, shared = self._windows, self._windows.shared
        while not self._readers.idle:
            self._look()
            self._channel.wait(SHORT_DOZE)
        while shared[SHARED.appended] != shared[SHARED.taken]:
            number = int(shared[SHARED.appended])
            windows.ends[windows.slot(number)] = self._queues[:, Q.write]
            shared[SHARED.appended] = number + 1 & COUNTER_BITS

    # --- in order

    def _deliver(self, reader: CaptureReader, first: int, last: int) -> int:
        """Copy rows to a window and bring them into the rings; returns the row behind those that had room."""
        number = int(self._windows.shared[SHARED.appended])
        if not self._mine.has_room():
            return first
        row = self._mine.fill(number, reader.window.address, reader.records, first, last)
        self._set(number + 1 & COUNTER_BITS, number + 1 & COUNTER_BITS, 0, row - first)
        while self._mine.read_on() != OVER:
            if time.monotonic() >= self._due:
                self._look()
        return row
