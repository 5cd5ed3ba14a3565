"""The records of several workers as one stream, in order of time; compiled.

A worker's records keep their order. Of several workers' records the oldest goes first, once it is known that no other
worker will hand on an older one: because that worker has a record in its ring, or has left a mark that it is past that
time. A worker that has nothing to do leaves no marks, and must not hold up the others. A NIC in software says when all
that it publishes is published (its turn is even): what an idle worker is given after that is younger than what others
had handed on before. Of another NIC nothing is known but time: behind a record that was there HOLD_S ago, an idle
worker is not waited for; behind one of LATE_S ago, in a live capture, no worker is.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from numba.core import types

from zcframe.framework.chain.handover import END, FRAMES, LINE, MARK, NS
from zcframe.framework.chain.workspace import DONE
from zcframe.framework.jit.address import acquire_u32, acquire_u64, load_u32
from zcframe.framework.jit.compiler import Job, compiled, inlined
from zcframe.framework.jit.words import Words, numbered
from zcframe.framework.outputs.sink import FOREVER, UNBOUND

# The kernel keeps a frame of a quiet interface for 20 ms and a tick, until its block is due; a worker naps 4 ms.
HOLD_S: Final = 0.045
LATE_S: Final = 0.2
STEP_S: Final = HOLD_S / 4
# Entries of one writev.
MOST_PIECES: Final = 1024
LONGEST: Final = 48 * 1024


class Row(NamedTuple):
    """What is known of one worker's ring: a row of the table that `look` and `merge` work on."""

    data: int  # address of its bytes
    mask: int
    book: int  # addresses: of its book,
    marks: int  # of the worker's first book,
    generation: int  # of the ledger's generation,
    progress: int  # of the worker's progress memory,
    write: int  # and of `write` in the header of the ring that the worker reads
    position: int  # up to where it is merged
    taken: int  # frames before that
    end: int  # up to where it is filled
    frames: int  # frames before that
    mark: int  # time up to which nothing older will come
    turn: int  # address of the NIC's turn, 0: it has none
    seen: int  # `end` at the last look, before it was seen that a worker is idle
    idle: int  # whether the worker has no packet to take
    ripe: int  # what lies before it waits for no idle worker
    old: int  # what lies before it waits for nobody


class Merged(NamedTuple):
    """What a call of `merge` found."""

    pieces: int = 0
    frames: int = 0
    octets: int = 0
    late: int = 0
    last: int = 0  # time of the youngest record so far
    broken: int = 0  # 1 + the row whose bytes are no record, 0: none
    blocked: int = 0  # whether records wait for another worker
    next: int = FOREVER  # time of the record that was not taken because of its time


ROW: Final = numbered(Row)
MERGED: Final = numbered(Merged)


@inlined
def filled(rows, r):  # type: ignore[no-untyped-def]
    """(end, frames, mark) of a row, of one moment."""
    while True:
        generation = acquire_u64(rows[r, ROW.generation])
        line = (generation & 1) * LINE
        end = acquire_u64(rows[r, ROW.book] + line + END)
        frames = acquire_u64(rows[r, ROW.book] + line + FRAMES)
        mark = acquire_u64(rows[r, ROW.marks] + line + MARK)
        if acquire_u64(rows[r, ROW.generation]) == generation:
            return end, frames, mark


@compiled
def look(rows):  # type: ignore[no-untyped-def]
    """Bring `end`, `mark`, `idle` and, by the NIC's turn, `ripe` of each row up to date."""
    for r in range(rows.shape[0]):
        rows[r, ROW.seen], _, _ = filled(rows, r)
    turn = rows[0, ROW.turn]
    published = turn != 0 and acquire_u64(turn) & 1 == 0  # L, matches K: all that was seen of any ring's frames
    for r in range(rows.shape[0]):
        rows[r, ROW.idle] = acquire_u32(rows[r, ROW.write]) == acquire_u64(rows[r, ROW.progress] + DONE) & 0xFFFFFFFF
    for r in range(rows.shape[0]):
        # What an idle worker had handed on by then is below this end.
        rows[r, ROW.end], rows[r, ROW.frames], rows[r, ROW.mark] = filled(rows, r)
        if published:
            rows[r, ROW.ripe] = rows[r, ROW.seen]


@inlined
def time_of(at, ng):  # type: ignore[no-untyped-def]
    """Time of the record at this address. ng: whether it is a block of pcapng."""
    if ng:
        return load_u32(at + 12) << 32 | load_u32(at + 16)
    return load_u32(at) * NS + load_u32(at + 4)


@inlined
def size_of(at, ng):  # type: ignore[no-untyped-def]
    return load_u32(at + 4) if ng else 16 + load_u32(at + 8)


@inlined
def take_whole(rows, waiting, pieces, merged):  # type: ignore[no-untyped-def]
    """Take all that lies in the only ring, without a look at it."""
    pieces[0], pieces[1] = rows[0, ROW.data] + (rows[0, ROW.position] & rows[0, ROW.mask]), waiting
    merged[MERGED.pieces], merged[MERGED.octets] = 1, waiting
    merged[MERGED.frames] = rows[0, ROW.frames] - rows[0, ROW.taken]
    merged[MERGED.late] = merged[MERGED.broken] = merged[MERGED.blocked] = 0
    merged[MERGED.next] = FOREVER
    rows[0, ROW.position], rows[0, ROW.taken] = rows[0, ROW.end], rows[0, ROW.frames]


@compiled
def merge(rows, ng, room, most, until, heads, pieces, merged):  # type: ignore[no-untyped-def]
    """Take at most `most` records, of at most `room` bytes but one at least, in order of time.

    The rows' positions are moved past them.

    until: a record of this time, or later, is not taken; its time is then left as `next`, which is else FOREVER.
    heads: int64[rows], scratch. pieces: int64[2 * MOST_PIECES], address and length of what is to be written, as writev
    takes it. merged: words of Merged, to be filled; `last` of the call before is needed.
    """
    waiting = rows[0, ROW.end] - rows[0, ROW.position]
    fits = 0 < waiting <= room and rows[0, ROW.frames] - rows[0, ROW.taken] <= most
    if rows.shape[0] == 1 and fits and until == FOREVER:
        take_whole(rows, waiting, pieces, merged)
        return
    count, octets, frames, late, last = 0, 0, 0, 0, merged[MERGED.last]
    merged[MERGED.broken], merged[MERGED.blocked], merged[MERGED.next] = 0, 0, FOREVER
    several = rows.shape[0] > 1
    for r in range(rows.shape[0]):
        at = rows[r, ROW.data] + (rows[r, ROW.position] & rows[r, ROW.mask])
        heads[r] = time_of(at, ng) if rows[r, ROW.position] < rows[r, ROW.end] else FOREVER
    full = False
    while not full:
        best, key, second, bound, idle = -1, FOREVER, FOREVER, FOREVER, True
        for r in range(rows.shape[0]):
            if rows[r, ROW.position] == rows[r, ROW.end]:
                bound = min(bound, rows[r, ROW.mark])
                idle = idle and rows[r, ROW.idle] != 0
            elif best < 0 or heads[r] < key:
                best, second, key = r, key if best >= 0 else FOREVER, heads[r]
            else:
                second = min(second, heads[r])
        if best < 0:
            break
        position, end, mask = rows[best, ROW.position], rows[best, ROW.end], rows[best, ROW.mask]
        passed = FOREVER if not several else rows[best, ROW.ripe] if idle else rows[best, ROW.old]
        taken = False
        while position < end and key <= second and (key <= bound or position < passed):
            if key >= until:
                merged[MERGED.next], full = key, True
                break
            at = rows[best, ROW.data] + (position & mask)
            size = size_of(at, ng)
            if size < 16 or size > LONGEST or size > end - position:
                merged[MERGED.broken], full = best + 1, True
                break
            joins = count > 0 and pieces[2 * count - 2] + pieces[2 * count - 1] == at
            if frames > 0 and (octets + size > room or frames == most or (not joins and count == MOST_PIECES)):
                full = True
                break
            if joins:
                pieces[2 * count - 1] += size
            else:
                pieces[2 * count], pieces[2 * count + 1] = at, size
                count += 1
            late += several and key < last
            last = max(last, key)
            position += size
            rows[best, ROW.taken] += 1
            octets, frames, taken = octets + size, frames + 1, True
            if position < end:
                key = time_of(rows[best, ROW.data] + (position & mask), ng)
        rows[best, ROW.position], heads[best] = position, key
        if not taken and not full:
            merged[MERGED.blocked] = 1
            break
    merged[MERGED.pieces], merged[MERGED.frames], merged[MERGED.octets] = count, frames, octets
    merged[MERGED.late], merged[MERGED.last] = late, last


class Merge:
    """The rings of one stream. rows: a Row each; live: whether no worker is waited for longer than LATE_S.

    pieces, merged: what the last `take` found.
    """

    def __init__(self, rows: Sequence[Row], *, ng: bool, live: bool) -> None:
        self.rows: np.ndarray[tuple[int, int], np.dtype[np.int64]] = np.array(rows, np.int64).reshape(
            -1, len(Row._fields)
        )
        self._ng, self.live = ng, live
        self._heads = np.zeros(len(rows), np.int64)
        self.pieces: Words = np.zeros(2 * MOST_PIECES, np.int64)
        self.merged: Words = np.zeros(len(Merged._fields), np.int64)
        self._seen: deque[tuple[float, Words]] = deque()

    @property
    def positions(self) -> Words:
        return self.rows[:, ROW.position]

    def begin(self, positions: Words, taken: int, last: int) -> None:
        """Go on at these positions. taken: frames before it, where there is one row; last: see Merged."""
        self.rows[:, ROW.position], self.rows[0, ROW.taken] = positions, taken
        self.merged[MERGED.last] = last

    @property
    def last(self) -> int:
        """Time of the youngest record that was taken."""
        return int(self.merged[MERGED.last])

    @property
    def empty(self) -> bool:
        """Whether nothing lay in the rings at the last look."""
        return not self.octets

    @property
    def octets(self) -> int:
        """Bytes that lay in the rings then."""
        return int((self.rows[:, ROW.end] - self.rows[:, ROW.position]).sum())

    @property
    def frames(self) -> int:
        """Frames that workers had handed on by then, since the run began."""
        return int(self.rows[:, ROW.frames].sum())

    @property
    def half_full(self) -> bool:
        """Whether a ring was."""
        filled = self.rows[:, ROW.end] - self.rows[:, ROW.position]
        return bool((2 * filled > self.rows[:, ROW.mask]).any())

    def look(self, *, ended: bool) -> None:
        """See how far the workers are. ended: there are none any more."""
        look(self.rows)
        if ended:
            self.rows[:, ROW.mark] = FOREVER
        elif len(self.rows) > 1:
            self._ripen(time.monotonic())

    def _ripen(self, now: float) -> None:
        """Note what lies in the rings now, and what did so long enough ago."""
        if not self._seen or now - self._seen[-1][0] > STEP_S:
            self._seen.append((now, self.rows[:, ROW.end].copy()))
        timed = self.rows[0, ROW.turn] == 0
        for age, column, wanted in ((HOLD_S, ROW.ripe, timed), (LATE_S, ROW.old, self.live)):
            aged = [ends for seen, ends in self._seen if now - seen >= age]
            if aged and wanted:
                self.rows[:, column] = aged[-1]
        if timed and self.live and self.half_full:
            # Rather out of order than lost.
            self.rows[:, ROW.ripe] = self.rows[:, ROW.end]
        while len(self._seen) > 1 and now - self._seen[1][0] > LATE_S:
            self._seen.popleft()

    def take(self, room: int, until: int = FOREVER, most: int = UNBOUND) -> Merged:
        """Take at most `most` records, of at most `room` bytes; one at least where there is one older than `until`."""
        merge(self.rows, self._ng, room, most, until, self._heads, self.pieces, self.merged)
        return Merged(*self.merged.tolist())


def entry_points() -> tuple[Job, ...]:
    """What every writer calls."""
    table, words = types.Array(types.int64, 2, "C"), types.Array(types.int64, 1, "C")
    arguments = (table, types.boolean, types.int64, types.int64, types.int64, words, words, words)
    return Job("zcframe", look, (table,)), Job("zcframe", merge, arguments)
