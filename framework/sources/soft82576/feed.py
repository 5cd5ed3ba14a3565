"""The NIC: reads captures, keeps the pace, fills the rings."""

from __future__ import annotations

import itertools
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, Final, NamedTuple

import numpy as np

from zcframe.framework import abi
from zcframe.framework.errors import CaptureFileError, LinkTypeError
from zcframe.framework.ring import Ring, RingEnd
from zcframe.framework.rss.toeplitz import toeplitz_tables
from zcframe.framework.sources.base import SourceEvent
from zcframe.framework.sources.capture import CaptureReader
from zcframe.framework.sources.capture.records import STATUS, TIMESTAMP

from .channel import ChildEnd
from .damage import Damage
from .deliver import deliver, new_places
from .leaps import NO_LEAPS, Leaps, all_leaps, first_leap
from .odd import OddRecords
from .pace import make_pace
from .plan import ReplayPlan
from .progress import TURN
from .queues import Q, queue_table
from .windows.pool import WindowPool

# At a full ring the NIC waits while a fast worker empties a good part of it, and goes on before the ring runs dry.
NAP_PER_SLOT: Final = 10e-9
LONGEST_NAP: Final = 50e-6
# Nanoseconds from the last timestamp of a round to the first of the next.
ROUND_GAP: Final = 1000


class NicOrders(NamedTuple):
    """What the NIC's process inherits.

    streams: readers of files that cannot be opened again, by their place in the plan. broken: why files are no
    captures, by their place; they are passed over. samples: places of files between them of every kind. pool: what
    frames are read to, where they are not copied.
    """

    plan: ReplayPlan
    rings: Sequence[Ring]
    streams: Mapping[int, CaptureReader]
    broken: Mapping[int, str]
    samples: Sequence[int] = ()
    pool: WindowPool | None = None


class Nic:
    """Replays a plan into `ends`; progress: the shared fields.

    A file that is damaged ends where the damage is, and the next one follows. `run()` raises Stopped.
    """

    def __init__(
        self, orders: NicOrders, ends: Sequence[RingEnd], channel: ChildEnd, progress: np.ndarray[Any, Any]
    ) -> None:
        plan, broken = orders.plan, orders.broken
        self._plan, self._streams, self._channel, self._progress = plan, orders.streams, channel, progress
        self._samples = orders.samples
        self._queues = queue_table(ends, progress.ctypes.data + TURN)
        self._places = new_places()
        self._tables = toeplitz_tables(plan.rss.key)
        self._reta = np.append(plan.rss.reta_array().astype(np.int64), 0)
        self._spread = (self._tables.ctypes.data, plan.rss.field_mask, self._reta)
        self._pace = make_pace(plan)
        self._nap = min(LONGEST_NAP, plan.ring_slots * NAP_PER_SLOT)
        self._left = sys.maxsize if plan.count is None else plan.count
        self._start = self._shift = self._done = 0
        self._first_stamp, self._last_stamp = sys.maxsize, 0
        self._reader: CaptureReader | None = None
        self._whole = [index for index in range(len(plan.files)) if index not in broken]
        self.damage = Damage(plan, broken, channel.tell)
        self._odd = OddRecords(progress, channel.tell)
        self._before = 0  # records of the present file in front of the table
        self._leapt: set[str] = set()
        self._summed: set[str] = set()
        for reader in orders.streams.values():
            reader.window.before_read = channel.wait_readable

    @property
    def arrived(self) -> int:
        """Frames so far, dropped ones included."""
        return int(self._queues[:, Q.arrived].sum())

    def close(self) -> None:
        """Give back what is more than memory: nothing."""

    def prepare(self) -> None:
        """Have compiled, before the first frame, what frames of all kinds of file pass through."""
        for index in self._samples:
            # It was whole a moment ago; run() tells what became of it.
            with suppress(CaptureFileError):
                self._compile(self._open(index))

    def _compile(self, reader: CaptureReader) -> None:
        reader.compile()
        self._deliver(reader, 0, 0)
        if self._pace:
            self._pace.release(reader.records, 0, 0, 0, 0)

    def run(self) -> None:
        """Replay the whole plan."""
        self._start = time.monotonic_ns()
        for number in range(self._plan.loop) if self._plan.loop else itertools.count():
            self._progress["round"] = number
            self._is_first_round = number == 0
            before = self._left
            for index in self._whole:
                self._progress["file"] = index
                self._replay_file(index)
                if not self._left:
                    return
            if self._left == before:
                return  # nor would the next round bring anything
            self._shift = self._next_shift()

    def _replay_file(self, index: int) -> None:
        """Replay a file as far as it is whole."""
        size = 0
        try:
            reader = self._open(index)
            size = reader.window.size
            self._replay(reader)
            self._done += reader.window.done
        except (CaptureFileError, LinkTypeError) as error:
            self.damage.add(index, str(error))
            self._done += size
        else:
            self._sum_leaps(reader.window.label)

    def _open(self, index: int) -> CaptureReader:
        if index in self._streams:
            return self._streams[index]
        if self._reader is None:
            self._reader = CaptureReader(self._plan.files[index])
        else:
            self._reader.open(self._plan.files[index])
        return self._reader

    def _replay(self, reader: CaptureReader) -> None:
        send = self._send_all if self._pace is None else self._send_paced
        self._odd.begin_file()
        if self._pace:
            self._pace.begin_file()
        while self._left and (rows := self._next_rows(reader)):
            self._odd.note(reader)
            self._before = reader.delivered - rows
            rows = min(rows, self._left)
            self._see_stamps(reader.records[:rows, TIMESTAMP], reader.records[:rows, STATUS])
            send(reader, rows)
            self._count(rows, reader.window.done)

    def _next_rows(self, reader: CaptureReader) -> int:
        """Have the next records read; returns how many, 0 at the end."""
        return reader.read()

    def _count(self, frames: int, offset: int) -> None:
        """Note that so many frames more have arrived, up to this byte of the file. Raises Stopped."""
        self._channel.check()
        self._left -= frames
        self._progress["frames"] += frames
        self._progress["done"] = self._done + offset

    def _see_stamps(self, stamps: np.ndarray[Any, Any], status: np.ndarray[Any, Any]) -> None:
        """Note the time that the first round spans: every later round is shifted by it."""
        if not self._is_first_round or self._plan.loop == 1:
            return
        stamps = stamps[status & abi.STATUS_NO_TIME == 0]
        if len(stamps):
            self._first_stamp = min(self._first_stamp, int(stamps.min()))
            self._last_stamp = max(self._last_stamp, int(stamps.max()))

    def _next_shift(self) -> int:
        """The shift that puts a round behind the last timestamp; 0 where it would leave the range of int64 (2262)."""
        shift = self._shift + max(0, self._last_stamp - self._first_stamp) + ROUND_GAP
        return shift if shift <= sys.maxsize - self._last_stamp else 0

    def _send_all(self, reader: CaptureReader, rows: int) -> None:
        row, nap = self._deliver(reader, 0, rows), self._nap
        while row < rows:
            self._channel.wait(nap)
            before, row = row, self._deliver(reader, row, rows)
            # A ring that stays full belongs to a slow or a dead worker: leave the CPU to it.
            nap = self._nap if row > before else min(2 * nap, LONGEST_NAP)

    def _send_paced(self, reader: CaptureReader, rows: int) -> None:
        assert self._pace is not None
        row = 0
        while row < rows:
            due = self._pace.release(reader.records, row, rows, self._shift, self._now())
            if self._pace.leaps.total and reader.window.label not in self._leapt:
                self._tell_leap(self._pace.leaps, reader)
            if due > row:
                row = self._deliver(reader, row, due)
            if row < rows:
                self._channel.wait(self._pace.pause(self._now()))

    def _tell_leap(self, leaps: Leaps, reader: CaptureReader) -> None:
        """Report the first leap of a file, before it is waited for."""
        self._leapt.add(reader.window.label)
        text = first_leap(leaps, reader.window.label, self._before + leaps.row + 1, self._plan.max_gap)
        self._channel.tell(SourceEvent("warning", text))

    def _sum_leaps(self, label: str) -> None:
        """Report how many leaps a file had, where it had several; once, however often it is replayed."""
        leaps = self._pace.leaps if self._pace else NO_LEAPS
        if leaps.total > 1 and label not in self._summed:
            self._summed.add(label)
            self._channel.tell(SourceEvent("warning", all_leaps(leaps, label, self._plan.max_gap)))

    def _now(self) -> int:
        return time.monotonic_ns() - self._start

    def _deliver(self, reader: CaptureReader, first: int, last: int) -> int:
        where = (reader.window.address, reader.records, first, last, self._shift)
        row = deliver(*where, *self._spread, self._queues, self._places, self._pace is None)
        return int(row)
