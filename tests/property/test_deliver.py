"""Random frames into real rings: the right queue and slot, whole bytes, untouched neighbours, closed books."""

from __future__ import annotations

import ctypes
from collections import defaultdict
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from zcframe.framework import abi
from zcframe.framework.ring import Ring, RingEnd
from zcframe.framework.rss import MICROSOFT_KEY, field_mask
from zcframe.framework.rss.toeplitz import hash_frame, toeplitz_tables
from zcframe.framework.sources.capture.records import COLUMNS, LENGTH, OFFSET, TIMESTAMP, WIRE_LENGTH
from zcframe.framework.sources.capture.window import SLACK
from zcframe.framework.sources.soft82576 import queues as q
from zcframe.framework.sources.soft82576.deliver import deliver, new_places

QUEUES, SLOTS = 4, 64
TABLES = toeplitz_tables(MICROSOFT_KEY)
FILL = 0xA5


def memory(address: int, size: int) -> np.ndarray[Any, Any]:
    return np.frombuffer((ctypes.c_char * size).from_address(address), np.uint8)


class Rings:
    """Fresh rings whose blocks are filled with FILL, and a NIC's table of them."""

    def __init__(self) -> None:
        self.rings = [Ring(queue, SLOTS) for queue in range(QUEUES)]
        self.producers: list[RingEnd] = [ring.producer() for ring in self.rings]
        self.consumers: list[RingEnd] = [ring.consumer() for ring in self.rings]
        self.table = q.queue_table(self.producers)
        self.blocks = [memory(end.block_address, SLOTS * abi.BLOCK_SIZE) for end in self.producers]
        self.descs = [memory(end.desc_address, SLOTS * abi.DESC_SIZE).view(abi.DESC) for end in self.producers]
        for blocks in self.blocks:
            blocks[:] = FILL

    def close(self) -> None:
        for end in (*self.producers, *self.consumers):
            end.close()
        for ring in self.rings:
            ring.close()


def records_of(frames: list[bytes]) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """(buffer, table): frames at odd places, SLACK bytes behind the last."""
    data, table = bytearray(b"\xee"), np.zeros((len(frames), COLUMNS), np.int64)
    for row, frame in enumerate(frames):
        table[row, [OFFSET, LENGTH, WIRE_LENGTH, TIMESTAMP]] = len(data), len(frame), len(frame) + row, 1000 + row
        data += frame + b"\xee" * (row % 3)
    return np.frombuffer(bytes(data) + bytes(SLACK), np.uint8), table


@st.composite
def frame(draw: st.DrawFn) -> bytes:
    """Something like IP over Ethernet, or anything at all, 0 to 3000 bytes."""
    size = draw(st.sampled_from([0, 13, 14, 34, 42, 63, 64, 65, 1514, 2047, 2048, 2049, 3000]) | st.integers(0, 200))
    seed = draw(st.integers(0, 2**32 - 1))
    body = bytearray(np.random.default_rng(seed).integers(0, 256, max(size, 40), np.uint8).tobytes())
    kind = draw(st.sampled_from(["ipv4", "ipv6", "any"]))
    if kind != "any":
        body[12:15] = b"\x08\x00\x45" if kind == "ipv4" else b"\x86\xdd\x60"
    return bytes(body[:size])


@settings(max_examples=200, deadline=None)
@given(
    frames=st.lists(frame(), max_size=150),
    reta=st.lists(st.integers(0, QUEUES - 1), min_size=128, max_size=128),
    lossless=st.booleans(),
    shift=st.integers(0, 2**40),
)
def test_frames_into_rings(frames: list[bytes], reta: list[int], lossless: bool, shift: int) -> None:
    rings = Rings()
    data, table = records_of(frames)
    where = (int(data.ctypes.data), table, 0, len(frames), shift, TABLES.ctypes.data, field_mask("5-tuple"))
    places = new_places()
    behind = deliver(*where, np.array([*reta, 0], np.int64), rings.table, places, lossless)

    arrived: dict[int, list[int]] = defaultdict(list)
    for row, one in enumerate(frames):
        kind, value = hash_frame(one[: abi.BLOCK_SIZE], MICROSOFT_KEY, "5-tuple")
        queue = reta[value & 127] if kind else 0
        if lossless and len(arrived[queue]) == SLOTS:
            assert behind == row
            break
        arrived[queue].append(row)
    else:
        assert behind == len(frames)

    for queue in range(QUEUES):
        rows = arrived[queue]
        kept = rows[:SLOTS]
        header = rings.consumers[queue].header[0]
        assert int(header["arrived"]) == len(rows)
        assert int(header["arrived_bytes"]) == sum(len(frames[row]) + row for row in rows)
        assert int(header["write"]) == len(kept)
        assert int(header["ring_full"]) == len(rows) - len(kept)
        assert int(header["truncated"]) == sum(len(frames[row]) > abi.BLOCK_SIZE for row in kept)
        for slot, row in enumerate(kept):
            check_slot(rings, queue, slot, frames[row], 1000 + row + shift, len(frames[row]) + row)
        assert (rings.blocks[queue][len(kept) * abi.BLOCK_SIZE :] == FILL).all()
    rings.close()


def check_slot(rings: Rings, queue: int, slot: int, one: bytes, timestamp: int, wire: int) -> None:
    cut = one[: abi.BLOCK_SIZE]
    kind, value = hash_frame(cut, MICROSOFT_KEY, "5-tuple")
    status = abi.STATUS_TRUNCATED if len(one) > abi.BLOCK_SIZE else 0
    offset = slot * abi.BLOCK_SIZE
    expected = (timestamp, offset, wire, value, len(cut), 0, 0, status, kind, abi.ACCESS_READABLE, 0)
    assert rings.descs[queue][slot].tolist() == expected
    block = rings.blocks[queue][offset : offset + abi.BLOCK_SIZE]
    assert block[: len(cut)].tobytes() == cut
    # The copy is in whole cache lines, and not one further.
    assert (block[-(-len(cut) // abi.CACHE_LINE) * abi.CACHE_LINE :] == FILL).all()
