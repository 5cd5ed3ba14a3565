"""Memory of a ring for other programs, in the layout of pf_zerocopy.h, and the loop that fills it.

The writer overwrites: frame n lies in slot n & (slots - 1) until frame n + slots comes. It fills slots / BATCH slots at
most, then publishes them by a store of `arrived`. A reader that has copied frame p therefore knows that it was whole
if `arrived - p` is slots - slots / BATCH at most by then.
"""

from __future__ import annotations

import os
from typing import Final

from numba.core import types

from zcframe.framework import abi
from zcframe.framework.jit.address import (
    copy_bytes,
    full_fence,
    load_u8,
    load_u16,
    load_u32,
    release_u32,
    release_u64,
    store_u64,
)
from zcframe.framework.jit.compiler import Job, compiled
from zcframe.framework.outputs.sink import Pieces, Place, Sink
from zcframe.framework.ring import Mapping, Undo, make_memory, ring_size, seal_writes
from zcframe.framework.ring.receive import make_header

# The part of the slots that is filled before it is published.
BATCH: Final = 4
# A record of a worker, as head_ring leaves it (framework/chain/handover.py): the places of its words.
LEAST_RECORD: Final = 40
SIZE, PORT, HIGH, LOW, KEPT, WIRE, HASH, STATUS, TYPE, FRAME = 4, 8, 12, 16, 20, 24, 28, 32, 34, 40
ARRIVED: Final = abi.offset_of(abi.RING_HEADER, "arrived")


@compiled
def fill(header, descs, blocks, slots, block, words, pieces, position):  # type: ignore[no-untyped-def]
    """Copy records into slots from `position` on, and publish them; returns the next position.

    header, descs, blocks: addresses. words, pieces: addresses and lengths of pieces of whole records, how many.
    """
    # What comes now is written behind the last publication: a reader that sees it sees that, too.
    full_fence()
    for piece in range(pieces):
        at = words[2 * piece]
        end = at + words[2 * piece + 1]
        while at < end:
            slot = position & (slots - 1)
            wire, kept = load_u32(at + WIRE), min(load_u32(at + KEPT), block)
            status = load_u16(at + STATUS) | (abi.STATUS_TRUNCATED if wire > kept else 0)
            desc, offset = descs + slot * abi.DESC_SIZE, slot * block
            copy_bytes(blocks + offset, at + FRAME, kept)
            store_u64(desc, load_u32(at + HIGH) << 32 | load_u32(at + LOW))
            store_u64(desc + 8, offset | wire << 32)
            store_u64(desc + 16, load_u32(at + HASH) | kept << 32)
            store_u64(
                desc + 24,
                status << 16 | load_u8(at + TYPE) << 32 | abi.ACCESS_READABLE << 40 | load_u32(at + PORT) << 48,
            )
            at += load_u32(at + SIZE)
            position += 1
    release_u64(header + ARRIVED, position)
    release_u32(header + abi.HEADER_WRITE, position)
    return position


def entry_points() -> tuple[Job, ...]:
    """What the writer of a ring calls."""
    word, words = types.int64, types.Array(types.int64, 1, "C")
    return (Job("zcframe", fill, (*(word,) * 5, words, word, word)),)


class RingMemory:
    """Memory of one ring; made by the supervisor, whose forks inherit the mapping: nobody else can write to it.

    name: for people. slots: a power of two; block: bytes of a frame at most. Raises RingError.
    """

    def __init__(self, name: str, slots: int, block: int) -> None:
        self.slots, self.block = slots, block
        with Undo() as undo:
            self.ring_fd = undo.fd(make_memory(f"zc-shared-{name}", ring_size(slots)))
            self.buffer_fd = undo.fd(make_memory(f"zc-shared-{name}-blocks", slots * block))
            os.pwrite(self.ring_fd, make_header(0, slots, name, block, slots * block), 0)
            self._ring = undo.closing(Mapping(self.ring_fd, ring_size(slots), writable=True))
            self._buffer = undo.closing(Mapping(self.buffer_fd, slots * block, writable=True))
            self._header = self._ring.view(abi.RING_HEADER)
            seal_writes(self.ring_fd)
            seal_writes(self.buffer_fd)
            self._undo = undo.pop_all()

    @property
    def arrived(self) -> int:
        """Frames that were published."""
        return int(self._header["arrived"][0])

    def end(self) -> None:
        """Tell readers that nothing more will come."""
        self._header["state"] = abi.STATE_GONE

    def resume(self) -> int:
        """Go on behind a killed writer, whose last store may be missing; how many frames were published."""
        self._header["write"] = self.arrived & 0xFFFFFFFF
        return self.arrived

    def fill(self, pieces: Pieces, position: int) -> int:
        words, count = pieces.table
        descs = self._ring.address + abi.PAGE_SIZE
        addresses = self._ring.address, descs, self._buffer.address
        return int(fill(*addresses, self.slots, self.block, words, count, position))

    def close(self) -> None:
        del self._header
        self._undo.close()


class RingSink(Sink):
    """A ring. A write is one publication: it is done, or it is not."""

    cuts = True

    def __init__(self, memory: RingMemory) -> None:
        self._memory, self._position = memory, 0
        self.room = memory.slots // BATCH * LEAST_RECORD

    def holds(self, frames: int) -> bool:
        return self._memory.arrived == frames

    def begin(self, place: Place, *, interrupted: bool) -> None:
        self._position = self._memory.resume()

    def write(self, pieces: Pieces) -> bool:
        self._position = self._memory.fill(pieces, self._position)
        pieces.left = 0
        return True
