"""The journal: whatever a packet changed is undone, down to any mark, and nothing else is ever touched."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from zcframe.framework.packet.address import make_addr
from zcframe.framework.packet.view import make_view
from zcframe.framework.state import table as _table  # noqa: F401 - registers the verbs with numba
from zcframe.framework.state.columns import python_rows
from zcframe.framework.state.compiled import allow_fields, state_maker
from zcframe.framework.state.declare import Array, Table
from zcframe.framework.state.journal import (
    CAPACITY,
    HEAD_SIZE,
    JOURNAL_SIZE,
    NOW,
    OWNER,
    TRAILER,
    USED,
    begin,
    roll_back,
)
from zcframe.framework.state.kinds import addr, blob, f64, text, u8, u16, u32, u64
from zcframe.framework.state.layout import TABLE_HEADER, ArrayLayout, make_layout

LAYOUT = make_layout(
    {
        "bytes1": Array(u8, 5),
        "bytes2": Array(u16, 5),
        "bytes4": Array(u32, 5),
        "bytes8": Array(u64, 5),
        "rows": Table(
            key={"a": u16, "b": u64},
            value={"v1": u8, "v4": u32, "v2": u16, "last": u64.max},
            capacity=16,
            idle=1e-9,
            last="last",
        ),
        "names": Table(
            key={"who": addr, "name": text(6)},
            value={"path": text(30), "packets": u64, "raw": blob(300), "ports": u16[3], "mean": f64, "last": u64.max},
            capacity=16,
            idle=3e-9,
            last="last",
        ),
        "bare": Table(key={"name": blob(2)}, value={"text": text(20)}, capacity=16),
        "addresses": Array(addr, 3),
    },
    {},
    {},
    per_worker=True,
    queues=1,
    deletes=True,
)
OPERATIONS = 13
# What text and blob are made of.
SOURCE = np.frombuffer(bytes(range(97, 123)) * 30, np.uint8)
_state = state_maker(LAYOUT)
allow_fields(LAYOUT)


@numba.njit
def _apply(base, journal, operations, source):  # type: ignore[no-untyped-def]
    state = _state(base, journal)
    for verb, key, value in operations:
        who, name = make_addr(-key % 3, 7), make_view(source + key % 11, key % 7)
        octets = make_view(source + (value & 63), value >> 6 & 511)
        if verb == 0:
            state.bytes1[key % 5] += value
        elif verb == 1:
            state.bytes2[key % 5] = value
        elif verb == 2:
            state.bytes4[key % 5] ^= value
        elif verb == 3:
            state.bytes8[key % 5] -= value
        elif verb == 4:
            row = state.rows.find(key, key)
            if row:
                row.v4 += value
                row.v2 = value
        elif verb == 5:
            named = state.names.find(who, name)
            if named:
                named.path = named.path[3:]
                named.raw = octets
        elif verb == 6:
            state.names.delete(who, name)
        elif verb == 7:
            state.bare.delete(name)
        elif verb == 8:
            bare = state.bare.upsert(name)
            if bare:
                bare.text = octets
        elif verb == 9:
            state.addresses[key % 3] = make_addr(value, key)
        elif verb == 10:
            named = state.names.upsert(who, name)
            if named:
                named.packets += 1
                named.path = octets
                named.raw = octets[2:]
                named.ports[key % 3] += value
                named.mean = value / 8
                named.last = value & 7
        else:
            # Keys beyond the 16 slots take over rows that are idle, or are lost.
            row = state.rows.upsert(key, key)
            if row:
                row.v1 += 1
                row.v4 = value
                row.last = value & 7


@numba.njit
def _roll_back(journal, mark, low, high):  # type: ignore[no-untyped-def]
    roll_back(journal, mark, low, high)


@numba.njit
def _begin(journal, packet):  # type: ignore[no-untyped-def]
    begin(journal, packet)


class Memory:
    """A shard between two stretches of foreign bytes, and a journal."""

    def __init__(self, now: int) -> None:
        self._all = np.full(LAYOUT.shard_size + 1024, 0xA5, np.uint8)
        self.shard = self._all[512 : 512 + LAYOUT.shard_size]
        self.shard[:] = 0
        self.journal = np.zeros(JOURNAL_SIZE // 8, np.int64)
        self.journal[NOW // 8] = now
        self.low = int(self.shard.ctypes.data)

    def apply(self, operations: list[tuple[int, int, int]]) -> None:
        if operations:
            words = np.array(operations, np.int64)
            _apply(self.low, self.journal.ctypes.data, words, SOURCE.ctypes.data)

    def begin(self, packet: int) -> None:
        _begin(self.journal.ctypes.data, packet)

    @property
    def used(self) -> int:
        return int(self.journal[USED // 8])

    def roll_back(self, mark: int) -> None:
        _roll_back(self.journal.ctypes.data, mark, self.low, self.low + LAYOUT.shard_size)

    def foreign(self) -> bytes:
        return self._all[:512].tobytes() + self._all[512 + LAYOUT.shard_size :].tobytes()

    def content(self) -> list[bytes]:
        """Everything in the shard that means something: arrays, the table's header, tags, fields of slots in use."""
        found: list[bytes] = []
        for member in LAYOUT.members:
            if isinstance(member, ArrayLayout):
                found.append(member.view(self.shard).tobytes())
            else:
                start = member.offset
                found.append(self.shard[start : start + TABLE_HEADER].tobytes())
                slots = self.shard[start + TABLE_HEADER : start + member.size].view(member.dtype)
                # What stands behind the end of a string means nothing.
                found += [slots["tag"].tobytes(), repr(python_rows(member.kinds, member.rows(self.shard))).encode()]
                found += [slots[member.slots :].tobytes()]
        return found


STEPS = st.lists(
    st.tuples(st.integers(0, OPERATIONS - 1), st.integers(0, 40), st.integers(-(2**63), 2**63 - 1)), max_size=60
)


@settings(deadline=None, max_examples=200)
@given(STEPS, STEPS, STEPS, st.integers(0, 100))
def test_what_a_packet_changed_is_undone_to_any_mark(before: Any, first: Any, second: Any, now: int) -> None:
    """Earlier packets stay; of the packet in progress, the second plugin's changes go first, then the first's."""
    memory = Memory(now)
    memory.begin(1)
    memory.apply(before)
    start = memory.content()
    memory.begin(2)
    memory.apply(first)
    mark, between = memory.used, memory.content()
    memory.apply(second)
    memory.roll_back(mark)
    assert memory.content() == between
    assert memory.used == mark
    memory.roll_back(0)
    assert memory.content() == start
    assert (memory.used, int(memory.journal[OWNER // 8])) == (0, 2)
    assert memory.foreign() == b"\xa5" * 1024


@settings(deadline=None, max_examples=200)
@given(STEPS, STEPS)
def test_an_undoing_that_was_interrupted_is_done_again(first: Any, second: Any) -> None:
    """The entry that is being undone stays on the journal: undoing it twice is undoing it once."""
    memory = Memory(5)
    memory.begin(1)
    memory.apply(first)
    start = memory.content()
    memory.begin(2)
    memory.apply(second)
    used = memory.used
    memory.roll_back(0)
    memory.journal[USED // 8] = used
    memory.roll_back(0)
    assert memory.content() == start


@settings(deadline=None, max_examples=300)
@given(st.integers(-(2**63), 2**63 - 1) | st.integers(0, CAPACITY), st.binary(min_size=64, max_size=512), st.data())
def test_a_journal_of_garbage_harms_nobody_else(used: int, garbage: bytes, data: Any) -> None:
    """Entries point where they like and are as long as they like: nothing outside of the state is written."""
    memory = Memory(0)
    octets = memory.journal.view(np.uint8)
    octets[HEAD_SIZE:] = np.resize(np.frombuffer(garbage, np.uint8), CAPACITY)
    memory.journal[USED // 8] = used
    top = HEAD_SIZE + (used & ~7 if 0 <= used <= CAPACITY else CAPACITY)
    if top >= HEAD_SIZE + TRAILER:
        edges = [memory.low - 8, memory.low, memory.low + LAYOUT.shard_size - 8, 2**47, (1 << 48) - 1, (1 << 48) - 8, 0]
        address, size = (
            data.draw(st.sampled_from(edges)),
            data.draw(st.sampled_from([0, 1, 8, 16, 4096, 0x7FFF, 0xFFFF])),
        )
        memory.journal.view(np.uint64)[(top - TRAILER) // 8] = address | size << 48
    memory.roll_back(0)
    assert memory.foreign() == b"\xa5" * 1024


def test_an_entry_that_does_not_fit_is_refused_before_anything_changes() -> None:
    memory = Memory(0)
    memory.begin(1)
    room = CAPACITY // 16
    memory.apply([(3, 0, 1)] * room)
    start = memory.content()
    try:
        memory.apply([(3, 0, 1)])
    except Exception as error:
        assert "more than 64 KiB of state" in str(error)
    else:
        raise AssertionError("the journal took more than it has room for")
    assert memory.content() == start
    memory.roll_back(0)
    assert int(memory.content()[3][0]) == 0
