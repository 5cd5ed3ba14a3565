"""Pace by a clock that the test winds: rates, quanta, lateness, recordings with strange clocks."""

from __future__ import annotations

import numpy as np
import pytest

from zcframe.framework import abi
from zcframe.framework.sources.capture.records import COLUMNS, STATUS, TIMESTAMP, RecordTable
from zcframe.framework.sources.soft82576.leaps import SHORTENED, STRAY, Leaps, duration
from zcframe.framework.sources.soft82576.pace import (
    CATCH_UP,
    QUANTUM,
    SECOND,
    SET_BACK,
    UNBOUNDED,
    Pace,
    RatePace,
    RecordedPace,
    quantum_for,
)

MS = 1_000_000


def table(*stamps: int) -> RecordTable:
    records = np.zeros((len(stamps), COLUMNS), np.int64)
    records[:, TIMESTAMP] = stamps
    return records


def play(pace: Pace, records: RecordTable, *, shift: int = 0, start: int = 0) -> list[int]:
    """When each record goes, by a clock that advances by exactly what the pace asks to wait for."""
    now, row, times = start, 0, []
    while row < len(records):
        behind = pace.release(records, row, len(records), shift, now)
        times += [now] * (behind - row)
        row = behind
        if row < len(records):
            now += round(pace.pause(now) * SECOND)
    return times


@pytest.mark.parametrize("rate", [0.5, 1, 7, 999, 1000, 12_345, 100_000, 1_488_095, 14_880_952])
def test_a_rate_is_kept(rate: float) -> None:
    """No frame goes before its time, none later than a quantum after it, however long it lasts."""
    count = 3000
    times = np.array(play(RatePace(rate, 4096), table(*[0] * count)))
    due = np.arange(count) / rate * SECOND
    assert (times >= due - 2).all()
    assert (times <= due + quantum_for(rate, 4096) + 2).all()


def test_a_quantum_is_a_millisecond_or_a_quarter_of_a_ring() -> None:
    assert quantum_for(1000, 4096) == QUANTUM
    assert quantum_for(1_024_000, 4096) == QUANTUM
    assert quantum_for(10_240_000, 4096) == QUANTUM // 10
    assert quantum_for(1_024_000, 64) == QUANTUM // 64


def test_lateness_is_made_up_for_in_steps() -> None:
    """A second without the CPU at 100,000 a second: 400 frames at once, not 100,000, until the schedule is met."""
    pace = RatePace(100_000, 4096)
    records = table(*[0] * 200_000)
    assert pace.release(records, 0, len(records), 0, SECOND) == CATCH_UP * 100
    assert pace.pause(SECOND) == QUANTUM / SECOND
    times = play(RatePace(100_000, 4096), records, start=SECOND)
    assert np.unique(times, return_counts=True)[1].max() <= CATCH_UP * 100
    assert times[-1] == pytest.approx(2 * SECOND, abs=2 * QUANTUM)


def test_a_recording_keeps_its_gaps() -> None:
    base = 1_700_000_000 * SECOND
    gaps = [0, 10 * MS, 10 * MS, 500 * MS, 3600 * SECOND]
    assert play(RecordedPace(4096), table(*(base + gap for gap in gaps))) == gaps


HOUR = 3600 * SECOND


def play_file(*stamps: int, longest: int = 10 * SECOND) -> tuple[list[int], Leaps]:
    pace = RecordedPace(4096, longest)
    return play(pace, table(*stamps)), pace.leaps


def test_a_gap_above_the_bound_takes_no_longer_than_that() -> None:
    """Where time goes on from there, as in captures of several days: each such gap by itself."""
    base = 1_700_000_000 * SECOND
    stamps = (base, base + 10 * SECOND, base + 18 * HOUR, base + 18 * HOUR + MS, base + 50 * HOUR)
    times, leaps = play_file(*stamps)
    assert times == [0, 10 * SECOND, 20 * SECOND, 20 * SECOND + MS, 30 * SECOND + MS]
    assert leaps == Leaps(shortened=2, kind=SHORTENED, row=2, by=18 * HOUR - 10 * SECOND)


@pytest.mark.parametrize(
    "wrong", [18 * HOUR, -18 * HOUR, -1_700_000_000 * SECOND, (2**32 - 1 - 1_700_000_000) * SECOND]
)
def test_a_frame_with_a_time_of_its_own_holds_nothing_up(wrong: int) -> None:
    """One of many: hours off, at 1970, at the last second of 2106; those behind it keep their times."""
    base = 1_700_000_000 * SECOND
    times, leaps = play_file(base, base + MS, base + wrong, base + 3 * MS, base + wrong, base + 5 * MS)
    assert [times[i] for i in (0, 1, 3, 5)] == [0, MS, 3 * MS, 5 * MS]
    assert all(MS <= times[i] <= 3 * MS for i in (2,))
    assert leaps == Leaps(strays=2, kind=STRAY, row=2, by=wrong - MS)


def test_a_wrong_time_at_either_end_costs_one_gap_at_most() -> None:
    base = 1_700_000_000 * SECOND
    assert play_file(base + HOUR, base, base + MS) == ([0, 0, MS], Leaps(set_back=1, kind=2, row=1, by=-HOUR))
    assert play_file(base - HOUR, base, base + MS)[0] == [0, 10 * SECOND, 10 * SECOND + MS]
    assert play_file(base, base + MS, base + HOUR)[0] == [0, MS, MS + 10 * SECOND]


def test_without_a_bound_gaps_stay_as_they_are() -> None:
    assert play_file(0, 18 * HOUR, 19 * HOUR, longest=UNBOUNDED) == ([0, 18 * HOUR, 19 * HOUR], Leaps())


def test_leaps_count_anew_in_each_file() -> None:
    pace = RecordedPace(4096, SECOND)
    play(pace, table(0, HOUR, 2 * HOUR))
    assert pace.leaps.total == 2
    pace.begin_file()
    assert pace.leaps == Leaps()


def test_leaps_in_words() -> None:
    lengths = (18 * HOUR + 753 * SECOND, 2 * 86400 * SECOND, 11 * SECOND, 1_100_000_000, 90 * SECOND, -86401 * SECOND)
    assert [duration(ns) for ns in lengths] == ["18 h 12 min", "2 d", "11 s", "1 s", "1 min 30 s", "1 d"]


def test_frames_in_disorder_go_at_once() -> None:
    assert play(RecordedPace(4096), table(100 * MS, 150 * MS, 120 * MS, 110 * MS, 160 * MS)) == [
        0,
        *[50 * MS] * 3,
        60 * MS,
    ]


def test_a_clock_that_was_set_back_counts_on() -> None:
    """From where the replay stands, with the gaps as they are; a small step back is disorder and no such thing."""
    base = 50 * 365 * 86400 * SECOND
    stamps = [base, base + 5 * MS, 7, 7 + 5 * MS, 7 + 20 * MS]
    assert play(RecordedPace(4096), table(*stamps)) == [0, 5 * MS, 5 * MS, 10 * MS, 25 * MS]
    small = play(
        RecordedPace(4096), table(2 * SECOND, 2 * SECOND + 5 * MS, 2 * SECOND + 5 * MS - SET_BACK, 2 * SECOND + 9 * MS)
    )
    assert small == [0, 5 * MS, 5 * MS, 9 * MS]


def test_frames_without_a_time_go_with_what_is_before_them() -> None:
    records = table(10 * MS, 0, 30 * MS, 0)
    records[1, STATUS] = records[3, STATUS] = abi.STATUS_NO_TIME
    assert play(RecordedPace(4096), records) == [0, 0, 20 * MS, 20 * MS]


def test_the_next_file_follows_at_once() -> None:
    """Days between two recordings are not waited for, nor years between the rounds of a loop."""
    pace = RecordedPace(4096)
    assert play(pace, table(5 * MS, 9 * MS)) == [0, 4 * MS]
    pace.begin_file()
    assert play(pace, table(86400 * SECOND, 86400 * SECOND + MS), start=4 * MS) == [4 * MS, 5 * MS]
    pace.begin_file()
    assert play(pace, table(1, 1 + MS), shift=SECOND, start=5 * MS) == [5 * MS, 6 * MS]


def test_timestamps_at_both_ends_of_time() -> None:
    latest = 2**63 - 1
    assert play(RecordedPace(4096), table(latest, latest, 0, 0)) == [0, 0, 0, 0]
    pace = RecordedPace(4096)
    assert pace.release(table(0, latest), 0, 2, 0, 0) == 1
    assert pace.pause(0) == pytest.approx(latest / SECOND)


def test_a_burst_in_the_recording_stays_within_a_ring() -> None:
    times = play(RecordedPace(256), table(*[0] * 5000))
    assert np.unique(times, return_counts=True)[1].max() <= 256
