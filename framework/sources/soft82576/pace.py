"""When frames are due: at a fixed rate, or at the pace of the recording.

Time is in nanoseconds since the replay's start. Frames go out in quanta, so that a sleeping consumer is woken once a
quantum; a quantum is so short that what is due in it takes no more than a quarter of one ring. Being late (the
process did not get its CPU) is made up for at no more than CATCH_UP times the pace.
"""

from __future__ import annotations

from typing import Final, Literal, Protocol

import numpy as np

from zcframe.framework import abi
from zcframe.framework.jit.compiler import compiled
from zcframe.framework.sources.capture.records import STATUS, TIMESTAMP, RecordTable

SECOND: Final = 1_000_000_000
QUANTUM: Final = 1_000_000
CATCH_UP: Final = 2
# Frames a second that the 82576 can receive at most: 64 bytes each, at 1 Gbit/s.
LINE_RATE: Final = 1_488_095

NO_TIME: Final = abi.STATUS_NO_TIME
# A recording whose clock went back by more than this was set anew; anything less is frames in disorder.
SET_BACK: Final = SECOND

# The schedule of a recording, int64: the timestamp that stands for the start, the time of the latest frame let go.
ORIGIN: Final = 0
LATEST: Final = 1
UNKNOWN: Final = int(np.iinfo(np.int64).min)


class Pace(Protocol):
    """Lets rows of a record table go when their time has come."""

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


@compiled
def release_recorded(records, first, last, shift, schedule, now):  # type: ignore[no-untyped-def]
    """(row behind those that are due at `now`, time of that row)."""
    for row in range(first, last):
        if records[row, STATUS] & NO_TIME:
            continue
        stamp = records[row, TIMESTAMP] + shift
        if schedule[ORIGIN] == UNKNOWN:
            schedule[ORIGIN] = stamp - schedule[LATEST]
        at = stamp - schedule[ORIGIN]
        if at < schedule[LATEST] - SET_BACK:
            schedule[ORIGIN] = stamp - schedule[LATEST]
            at = schedule[LATEST]
        if at > now:
            return row, at
        schedule[LATEST] = max(schedule[LATEST], at)
    return last, now


class RecordedPace:
    """The pace of the recording.

    A frame older than one before it goes at once. Where the clock was set back, and from one file to the next, there is
    no pause.
    """

    def __init__(self, slots: int) -> None:
        self._quantum = quantum_for(LINE_RATE, slots)
        self._burst = CATCH_UP * slots // 4
        self._schedule = np.array([UNKNOWN, 0], np.int64)
        self._next = 0

    def begin_file(self) -> None:
        self._schedule[ORIGIN] = UNKNOWN

    def release(self, records: RecordTable, first: int, last: int, shift: int, now: int) -> int:
        limit = min(last, first + self._burst)
        row, self._next = release_recorded(records, first, limit, shift, self._schedule, now)
        return int(row)

    def pause(self, now: int) -> float:
        return max(self._quantum, self._next - now) / SECOND


def make_pace(pace: Literal["original"] | float, slots: int) -> Pace:
    """Pace for rings of `slots`."""
    return RecordedPace(slots) if pace == "original" else RatePace(float(pace), slots)
