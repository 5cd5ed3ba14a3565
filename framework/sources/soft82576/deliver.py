"""From records of a capture to frames in rings: hash, choose the queue, copy, describe, publish, wake.

The work goes in bursts of BURST frames. A burst is placed first (hash, queue, slot), which lets the blocks' cache
lines come while the rest is being placed; then it is copied; then each queue publishes once. A frame counts as
arrived when it is published or dropped: one that waits for room is still on the wire.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numba import types

from zcframe.framework import abi
from zcframe.framework.jit.address import (
    acquire_u32,
    copy_bytes,
    full_fence,
    prefetch_write,
    release_u32,
    release_u64,
    store_u8,
    store_u16,
    store_u32,
    store_u64,
)
from zcframe.framework.jit.compiler import compiled, inlined
from zcframe.framework.rss.toeplitz import rss_bucket, rss_hash
from zcframe.framework.sources.capture.records import LENGTH, OFFSET, PORT, STATUS, TIMESTAMP, WIRE_LENGTH

from .queues import (
    ARRIVED,
    ARRIVED_BYTES,
    BLOCKS,
    DESCRIPTORS,
    FLAGS,
    HEADER,
    READ,
    RING_FULL,
    ROOM_UNTIL,
    SLOTS,
    TOUCHED,
    TRUNCATED,
    WAKE_AT,
    WAKE_FD,
    WAKE_FRACTION,
    WAKEUPS,
    WRITE,
)

BURST: Final = 64
COPY_UNIT: Final = 64
PREFETCHED_LINES: Final = 4
COUNTER_BITS: Final = 0xFFFFFFFF
NO_TIME: Final = abi.STATUS_NO_TIME

# Columns of the burst's scratch table: int64, shape (BURST, PLACE_WIDTH).
HASHED: Final = 0  # what rss_hash returned
DESCRIPTOR: Final = 1  # address; 0: the ring was full
BLOCK: Final = 2
BLOCK_OFFSET: Final = 3
PLACE_WIDTH: Final = 4

# What is written into an eventfd; numba places a copy of it beside the code.
ONE = np.ones(1, np.uint64)
ONE_SIZE: Final = 8
write_fd = types.ExternalFunction("write", types.int64(types.int32, types.int64, types.int64))


@inlined
def has_room(queues, queue):  # type: ignore[no-untyped-def]
    """Whether the next slot is free. `read` is the consumer's word: out of range means full."""
    write = queues[queue, WRITE]
    if write < queues[queue, ROOM_UNTIL]:
        return True
    unread = (write - acquire_u32(queues[queue, READ])) & COUNTER_BITS  # A, matches D
    if unread >= queues[queue, SLOTS]:
        return False
    queues[queue, ROOM_UNTIL] = write + queues[queue, SLOTS] - unread
    return True


@inlined
def take_slot(queues, queue, place):  # type: ignore[no-untyped-def]
    write = queues[queue, WRITE]
    slot = write & (queues[queue, SLOTS] - 1)
    queues[queue, WRITE] = write + 1
    place[BLOCK_OFFSET] = slot * abi.BLOCK_SIZE
    place[BLOCK] = queues[queue, BLOCKS] + slot * abi.BLOCK_SIZE
    place[DESCRIPTOR] = queues[queue, DESCRIPTORS] + slot * abi.DESC_SIZE
    for line in range(PREFETCHED_LINES):
        prefetch_write(place[BLOCK] + line * abi.CACHE_LINE)


@inlined
def place_burst(base, records, first, last, tables, fields, reta, queues, places, lossless):  # type: ignore[no-untyped-def]
    """Find a slot for rows [first, last); returns the row behind the last one that arrived.

    A lossless burst ends in front of a frame that finds no room, any other drops that frame.
    """
    for row in range(first, last):
        length = min(records[row, LENGTH], abi.BLOCK_SIZE)
        hashed = rss_hash(base + records[row, OFFSET], length, tables, fields)
        queue = reta[rss_bucket(hashed)]
        room = has_room(queues, queue)
        if lossless and not room:
            return row
        place = places[row - first]
        place[HASHED] = hashed
        place[DESCRIPTOR] = 0
        if room:
            take_slot(queues, queue, place)
            queues[queue, TRUNCATED] += records[row, LENGTH] > abi.BLOCK_SIZE
        else:
            queues[queue, RING_FULL] += 1
        queues[queue, ARRIVED] += 1
        queues[queue, ARRIVED_BYTES] += records[row, WIRE_LENGTH]
        queues[queue, TOUCHED] = 1
    return last


@inlined
def copy_frame(target, source, length):  # type: ignore[no-untyped-def]
    """Copy in whole cache lines: a block has room for them, and the window ends with SLACK bytes."""
    for _ in range((length + COPY_UNIT - 1) // COPY_UNIT):
        copy_bytes(target, source, COPY_UNIT)
        target += COPY_UNIT
        source += COPY_UNIT


@inlined
def describe(record, place, length, shift):  # type: ignore[no-untyped-def]
    descriptor = place[DESCRIPTOR]
    status = record[STATUS]
    timestamp = record[TIMESTAMP] if status & NO_TIME else record[TIMESTAMP] + shift
    if record[LENGTH] > abi.BLOCK_SIZE:
        status |= abi.STATUS_TRUNCATED
    store_u64(descriptor + abi.DESC_TIMESTAMP, timestamp)
    store_u32(descriptor + abi.DESC_OFFSET, place[BLOCK_OFFSET])
    store_u32(descriptor + abi.DESC_WIRE_LEN, record[WIRE_LENGTH])
    store_u32(descriptor + abi.DESC_RSS_HASH, place[HASHED])
    store_u16(descriptor + abi.DESC_LEN, length)
    store_u16(descriptor + abi.DESC_VLAN_TCI, 0)
    store_u16(descriptor + abi.DESC_VLAN_TPID, 0)
    store_u16(descriptor + abi.DESC_STATUS, status)
    store_u8(descriptor + abi.DESC_RSS_TYPE, place[HASHED] >> 32)
    store_u8(descriptor + abi.DESC_FLAG_ACCESS, abi.ACCESS_READABLE)
    store_u16(descriptor + abi.DESC_PORT, record[PORT])


@inlined
def copy_burst(base, records, first, last, places, shift):  # type: ignore[no-untyped-def]
    for row in range(first, last):
        place = places[row - first]
        if place[DESCRIPTOR] != 0:
            record = records[row]
            length = min(record[LENGTH], abi.BLOCK_SIZE)
            copy_frame(place[BLOCK], base + record[OFFSET], length)
            describe(record, place, length, shift)


@inlined
def wake(queues, queue):  # type: ignore[no-untyped-def]
    """Wake the consumer if it sleeps; a full fence (F) stands between the last publish and this."""
    queues[queue, WAKE_AT] = queues[queue, WRITE] + queues[queue, SLOTS] // WAKE_FRACTION
    if acquire_u32(queues[queue, FLAGS]) & abi.USER_WANT_WAKE:
        queues[queue, WAKEUPS] += 1
        store_u64(queues[queue, HEADER] + abi.HEADER_WAKEUPS, queues[queue, WAKEUPS])
        write_fd(np.int32(queues[queue, WAKE_FD]), ONE.ctypes.data, ONE_SIZE)


@inlined
def publish(queues):  # type: ignore[no-untyped-def]
    """Show what the burst did. `arrived` first: after a kill, what it is ahead of the rest is what the kill cost."""
    for queue in range(queues.shape[0]):
        if queues[queue, TOUCHED] == 0:
            continue
        header = queues[queue, HEADER]
        store_u64(header + abi.HEADER_ARRIVED, queues[queue, ARRIVED])
        store_u64(header + abi.HEADER_ARRIVED_BYTES, queues[queue, ARRIVED_BYTES])
        release_u64(header + abi.HEADER_RING_FULL, queues[queue, RING_FULL])
        store_u64(header + abi.HEADER_TRUNCATED, queues[queue, TRUNCATED])
        release_u32(header + abi.HEADER_WRITE, queues[queue, WRITE])  # B, matches C
        queues[queue, TOUCHED] = 0
        if queues[queue, WRITE] >= queues[queue, WAKE_AT]:
            full_fence()  # F, matches E
            wake(queues, queue)


@inlined
def wake_sleepers(queues):  # type: ignore[no-untyped-def]
    full_fence()  # F, matches E
    for queue in range(queues.shape[0]):
        wake(queues, queue)


@compiled
def deliver(base, records, first, last, shift, tables, fields, reta, queues, places, lossless):  # type: ignore[no-untyped-def]
    """Bring rows [first, last) of a record table into the rings; returns the row behind the last one that arrived.

    base: int64 address of the buffer, with SLACK readable bytes behind its last frame; shift: nanoseconds to add to
    each timestamp; tables, fields: as for `rss_hash`; reta: int64, shape (129,), the last one for frames without a
    hash; queues: `queue_table`; places: scratch, int64, shape (BURST, PLACE_WIDTH). Where lossless, it ends early at
    a full ring; all that arrived is published then, and sleeping consumers are awake.
    """
    row = first
    while row < last:
        limit = min(row + BURST, last)
        behind = place_burst(base, records, row, limit, tables, fields, reta, queues, places, lossless)
        copy_burst(base, records, row, behind, places, shift)
        publish(queues)
        row = behind
        if behind < limit:
            break
    wake_sleepers(queues)
    return row
