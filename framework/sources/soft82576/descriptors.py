"""Descriptors of a window's frames: made in a table by whoever reads the window, brought into rings by the NIC.

Compiled. A table is an array of abi.DESC; `offset` says where its window begins, counted as the offsets in descriptors.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from zcframe.framework import abi
from zcframe.framework.jit.address import (
    acquire_u32,
    acquire_u64,
    exchange_u32,
    load_u8,
    load_u16,
    load_u32,
    load_u64,
    prefetch_read,
    prefetch_write,
    release_u32,
    release_u64,
    store_u64,
)
from zcframe.framework.jit.compiler import compiled, inlined
from zcframe.framework.jit.words import numbered
from zcframe.framework.packet.decode import MAX_LENGTH
from zcframe.framework.ring.describe import describe
from zcframe.framework.rss.toeplitz import rss_bucket, rss_hash
from zcframe.framework.sources.capture.records import LENGTH, OFFSET, PORT, STATUS, TIMESTAMP, WIRE_LENGTH

from .deliver import COUNTER_BITS, copy_frame, has_room, publish, wake_sleepers
from .pool import NEVER, SHARED, STATE, STATE_SIZE
from .queues import Q


class Course(NamedTuple):
    """How far the NIC is, and where things lie."""

    shared: int  # addresses, from here to `tables`
    states: int
    tables: int
    table_size: int  # bytes of one slot's table
    left: int  # frames that may still come
    appended: int = 0  # number of the oldest window that is not in the rings
    last: int = 0  # number behind the last window of the job
    row: int = 0  # of that window's table: what is to come next
    end: int = 0  # State.end and State.whole of the window before
    whole: int = 1
    earliest: int = NEVER  # of the times so far
    latest: int = -1


COURSE: Final = numbered(Course)

# Why `append_windows` ends.
GOING: Final = 0  # it has done enough for once
AWAITED: Final = 1  # the next window is not described yet
FULL: Final = 2  # a ring has no room
ENDED: Final = 3  # the job is done, or as many frames as were wanted

# Windows between two looks for orders.
AT_ONCE: Final = 16

# What `take` returns where there is no window; NO_WORK: a reader holds all that it may, and waits for another one.
NONE_LEFT: Final = -1
NO_ROOM: Final = -2
NO_WORK: Final = -3

WORD: Final = 8
TAKEN: Final = SHARED.taken * WORD
FREED: Final = SHARED.freed * WORD
LAST: Final = SHARED.last * WORD
STOPPED: Final = SHARED.stopped * WORD

# So often a reader looks for the end of the window before, some microseconds in all, before it does something else.
LOOKS: Final = 200
NOT_YET: Final = -1
AHEAD: Final = 4
SLOTS_AHEAD: Final = 16
HALF: Final = 1 << 31


@compiled
def take(shared, slots):  # type: ignore[no-untyped-def]
    """Take the next window: its number, NONE_LEFT in the job, or NO_ROOM. shared: address of the shared words."""
    while True:
        number = acquire_u32(shared + TAKEN)
        if number == load_u32(shared + LAST) or acquire_u32(shared + STOPPED) != 0:
            return NONE_LEFT
        if (number - acquire_u32(shared + FREED)) & COUNTER_BITS >= slots:  # H, matches G
            return NO_ROOM
        if exchange_u32(shared + TAKEN, number, number + 1):
            return number


@compiled
def begin_of(state, number):  # type: ignore[no-untyped-def]
    """Offset in the file where a window's first record begins; NOT_YET. state: address of its slot's words."""
    for _ in range(LOOKS):
        if acquire_u32(state + STATE.begin_of * WORD) == (number + 1) & COUNTER_BITS:
            return load_u64(state + STATE.begin * WORD)
    return NOT_YET


@compiled
def pass_on(state, number, begin):  # type: ignore[no-untyped-def]
    """Tell the reader of window `number` where its first record begins."""
    store_u64(state + STATE.begin * WORD, begin)
    release_u64(state + STATE.begin_of * WORD, (number + 1) & COUNTER_BITS)


@inlined
def make_descriptor(desc, record, offset, hashed):  # type: ignore[no-untyped-def]
    """The descriptor of a frame at `offset`; its time is not shifted yet."""
    length, status = record[LENGTH], record[STATUS]
    if length > MAX_LENGTH:
        length, status = MAX_LENGTH, status | abi.STATUS_TRUNCATED
    describe(desc, record[TIMESTAMP], offset, length, record[WIRE_LENGTH], hashed, 0, 0, status, record[PORT])


@inlined
def hash_of(base, record, tables, fields):  # type: ignore[no-untyped-def]
    """As the NIC computes it: over what fits a block, wherever the frame lies."""
    return rss_hash(base + record[OFFSET], min(record[LENGTH], abi.BLOCK_SIZE), tables, fields)


@inlined
def show(state, number, rows, end, whole, earliest, latest):  # type: ignore[no-untyped-def]
    """Show a window to the NIC: its descriptors are complete. The arguments behind the number are words of State."""
    store_u64(state + STATE.earliest * WORD, earliest)
    store_u64(state + STATE.latest * WORD, latest)
    store_u64(state + STATE.rows * WORD, rows)
    store_u64(state + STATE.end * WORD, end)
    store_u64(state + STATE.whole * WORD, whole)
    release_u64(state + STATE.done_of * WORD, (number + 1) & COUNTER_BITS)  # I, matches J


@compiled
def describe_window(base, records, rows, offset, tables, fields, table, state, number, end, whole):  # type: ignore[no-untyped-def]
    """Describe the first `rows` records where they lie, and show the window to the NIC.

    base: address of the window; tables, fields: as for `rss_hash`; table, state: addresses of its slot's table and
    words; end, whole: see State.
    """
    earliest, latest = NEVER, -1
    for row in range(rows):
        prefetch_read(base + records[min(row + AHEAD, rows - 1), OFFSET])
        if records[row, STATUS] & abi.STATUS_NO_TIME == 0:
            earliest, latest = min(earliest, records[row, TIMESTAMP]), max(latest, records[row, TIMESTAMP])
        hashed = hash_of(base, records[row], tables, fields)
        make_descriptor(table + row * abi.DESC_SIZE, records[row], offset + records[row, OFFSET], hashed)
    show(state, number, rows, end, whole, earliest, latest)


@compiled
def pack(base, records, first, last, window, room, offset, tables, fields, table, size, state, number):  # type: ignore[no-untyped-def]
    """Copy the frames of rows [first, last) to the window at address `window`, describe them there, and show it.

    room: bytes of the window; size: descriptors that the table holds. Returns the row behind the last that fits. Their
    times are not noted: the NIC has seen them.
    """
    at = 0
    row = first
    while row < last:
        record = records[row]
        length = min(record[LENGTH], MAX_LENGTH)
        lines = (length + abi.CACHE_LINE - 1) // abi.CACHE_LINE * abi.CACHE_LINE
        if row - first == size or at + lines > room:
            break
        copy_frame(window + at, base + record[OFFSET], length)
        hashed = hash_of(base, record, tables, fields)
        make_descriptor(table + (row - first) * abi.DESC_SIZE, record, offset + at, hashed)
        at += lines
        row += 1
    show(state, number, row - first, 0, 1, NEVER, -1)
    return row


@inlined
def append_one(desc, shift, queues, queue):  # type: ignore[no-untyped-def]
    """Copy the descriptor at `desc` to the next slot of a queue, and count the frame as arrived."""
    write = queues[queue, Q.write]
    mask = queues[queue, Q.slots] - 1
    into = queues[queue, Q.descriptors] + (write & mask) * abi.DESC_SIZE
    # The consumer read these lines last, on another CPU.
    prefetch_write(queues[queue, Q.descriptors] + (write + SLOTS_AHEAD & mask) * abi.DESC_SIZE)
    status = load_u16(desc + abi.DESC_STATUS)
    timed = status & abi.STATUS_NO_TIME == 0
    store_u64(into, load_u64(desc) + (shift if timed else 0))
    for word in range(WORD, abi.DESC_SIZE, WORD):
        store_u64(into + word, load_u64(desc + word))
    queues[queue, Q.write] = write + 1
    queues[queue, Q.arrived] += 1
    queues[queue, Q.arrived_bytes] += load_u32(desc + abi.DESC_WIRE_LEN)
    queues[queue, Q.truncated] += status & abi.STATUS_TRUNCATED
    queues[queue, Q.touched] = 1


@inlined
def append(table, first, last, shift, reta, queues):  # type: ignore[no-untyped-def]
    """Bring descriptors [first, last) of the table at this address into the rings, in order, and publish them.

    Ends in front of a frame whose ring is full; returns its row.
    """
    row = first
    while row < last:
        desc = table + row * abi.DESC_SIZE
        queue = reta[rss_bucket(load_u8(desc + abi.DESC_RSS_TYPE) << 32 | load_u32(desc + abi.DESC_RSS_HASH))]
        if not has_room(queues, queue):
            break
        append_one(desc, shift, queues, queue)
        row += 1
    publish(queues)
    return row


@inlined
def free(course, queues, ends):  # type: ignore[no-untyped-def]
    """Free the oldest of the appended windows, as many as every ring has passed."""
    shared, number = course[COURSE.shared], load_u32(course[COURSE.shared] + FREED)
    while number != course[COURSE.appended]:
        for queue in range(queues.shape[0]):
            passed = acquire_u32(queues[queue, Q.read]) - ends[number & (ends.shape[0] - 1), queue]  # A, matches D
            if passed & COUNTER_BITS >= HALF:
                return
        number = (number + 1) & COUNTER_BITS
        release_u32(shared + FREED, number)  # G, matches H


@inlined
def end_window(course, state, queues, ends):  # type: ignore[no-untyped-def]
    """Note that the oldest window is in the rings, and how far each of them is. state: address of the slot's words."""
    number = course[COURSE.appended]
    for queue in range(queues.shape[0]):
        ends[number & (ends.shape[0] - 1), queue] = queues[queue, Q.write]
    course[COURSE.appended], course[COURSE.row] = (number + 1) & COUNTER_BITS, 0
    course[COURSE.end], course[COURSE.whole] = load_u64(state + STATE.end * WORD), load_u64(state + STATE.whole * WORD)
    course[COURSE.earliest] = min(course[COURSE.earliest], load_u64(state + STATE.earliest * WORD))
    course[COURSE.latest] = max(course[COURSE.latest], load_u64(state + STATE.latest * WORD))


@compiled
def append_windows(course, shift, reta, queues, ends):  # type: ignore[no-untyped-def]
    """Bring into the rings what is described, window by window, and free windows; returns why that ended.

    course: words of Course. shift, reta, queues: as for `deliver`. ends: int64, shape (slots, queues), how far each
    ring was when each window was in it.
    """
    for _ in range(AT_ONCE):
        free(course, queues, ends)
        number = course[COURSE.appended]
        if number == course[COURSE.last] or course[COURSE.whole] == 0 or course[COURSE.left] == 0:
            return ENDED
        slot = number & (ends.shape[0] - 1)
        state = course[COURSE.states] + slot * STATE_SIZE
        if acquire_u64(state + STATE.done_of * WORD) != (number + 1) & COUNTER_BITS:  # J, matches I
            return AWAITED
        first, rows = course[COURSE.row], load_u64(state + STATE.rows * WORD)
        last = min(rows, first + course[COURSE.left])
        table = course[COURSE.tables] + slot * course[COURSE.table_size]
        row = append(table, first, last, shift, reta, queues)
        course[COURSE.row], course[COURSE.left] = row, course[COURSE.left] - (row - first)
        if row < last:
            return FULL
        end_window(course, state, queues, ends)
    return GOING


@compiled
def wake_all(queues):  # type: ignore[no-untyped-def]
    """Wake every consumer that sleeps."""
    wake_sleepers(queues)
