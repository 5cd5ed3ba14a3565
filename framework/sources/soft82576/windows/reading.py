"""Reading of windows, by every process of the software NIC at the same time.

A reader takes a window, reads its bytes, is told by the reader of the window before where the first record begins,
scans the records, tells the next reader where they end, hashes the frames, and, when its turn comes, brings them into
the rings. All of it is one compiled loop, which Python calls again and again.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np
from numba import typeof

from zcframe.framework import abi
from zcframe.framework.jit.address import acquire_u32, load_u64, release_u64, store_u64
from zcframe.framework.jit.calls import read_at
from zcframe.framework.jit.compiler import compiled, inlined, outlined, precompile
from zcframe.framework.jit.waiting import WAITING_WORDS, wait, waited
from zcframe.framework.jit.words import numbered
from zcframe.framework.rss import RssConfig
from zcframe.framework.rss.toeplitz import toeplitz_tables
from zcframe.framework.sources.capture.records import (
    COLUMNS,
    MORE,
    ROWS,
    STATUS,
    TIMESTAMP,
    RecordTable,
)
from zcframe.framework.sources.capture.scanner import Form, scan, told_of
from zcframe.framework.sources.soft82576.deliver import COUNTER_BITS, wake_sleepers
from zcframe.framework.sources.soft82576.queues import Q

from .descriptors import append, hash_rows, pack
from .pool import NEVER, OVERLAP, SHARED, TAIL, Windows
from .turns import (
    APPENDED,
    ENDED,
    FREED,
    LAST,
    NO_ROOM,
    NONE_LEFT,
    STOPPED,
    TAKEN,
    WORD,
    begin_of,
    end_turn,
    free,
    has_turn,
    is_known,
    pass_on,
    take,
)

# Windows that a reader may have read while the one before the first of them is not in the rings yet.
MOST_HELD: Final = 3
# Steps between two looks for orders, of which a sleep counts for several: two milliseconds at most.
AT_ONCE: Final = 160
A_SLEEP: Final = 16
# So often a reader lets other processes of its CPU run before it sleeps: they are those that it waits for, and to wake
# up takes longer than they need. (A virtual CPU that has nothing to do sleeps, too.)
YIELDS: Final = 1000
# Workers take longer, and how long depends on their plugins.
YIELDS_FULL: Final = 200
# Microseconds to sleep where another process is about to do something.
SHORT_NAP: Final = 20

END: Final = SHARED.end * WORD
LEFT: Final = SHARED.left * WORD
EARLIEST: Final = SHARED.earliest * WORD
LATEST: Final = SHARED.latest * WORD

# Why `read_on` ends.
GOING: Final = 0  # it has done enough for once
IDLE: Final = 1  # no window is left for this reader
OVER: Final = 2  # the job is done

# What a step finds that cannot do anything.
AWAITED: Final = 3  # another reader has to do something first
FULL: Final = 4  # a ring, or the pool, has no room


class Job(NamedTuple):
    """A part of a regular file: bytes [offset, size), in windows numbered from `first`; a record begins at `offset`.

    shift: nanoseconds to add to each time. timed: 1 where the earliest and latest time are to be noted.
    """

    first: int
    windows: int
    offset: int
    size: int
    shift: int
    timed: int
    form: Form

    @property
    def last(self) -> int:
        """The number behind the last window."""
        return self.first + self.windows & COUNTER_BITS


# For files that are read in order only.
NO_FORM: Final = Form(0, (), ())


class Desk(NamedTuple):
    """What one reader works with, and what it is at."""

    shared: int  # addresses, from here to `tables`
    begins: int
    windows: int
    tables: int
    fields: int
    window: int  # bytes of one
    stride: int  # from one window in memory to the next
    front: int  # offset of the first one, as descriptors count
    slots: int
    doze: int  # microseconds to sleep at a full ring
    patience: int  # nanoseconds that a yield may take
    fd: int  # of the job, from here to `timed`
    first: int
    offset: int
    shift: int
    timed: int
    held: int  # windows that it holds
    scanned: int  # of the oldest, from here to `whole`: 1 when its records are in the table
    rows: int
    row: int  # the next to bring into a ring
    end: int  # offset in the file behind its last record
    whole: int  # 1: the next window goes on there; 0: what stands there is to be read in order


DESK: Final = numbered(Desk)
# Behind them: the numbers of the windows held, oldest first; how many bytes of each are read; the words of Waiting.
NUMBER: Final = len(Desk._fields)
THERE: Final = NUMBER + MOST_HELD
WAITING: Final = THERE + MOST_HELD
DESK_WORDS: Final = WAITING + WAITING_WORDS


@inlined
def place_of(desk, number):  # type: ignore[no-untyped-def]
    """Offset in the file of a window's first byte."""
    return desk[DESK.offset] + ((number - desk[DESK.first]) & COUNTER_BITS) * desk[DESK.window]


@inlined
def slot_start(desk, number):  # type: ignore[no-untyped-def]
    """Bytes from the first window to this one, in memory."""
    return (number & (desk[DESK.slots] - 1)) * desk[DESK.stride]


@outlined
def read_to(desk, which, end):  # type: ignore[no-untyped-def]
    """Read the bytes of a held window up to `end`; whether they are all there: the file may end."""
    number = desk[NUMBER + which]
    there = desk[THERE + which]
    target, place = desk[DESK.windows] + slot_start(desk, number), place_of(desk, number)
    while there < end:
        count = read_at(desk[DESK.fd], target + there, end - there, place + there)
        if count <= 0:
            # What cannot be read is told by the reader in order, which goes on in front of it.
            break
        there += count
    desk[THERE + which] = there
    return there >= end


@inlined
def scan_window(desk, start, told, records):  # type: ignore[no-untyped-def]
    """Scan the oldest window from byte `start`: (rows, start of what follows, 1 if that is of the next window).

    0: a record that reaches further than a window can, or no record: damage, a section, the end of the file.
    """
    base, window = desk[DESK.windows] + slot_start(desk, desk[NUMBER]), desk[DESK.window]
    rows = 0
    while True:
        found, start, reason, needed = scan(base, start, desk[THERE], told, records[rows:])
        rows += found
        if start >= window:
            return rows, start, 1
        too_far = reason != MORE or start + needed > window + TAIL
        if too_far or not read_to(desk, 0, start + needed):
            return rows, start, 0


@inlined
def look_over(desk, told, records, hashes):  # type: ignore[no-untyped-def]
    """Scan the oldest window, tell where the next begins, and hash its frames."""
    number = desk[NUMBER]
    place = place_of(desk, number)
    start = begin_of(desk[DESK.begins], desk[DESK.slots], number) - place
    rows, end, whole = scan_window(desk, start, told, records)
    if whole:
        pass_on(desk[DESK.begins], desk[DESK.slots], number + 1, place + end)
    else:
        release_u64(desk[DESK.shared] + STOPPED, 1)
    hash_rows(
        desk[DESK.windows] + slot_start(desk, number), records, rows, desk[DESK.tables], desk[DESK.fields], hashes
    )
    desk[DESK.rows], desk[DESK.row], desk[DESK.scanned] = rows, 0, 1
    desk[DESK.end], desk[DESK.whole] = place + end, whole


@inlined
def note_times(shared, records, rows):  # type: ignore[no-untyped-def]
    """Note the earliest and the latest time of a window."""
    earliest, latest = NEVER, -1
    for row in range(rows):
        if records[row, STATUS] & abi.STATUS_NO_TIME == 0:
            earliest, latest = min(earliest, records[row, TIMESTAMP]), max(latest, records[row, TIMESTAMP])
    store_u64(shared + EARLIEST, min(earliest, load_u64(shared + EARLIEST)))
    store_u64(shared + LATEST, max(latest, load_u64(shared + LATEST)))


@inlined
def let_go(desk):  # type: ignore[no-untyped-def]
    """Drop the oldest window."""
    for which in range(MOST_HELD - 1):
        desk[NUMBER + which] = desk[NUMBER + which + 1]
        desk[THERE + which] = desk[THERE + which + 1]
    desk[DESK.held] -= 1
    desk[DESK.scanned] = 0


@inlined
def end_window(desk, queues, ends):  # type: ignore[no-untyped-def]
    """Note how far each ring is with the oldest window, which is in the rings, and give the turn away."""
    number, shared = desk[NUMBER], desk[DESK.shared]
    for queue in range(queues.shape[0]):
        ends[number & (ends.shape[0] - 1), queue] = queues[queue, Q.write]
    store_u64(shared + END, desk[DESK.end])
    is_last = (number + 1) & COUNTER_BITS == acquire_u32(shared + LAST)
    if is_last or desk[DESK.whole] == 0 or load_u64(shared + LEFT) == 0:
        release_u64(shared + STOPPED, 1)
        release_u64(shared + ENDED, 1)
        wake_sleepers(queues)
    let_go(desk)
    end_turn(shared, number)


@inlined
def bring(desk, records, hashes, reta, queues, ends):  # type: ignore[no-untyped-def]
    """Bring what finds room of the oldest window into the rings; whether that is all of it."""
    shared, first = desk[DESK.shared], desk[DESK.row]
    left = load_u64(shared + LEFT)
    last = min(desk[DESK.rows], first + left)
    offset = desk[DESK.front] + slot_start(desk, desk[NUMBER])
    row = append(records, hashes, first, last, offset, desk[DESK.shift], reta, queues)
    store_u64(shared + LEFT, left - (row - first))
    desk[DESK.row] = row
    if row > first:
        waited(desk.ctypes.data + WAITING * WORD)
    if row < last:
        wake_sleepers(queues)
        return False
    if desk[DESK.timed]:
        note_times(shared, records, desk[DESK.rows])
    end_window(desk, queues, ends)
    return True


@inlined
def take_one(desk, queues, ends):  # type: ignore[no-untyped-def]
    """Take a window and read it: GOING, else IDLE or FULL."""
    number = take(desk[DESK.shared], queues, ends)
    if number == NONE_LEFT:
        return IDLE
    if number == NO_ROOM:
        return FULL
    which = desk[DESK.held]
    desk[NUMBER + which], desk[THERE + which] = number, 0
    desk[DESK.held] = which + 1
    read_to(desk, which, desk[DESK.window] + OVERLAP)
    return GOING


@inlined
def step(desk, told, records, hashes, reta, queues, ends):  # type: ignore[no-untyped-def]
    """Do one thing of those above: GOING, else why nothing can be done."""
    if acquire_u32(desk[DESK.shared] + ENDED) != 0:
        desk[DESK.held] = desk[DESK.scanned] = 0
        return OVER
    if desk[DESK.held] != 0:
        number = desk[NUMBER]
        if desk[DESK.scanned] == 0 and is_known(desk[DESK.begins], desk[DESK.slots], number):
            look_over(desk, told, records, hashes)
            return GOING
        is_ours = desk[DESK.scanned] != 0 and has_turn(desk[DESK.shared], number)
        if is_ours and bring(desk, records, hashes, reta, queues, ends):
            return GOING
        if desk[DESK.held] == MOST_HELD:
            return FULL if is_ours else AWAITED
    outcome = take_one(desk, queues, ends)
    return AWAITED if outcome == IDLE and desk[DESK.held] != 0 else outcome


@inlined
def await_others(desk, why, queues):  # type: ignore[no-untyped-def]
    """Wait a moment; returns whether it slept. Then it sees that no consumer sleeps for whom there is work.

    Where all windows are in the rings, nobody has the turn. Two who wake at once may count a wake-up too few.
    """
    waiting = desk.ctypes.data + WAITING * WORD
    if why != FULL:
        return wait(waiting, YIELDS, desk[DESK.patience], SHORT_NAP)
    slept, shared = wait(waiting, YIELDS_FULL, desk[DESK.patience], desk[DESK.doze]), desk[DESK.shared]
    if slept and acquire_u32(shared + APPENDED) == acquire_u32(shared + TAKEN):
        wake_sleepers(queues)
    return slept


@compiled
def read_on(desk, told, records, hashes, reta, queues, ends):  # type: ignore[no-untyped-def]
    """Read windows and bring them into the rings, waiting where that cannot be done; returns GOING, IDLE or OVER.

    desk: words of Desk. told: of the form, as for `scan`. records, hashes: a row for each record of a window. reta,
    queues: as for `deliver`. ends: see Windows.
    """
    left = AT_ONCE
    while left > 0:
        why = step(desk, told, records, hashes, reta, queues, ends)
        if why == OVER or why == IDLE:
            return why
        if why == GOING:
            waited(desk.ctypes.data + WAITING * WORD)
            left -= 1
        else:
            left -= A_SLEEP if await_others(desk, why, queues) else 1
    return GOING


@compiled
def make_room(shared, queues, ends):  # type: ignore[no-untyped-def]
    """Free what every ring has passed; whether there is room for a window. Called while no reader works."""
    free(shared, queues, ends)
    if (acquire_u32(shared + APPENDED) - acquire_u32(shared + FREED)) & COUNTER_BITS < ends.shape[0]:
        return True
    wake_sleepers(queues)
    return False


class WindowReader:
    """What one process needs to read windows; several work on one job, with the same `windows`.

    doze: seconds to sleep at a full ring. records: int64, shape (rows, COLUMNS), those of the oldest window held.
    """

    def __init__(self, windows: Windows, rss: RssConfig, doze: float) -> None:
        self._windows = windows
        rows = max(windows.rows, ROWS)
        self.records = np.zeros((rows, COLUMNS), np.int64)
        self._hashes = np.zeros(rows, np.int64)
        self._tables = toeplitz_tables(rss.key)
        self._reta = np.append(rss.reta_array().astype(np.int64), 0)
        self.desk = np.zeros(DESK_WORDS, np.int64)
        desk = self.desk
        desk[DESK.doze], desk[DESK.patience] = max(1, int(doze * 1e6)), windows.patience_ns
        desk[DESK.shared], desk[DESK.begins] = windows.shared.ctypes.data, windows.begins.ctypes.data
        desk[DESK.tables], desk[DESK.fields] = self._tables.ctypes.data, rss.field_mask
        desk[DESK.windows], desk[DESK.front] = windows.address, windows.front
        desk[DESK.window], desk[DESK.stride], desk[DESK.slots] = windows.window, windows.stride, windows.slots
        self._told = told_of(NO_FORM)
        self._known: set[tuple[Any, ...]] = set()

    def compile(self, form: Form) -> bool:
        """Have compiled what reads windows of this form; whether that is new to this process."""
        self._told = told_of(form)
        needed = tuple(map(typeof, self._arguments))
        if needed in self._known:
            return False
        self._known.add(needed)
        precompile(read_on, *needed)
        return True

    @property
    def _arguments(self) -> tuple[Any, ...]:
        windows = self._windows
        return self.desk, self._told, self.records, self._hashes, self._reta, windows.queues, windows.ends

    def begin(self, job: Job, fd: int) -> bool:
        """Work on this job; fd: of its file. Returns as `compile`."""
        found = self.compile(job.form)
        desk = self.desk
        desk[DESK.fd], desk[DESK.first], desk[DESK.offset], desk[DESK.shift] = fd, job.first, job.offset, job.shift
        desk[DESK.timed] = job.timed
        desk[DESK.held] = desk[DESK.scanned] = 0
        return found

    def has_room(self) -> bool:
        """Whether there is room for a window; asked while no reader works."""
        windows = self._windows
        return bool(make_room(windows.shared.ctypes.data, windows.queues, windows.ends))

    def fill(self, number: int, base: int, source: RecordTable, first: int, last: int) -> int:
        """Copy frames of rows [first, last) of `source` to a window, and hold it: returns the row behind the last.

        base: address that their offsets count from. The window is to be the only one of the job.
        """
        windows, desk = self._windows, self.desk
        target = (windows.address + windows.slot(number) * windows.stride, windows.window + TAIL)
        spread = (desk[DESK.tables], desk[DESK.fields], self._hashes)
        row = int(pack(base, source, first, last, *target, self.records, *spread))
        desk[DESK.timed] = 0
        self._hold(number, row - first)
        return row

    def _hold(self, number: int, rows: int) -> None:
        desk = self.desk
        desk[NUMBER], desk[DESK.held], desk[DESK.scanned] = number, 1, 1
        desk[DESK.rows], desk[DESK.row], desk[DESK.end], desk[DESK.whole] = rows, 0, 0, 1

    def read_on(self) -> int:
        """Do a part of the job; returns GOING, IDLE (no window is left to take) or OVER."""
        return int(read_on(*self._arguments))
