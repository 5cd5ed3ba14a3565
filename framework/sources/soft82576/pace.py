"""When frames are due: at a fixed rate, or at the pace of the recording.

Time is in nanoseconds since the replay's start. Frames go out in quanta, so that a sleeping consumer is woken once a
quantum; a quantum is so short that what is due in it takes no more than a quarter of one ring. Being late (the
process did not get its CPU) is made up for at no more than CATCH_UP times the pace.
"""

from __future__ import annotations

from typing import Final, Protocol

import numpy as np

from zcframe.framework import abi
from zcframe.framework.jit.compiler import compiled, inlined
from zcframe.framework.sources.capture.records import STATUS, TIMESTAMP, RecordTable

from .leaps import NO_LEAPS, SHORTENED, STRAY, Leaps
from .leaps import SET_BACK as CLOCK_SET_BACK
from .plan import ReplayPlan

SECOND: Final = 1_000_000_000
QUANTUM: Final = 1_000_000
CATCH_UP: Final = 2
# Frames a second that the 82576 can receive at most: 64 bytes each, at 1 Gbit/s.
LINE_RATE: Final = 1_488_095

NO_TIME: Final = abi.STATUS_NO_TIME
# A recording whose clock went back by more than this was set anew; anything less is frames in disorder.
SET_BACK: Final = SECOND

# The schedule of a recording, int64: the timestamp that stands for the start, the time of the latest frame let go; then
# the file's leaps in time: how many of each kind, and kind, row and size of the first.
ORIGIN: Final = 0
LATEST: Final = 1
LEAPS: Final = 2
FIRST: Final = LEAPS + 3
WORDS: Final = LEAPS + len(Leaps._fields)
UNKNOWN: Final = int(np.iinfo(np.int64).min)
UNBOUNDED: Final = int(np.iinfo(np.int64).max)


class Pace(Protocol):
    """Lets rows of a record table go when their time has come."""

    @property
    def leaps(self) -> Leaps:
        """Leaps in time of the present file so far."""

    def begin_file(self) -> None:
        """Note that the next frame belongs to another file, or to another round."""

    def release(self, records: RecordTable, first: int, last: int, shift: int, now: int) -> int:
        """Rows from `first` to before the returned one may go. shift: nanoseconds to add to each timestamp."""

    def pause(self, now: int) -> float:
        """Seconds to wait for more."""


def quantum_for(rate: float, slots: int) -> int:
    """Nanoseconds in which frames at `rate` a second fill a quarter of a ring, at most QUANTUM."""
    return int(min(QUANTUM, slots / 4 / rate * SECOND))


class RatePace:
    """`rate` frames a second, by one schedule from the start: no drift."""

    leaps: Final = NO_LEAPS

    def __init__(self, rate: float, slots: int) -> None:
        self._rate = rate / SECOND
        self._quantum = quantum_for(rate, slots)
        self._burst = max(1, int(self._rate * self._quantum * CATCH_UP))
        self._sent = 0

    def begin_file(self) -> None:
        """Nothing to do: one schedule holds for all files."""

    def release(self, records: RecordTable, first: int, last: int, shift: int, now: int) -> int:
        due = int(now * self._rate) + 1 - self._sent
        count = min(due, self._burst, last - first)
        self._sent += count
        return first + count

    def pause(self, now: int) -> float:
        return max(self._quantum, self._sent / self._rate - now) / SECOND


@inlined
def is_leap(leap, longest):  # type: ignore[no-untyped-def]
    """Whether a time is off the schedule, so far behind or ahead of the latest one before it."""
    return leap > longest or leap < -SET_BACK


@inlined
def next_is_on_schedule(records, row, last, shift, schedule, longest):  # type: ignore[no-untyped-def]
    """Whether the next frame that has a time goes on as if the one in `row` had not been."""
    for following in range(row + 1, last):
        if records[following, STATUS] & NO_TIME == 0:
            at = records[following, TIMESTAMP] + shift - schedule[ORIGIN]
            return not is_leap(at - schedule[LATEST], longest)
    return False


@inlined
def note_leap(schedule, kind, row, leap):  # type: ignore[no-untyped-def]
    if schedule[FIRST] == 0:
        schedule[FIRST], schedule[FIRST + 1], schedule[FIRST + 2] = kind, row, leap
    schedule[LEAPS + kind - 1] += 1


@compiled
def release_recorded(records, first, last, known, shift, schedule, now, longest):  # type: ignore[no-untyped-def]
    """(row behind those of [first, last) that are due at `now`, time of that row).

    known: rows that are there to look ahead; longest: nanoseconds that a gap takes at most.
    """
    for row in range(first, last):
        if records[row, STATUS] & NO_TIME:
            continue
        stamp = records[row, TIMESTAMP] + shift
        if schedule[ORIGIN] == UNKNOWN:
            schedule[ORIGIN] = stamp - schedule[LATEST]
        at = stamp - schedule[ORIGIN]
        leap = at - schedule[LATEST]
        if is_leap(leap, longest):
            if next_is_on_schedule(records, row, known, shift, schedule, longest):
                note_leap(schedule, STRAY, row, leap)
                continue
            note_leap(schedule, SHORTENED if leap > 0 else CLOCK_SET_BACK, row, leap)
            at = schedule[LATEST] + (longest if leap > 0 else 0)
            schedule[ORIGIN] = stamp - at
        if at > now:
            return row, at
        schedule[LATEST] = max(schedule[LATEST], at)
    return last, now


class RecordedPace:
    """The pace of the recording; longest: nanoseconds that a gap takes at most.

    A frame older than one before it goes at once. Where the clock was set back, and from one file to the next, there is
    no pause. A frame whose time is far from that of its neighbours, which agree, goes at once, too.
    """

    def __init__(self, slots: int, longest: int = UNBOUNDED) -> None:
        self._quantum = quantum_for(LINE_RATE, slots)
        self._burst = CATCH_UP * slots // 4
        self._longest = longest
        self._schedule = np.zeros(WORDS, np.int64)
        self._next = 0
        self.begin_file()

    @property
    def leaps(self) -> Leaps:
        return Leaps(*self._schedule[LEAPS:].tolist())

    def begin_file(self) -> None:
        self._schedule[ORIGIN] = UNKNOWN
        self._schedule[LEAPS:] = 0

    def release(self, records: RecordTable, first: int, last: int, shift: int, now: int) -> int:
        limit = min(last, first + self._burst)
        schedule, longest = self._schedule, self._longest
        row, self._next = release_recorded(records, first, limit, last, shift, schedule, now, longest)
        return int(row)

    def pause(self, now: int) -> float:
        return max(self._quantum, self._next - now) / SECOND


def make_pace(plan: ReplayPlan) -> Pace | None:
    """The pace of a plan; None where frames go as fast as there is room."""
    if plan.pace == "max":
        return None
    if plan.pace == "original":
        return RecordedPace(plan.ring_slots, int(plan.max_gap * SECOND) or UNBOUNDED)
    return RatePace(float(plan.pace), plan.ring_slots)
