"""From records of a capture to frames in rings: hash, choose the queue, copy, describe, publish, wake.

The work goes in bursts of BURST frames. A burst is placed first (hash, queue, slot), which lets the blocks' cache
lines come while the rest is being placed; then it is copied; then each queue publishes once. A frame counts as
arrived when it is published or dropped: one that waits for room is still on the wire.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np
from numba import types

from zcframe.framework import abi
from zcframe.framework.jit.address import (
    acquire_u32,
    copy_bytes,
    full_fence,
    load_u64,
    prefetch_write,
    release_u32,
    release_u64,
    store_u64,
)
from zcframe.framework.jit.compiler import compiled, inlined
from zcframe.framework.jit.words import numbered
from zcframe.framework.ring.describe import describe
from zcframe.framework.rss.toeplitz import rss_bucket, rss_hash
from zcframe.framework.sources.capture.records import LENGTH, OFFSET, PORT, STATUS, TIMESTAMP, WIRE_LENGTH

from .queues import WAKE_FRACTION, Q

BURST: Final = 64
COPY_UNIT: Final = 64
PREFETCHED_LINES: Final = 4
COUNTER_BITS: Final = 0xFFFFFFFF
NO_TIME: Final = abi.STATUS_NO_TIME


class Place(NamedTuple):
    """Where one frame of a burst goes."""

    hashed: int = 0  # as rss_hash returns it
    descriptor: int = 0  # address; 0: the ring was full
    block: int = 0  # address
    offset: int = 0  # of the block, from the first one


PLACE: Final = numbered(Place)

# The value that wakes by an eventfd; numba places a copy of it beside the code.
ONE = np.ones(1, np.uint64)
ONE_SIZE: Final = 8
write_fd = types.ExternalFunction("write", types.int64(types.int32, types.int64, types.int64))


def new_places() -> np.ndarray[Any, np.dtype[np.int64]]:
    """Scratch for the places of one burst: int64, shape (BURST, number of words)."""
    return np.zeros((BURST, len(PLACE)), np.int64)


@inlined
def has_room(queues, queue):  # type: ignore[no-untyped-def]
    """Whether the next slot is free. `read` is the consumer's word: out of range means full."""
    write = queues[queue, Q.write]
    if write < queues[queue, Q.room_until]:
        return True
    unread = (write - acquire_u32(queues[queue, Q.read])) & COUNTER_BITS  # A, matches D
    if unread >= queues[queue, Q.slots]:
        return False
    queues[queue, Q.room_until] = write + queues[queue, Q.slots] - unread
    return True


@inlined
def take_slot(queues, queue, place):  # type: ignore[no-untyped-def]
    write = queues[queue, Q.write]
    slot = write & (queues[queue, Q.slots] - 1)
    queues[queue, Q.write] = write + 1
    place[PLACE.offset] = slot * abi.BLOCK_SIZE
    place[PLACE.block] = queues[queue, Q.blocks] + slot * abi.BLOCK_SIZE
    place[PLACE.descriptor] = queues[queue, Q.descriptors] + slot * abi.DESC_SIZE
    for line in range(PREFETCHED_LINES):
        prefetch_write(place[PLACE.block] + line * abi.CACHE_LINE)


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
        place[PLACE.hashed] = hashed
        place[PLACE.descriptor] = 0
        if room:
            take_slot(queues, queue, place)
            queues[queue, Q.truncated] += records[row, LENGTH] > abi.BLOCK_SIZE
        else:
            queues[queue, Q.ring_full] += 1
        queues[queue, Q.arrived] += 1
        queues[queue, Q.arrived_bytes] += records[row, WIRE_LENGTH]
        queues[queue, Q.touched] = 1
    return last


@inlined
def copy_frame(target, source, length):  # type: ignore[no-untyped-def]
    """Copy in whole cache lines: a block has room for them, and the window ends with SLACK bytes."""
    for _ in range((length + COPY_UNIT - 1) // COPY_UNIT):
        copy_bytes(target, source, COPY_UNIT)
        target += COPY_UNIT
        source += COPY_UNIT


@inlined
def describe_record(record, place, length, shift):  # type: ignore[no-untyped-def]
    status = record[STATUS]
    timestamp = record[TIMESTAMP] if status & NO_TIME else record[TIMESTAMP] + shift
    if record[LENGTH] > abi.BLOCK_SIZE:
        status |= abi.STATUS_TRUNCATED
    desc, offset, hashed = place[PLACE.descriptor], place[PLACE.offset], place[PLACE.hashed]
    describe(desc, timestamp, offset, length, record[WIRE_LENGTH], hashed, 0, 0, status, record[PORT])


@inlined
def copy_burst(base, records, first, last, places, shift):  # type: ignore[no-untyped-def]
    for row in range(first, last):
        place = places[row - first]
        if place[PLACE.descriptor] != 0:
            record = records[row]
            length = min(record[LENGTH], abi.BLOCK_SIZE)
            copy_frame(place[PLACE.block], base + record[OFFSET], length)
            describe_record(record, place, length, shift)


@inlined
def wake(queues, queue):  # type: ignore[no-untyped-def]
    """Wake the consumer if it sleeps; a full fence (F) stands between the last publish and this."""
    queues[queue, Q.wake_at] = queues[queue, Q.write] + queues[queue, Q.slots] // WAKE_FRACTION
    if acquire_u32(queues[queue, Q.flags]) & abi.USER_WANT_WAKE:
        queues[queue, Q.wakeups] += 1
        store_u64(queues[queue, Q.header] + abi.HEADER_WAKEUPS, queues[queue, Q.wakeups])
        write_fd(np.int32(queues[queue, Q.wake_fd]), ONE.ctypes.data, ONE_SIZE)


@inlined
def publish(queues):  # type: ignore[no-untyped-def]
    """Publish the burst. `arrived` comes first: after a kill, it is ahead by the frames that the kill cost."""
    turn = queues[0, Q.turn]
    if turn != 0:
        release_u64(turn, load_u64(turn) + 1)  # K, matches L: what is seen of a burst that is half published
    for queue in range(queues.shape[0]):
        if queues[queue, Q.touched] == 0:
            continue
        header = queues[queue, Q.header]
        store_u64(header + abi.HEADER_ARRIVED, queues[queue, Q.arrived])
        store_u64(header + abi.HEADER_ARRIVED_BYTES, queues[queue, Q.arrived_bytes])
        release_u64(header + abi.HEADER_RING_FULL, queues[queue, Q.ring_full])
        store_u64(header + abi.HEADER_TRUNCATED, queues[queue, Q.truncated])
        release_u32(header + abi.HEADER_WRITE, queues[queue, Q.write])  # B, matches C
        queues[queue, Q.touched] = 0
        if queues[queue, Q.write] >= queues[queue, Q.wake_at]:
            full_fence()  # F, matches E
            wake(queues, queue)
    if turn != 0:
        release_u64(turn, load_u64(turn) + 1)


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
    hash; queues: `queue_table`; places: scratch, as `new_places` makes it. Where lossless, it ends early at
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
