"""From the records of a window to descriptors in rings: frames stay where they lie. Compiled."""

from __future__ import annotations

from typing import Final

from zcframe.framework import abi
from zcframe.framework.jit.address import prefetch_read, prefetch_write
from zcframe.framework.jit.compiler import compiled, inlined
from zcframe.framework.packet.decode import MAX_LENGTH
from zcframe.framework.ring.describe import describe
from zcframe.framework.rss.toeplitz import rss_bucket, rss_hash
from zcframe.framework.sources.capture.records import LENGTH, OFFSET, PORT, STATUS, TIMESTAMP, WIRE_LENGTH
from zcframe.framework.sources.soft82576.deliver import copy_frame, has_room, publish
from zcframe.framework.sources.soft82576.queues import Q

AHEAD: Final = 4
SLOTS_AHEAD: Final = 16


@inlined
def hash_rows(base, records, rows, tables, fields, hashes):  # type: ignore[no-untyped-def]
    """Hash the first `rows` frames, as the NIC does: over what fits a block, wherever the frame lies.

    base: address that the records' offsets count from; tables, fields: as for `rss_hash`; hashes: int64, a word a row.
    """
    for row in range(rows):
        prefetch_read(base + records[min(row + AHEAD, rows - 1), OFFSET])
        length = min(records[row, LENGTH], abi.BLOCK_SIZE)
        hashes[row] = rss_hash(base + records[row, OFFSET], length, tables, fields)


@inlined
def append_one(record, hashed, offset, shift, queues, queue):  # type: ignore[no-untyped-def]
    """Describe the frame at `offset` in the next slot of a queue, and count it as arrived."""
    write = queues[queue, Q.write]
    mask = queues[queue, Q.slots] - 1
    # The consumer read these lines last, on another CPU.
    prefetch_write(queues[queue, Q.descriptors] + (write + SLOTS_AHEAD & mask) * abi.DESC_SIZE)
    length, status, timestamp, wire_length = record[LENGTH], record[STATUS], record[TIMESTAMP], record[WIRE_LENGTH]
    if length > MAX_LENGTH:
        length, status = MAX_LENGTH, status | abi.STATUS_TRUNCATED
    if status & abi.STATUS_NO_TIME == 0:
        timestamp += shift
    desc = queues[queue, Q.descriptors] + (write & mask) * abi.DESC_SIZE
    describe(desc, timestamp, offset, length, wire_length, hashed, 0, 0, status, record[PORT])
    queues[queue, Q.write] = write + 1
    queues[queue, Q.arrived] += 1
    queues[queue, Q.arrived_bytes] += wire_length
    queues[queue, Q.truncated] += status & abi.STATUS_TRUNCATED
    queues[queue, Q.touched] = 1


@inlined
def append(records, hashes, first, last, offset, shift, reta, queues):  # type: ignore[no-untyped-def]
    """Bring rows [first, last) into the rings, in order, and publish them.

    offset: of the window, from where descriptors' offsets count; shift: nanoseconds to add to each time; reta, queues:
    as for `deliver`. Ends in front of a frame whose ring is full; returns its row.
    """
    row = first
    while row < last:
        queue = reta[rss_bucket(hashes[row])]
        if not has_room(queues, queue):
            break
        append_one(records[row], hashes[row], offset + records[row, OFFSET], shift, queues, queue)
        row += 1
    publish(queues)
    return row


@compiled
def pack(base, source, first, last, window, room, records, tables, fields, hashes):  # type: ignore[no-untyped-def]
    """Copy the frames of rows [first, last) of `source` to the window at address `window`, of `room` bytes.

    base: address that the offsets of `source` count from. records: table for the copies' records, from row 0; the rest
    as for `hash_rows`. Returns the row behind the last that fits.
    """
    at = 0
    row = first
    while row < last:
        record = records[row - first]
        for column in range(records.shape[1]):
            record[column] = source[row, column]
        length = min(record[LENGTH], MAX_LENGTH)
        lines = (length + abi.CACHE_LINE - 1) // abi.CACHE_LINE * abi.CACHE_LINE
        if at + lines > room:
            break
        copy_frame(window + at, base + record[OFFSET], length)
        record[OFFSET] = at
        at += lines
        row += 1
    hash_rows(window, records, row - first, tables, fields, hashes)
    return row
