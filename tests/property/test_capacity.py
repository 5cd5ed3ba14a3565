"""A table takes as many rows as it declares, however its keys are spread over buckets."""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Iterator, Sequence
from random import Random
from typing import Any

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.kit.rig import Rig
from zcframe import PASS, Table, plugin, u8, u16, u32, u64
from zcframe.framework.state import table as _table  # noqa: F401 - registers the verbs with numba
from zcframe.framework.state.compiled import allow_fields, state_maker
from zcframe.framework.state.journal import JOURNAL_SIZE, MAX_SECRETS, NOW, OVERFLOW, SECRETS, begin
from zcframe.framework.state.layout import StateLayout, make_layout
from zcframe.framework.state.merge import State, empty_state
from zcframe.framework.state.shared import StateMemory, data_extents

CAPACITY = 1 << 16


@plugin
class Ports:
    """Packets of each port of a host."""

    rows = Table(key={"host": u32, "port": u16}, value={"packets": u64}, capacity=CAPACITY)

    @staticmethod
    def filter(pkt, state, params):  # type: ignore[no-untyped-def]
        row = state.rows.upsert(pkt.src_lo & 0xFFFFFFFF, pkt.sport)
        if row:
            row.packets += 1
        return PASS


def frame(host: int, port: int) -> bytes:
    """A UDP datagram without payload."""
    ip = struct.pack(">BBHHHBBHII", 0x45, 0, 28, 0, 0, 64, 17, 0, host, 0x0A000001)
    return b"\2\0\0\0\0\1\2\0\0\0\0\2\x08\0" + ip + struct.pack(">HHHH", port, 53, 8, 0)


def counted(rig: Rig) -> dict[tuple[int, int], int]:
    return {(int(row["host"]), int(row["port"])): int(row["packets"]) for row in rig.state("ports").rows}


def one_pair() -> Iterator[tuple[int, int]]:
    """20,000 ports of one host, each twice."""
    yield from ((0x0A000002, port) for _ in range(2) for port in range(20_000))


@pytest.mark.parametrize("queues", [1, 8])
def test_one_pair_of_addresses_has_room_for_all_its_ports(queues: int) -> None:
    with Rig(Ports, queues=queues, fields="ip-pair").feed(frame(*key) for key in one_pair()) as rig:
        assert counted(rig) == Counter(one_pair())
        assert rig.state("ports").lost == {"rows": 0}


# --- a table by itself, against a dict

UPSERT, FIND, DELETE = 0, 1, 2
VALUES = {"packets": u64, "last": u64.max, "done": u8}
SHARES = 4


def layout_of(capacity: int, *, deletes: bool = False, **more: Any) -> StateLayout:
    table = Table(key={"a": u64}, value=VALUES, capacity=capacity, **more)
    return make_layout({"rows": table}, {}, {}, per_worker=True, queues=SHARES, deletes=deletes)


def caller(layout: StateLayout) -> Any:
    """Compiled calls of a verb for each key: result[i] is what `packets` was, -1 for no row; a delete gives 1 or 0."""
    located, deletes = state_maker(layout), layout.tables[0].deletes

    def upsert(base, journal, keys, now, result):  # type: ignore[no-untyped-def]
        for i, key in enumerate(keys):
            begin(journal, 0)
            row = located(base, journal).rows.upsert(key)
            result[i] = -1
            if row:
                result[i] = row.packets
                row.packets += 1
                row.last = now

    def find(base, journal, keys, now, result):  # type: ignore[no-untyped-def]
        for i, key in enumerate(keys):
            begin(journal, 0)
            row = located(base, journal).rows.find(key)
            result[i] = row.packets if row else -1

    def delete(base, journal, keys, now, result):  # type: ignore[no-untyped-def]
        for i, key in enumerate(keys):
            begin(journal, 0)
            result[i] = 1 if located(base, journal).rows.delete(key) else 0

    return [numba.njit(one) for one in ((upsert, find, delete) if deletes else (upsert, find))]


class Real:
    """Shards of a table in the memory of a run."""

    def __init__(self, layout: StateLayout, seed: int = 1, domains: int = 1) -> None:
        allow_fields(layout)
        self.layout, self._calls = layout, CALLS[layout]
        self.memory = StateMemory([layout, layout], domains)
        self.journal = np.zeros(JOURNAL_SIZE // 8, np.int64)
        secrets = np.random.default_rng(seed).integers(0, 1 << 64, MAX_SECRETS, np.uint64)
        self.journal[SECRETS // 8 : SECRETS // 8 + MAX_SECRETS] = secrets.view(np.int64)
        self.journal[OVERFLOW // 8] = self.memory.overflow

    def apply(self, verb: int, keys: Sequence[int], shard: int = 0, now: int = 1) -> list[int]:
        self.journal[NOW // 8] = now
        result = np.zeros(len(keys), np.int64)
        base = self.memory.address(0) + shard * self.layout.shard_size
        self._calls[verb](base, self.journal.ctypes.data, np.array(keys, np.int64), now, result)
        return result.tolist()

    def state(self, shard: int = 0) -> State:
        self.memory.copy(0, shard)
        state = self.memory.read(0, shard)
        return state if state is not None else empty_state(self.layout)

    def rows(self, shard: int = 0) -> dict[int, int]:
        found = self.state(shard).rows
        rows = dict(zip(found["a"].tolist(), found["packets"].tolist(), strict=True))
        assert len(rows) == len(found), "a key has one row"
        return rows


PLAIN, DELETING = layout_of(4096), layout_of(256, deletes=True)
IDLE = layout_of(256, idle=5, last="last")
BY_BUCKET = make_layout(
    {"rows": Table(key={"a": u64}, value=VALUES, capacity=2048)}, {}, {}, per_worker=False, queues=1
)
CALLS = {layout: caller(layout) for layout in (PLAIN, DELETING, IDLE, BY_BUCKET)}


@pytest.fixture
def plain() -> Iterator[Real]:
    real = Real(PLAIN)
    yield real
    real.memory.close()


@pytest.mark.parametrize("spread", [1, 2, SHARES], ids=["one shard", "two shards", "all shards"])
def test_as_many_keys_as_the_capacity_says_find_room(plain: Real, spread: int) -> None:
    keys = [[key for key in range(4096) if key % spread == shard] for shard in range(spread)]
    for shard, some in enumerate(keys):
        assert plain.apply(UPSERT, some, shard) == [0] * len(some)
        assert plain.apply(UPSERT, some, shard) == [1] * len(some)
        assert plain.apply(FIND, some, shard) == [2] * len(some)
        assert plain.apply(FIND, range(10**6, 10**6 + 500), shard) == [-1] * 500
    for shard, some in enumerate(keys):
        assert plain.rows(shard) == dict.fromkeys(some, 2)
        assert plain.state(shard).lost == {"rows": 0}


def test_what_is_beyond_is_lost_and_counted_and_memory_has_its_bound(plain: Real) -> None:
    (table,), nodes = PLAIN.tables, list[int]()
    for shard in range(SHARES):
        found = plain.apply(UPSERT, range(20_000), shard)
        kept = {key for key, packets in enumerate(found) if packets == 0}
        assert plain.rows(shard) == dict.fromkeys(kept, 1)
        assert plain.state(shard).lost == {"rows": 20_000 - len(kept)}
        # Those that are there go on to be counted.
        assert plain.apply(FIND, range(20_000), shard) == [1 if key in kept else -1 for key in range(20_000)]
        nodes.append(table.nodes(plain.memory.copied(0, shard)))
        assert len(kept) >= (table.capacity if shard == 0 else table.slots / 2)
    assert len(plain.rows(0)) <= table.capacity + (SHARES + 1) * table.claim
    assert sum(nodes) <= table.most_nodes(SHARES) + table.claim
    written = sum(
        end - begin for fd in (plain.memory._fd, plain.memory._more) for begin, end in data_extents(fd, 0, 1 << 40)
    )
    assert written <= PLAIN.most + (2 * SHARES + 2) * 4096


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.sampled_from([UPSERT, UPSERT, FIND, DELETE]), st.integers(0, 900), st.integers(1, 300))))
def test_rows_that_come_and_go_are_those_of_a_dict(calls: list[tuple[int, int, int]]) -> None:
    real, model = Real(DELETING), dict[int, int]()
    try:
        for verb, first, count in calls:
            keys = range(first, first + count)
            expected = [model.get(key, 0 if verb == UPSERT else -1) for key in keys]
            if verb == DELETE:
                expected = [int(key in model) for key in keys]
            found = real.apply(verb, keys)
            for key, got, right in zip(keys, found, expected, strict=True):
                if verb == UPSERT and got == -1:
                    assert key not in model and len(model) > 256
                    continue
                assert got == right
                if verb == UPSERT:
                    model[key] = got + 1
                elif verb == DELETE:
                    model.pop(key, None)
            assert real.rows() == model
    finally:
        real.memory.close()


def test_rows_in_the_overflow_are_found_when_slots_become_free() -> None:
    """Tables with some full windows and some free slots, from which rows are deleted in any order."""
    overflowed = 0
    for seed in range(60):
        real, keys = Real(DELETING, seed), list(range(60))
        assert real.apply(UPSERT, keys) == [0] * 60
        copied = real.memory.copy(0, 0)
        assert copied is not None
        overflowed += DELETING.tables[0].nodes(copied)
        Random(seed).shuffle(keys)
        while keys:
            assert real.apply(DELETE, keys[:1]) == [1]
            keys = keys[1:]
            assert real.apply(FIND, keys) == [1] * len(keys)
        assert real.rows() == {}
        real.memory.close()
    assert overflowed > 10


def test_rows_that_were_deleted_make_room_for_ever() -> None:
    real, random, alive = Real(DELETING), Random(1), list(range(256))
    assert real.apply(UPSERT, alive) == [0] * 256
    for key in range(256, 20_000, 8):
        random.shuffle(alive)
        assert real.apply(DELETE, alive[:8]) == [1] * 8
        alive[:8] = range(key, key + 8)
        assert real.apply(UPSERT, alive[:8]) == [0] * 8
    assert real.rows() == dict.fromkeys(alive, 1)
    real.memory.close()


def test_rows_that_were_idle_give_up_their_room_in_the_overflow_too() -> None:
    """A shard that has all of the capacity: what gave up is counted, and only a table with as many rows refuses any."""
    real, second = Real(IDLE), 10**9
    assert real.apply(UPSERT, range(250), now=second) == [0] * 250
    assert real.apply(UPSERT, range(250), now=2 * second) == [1] * 250
    lost = 0
    for round_ in range(1, 5):
        keys = range(1000 * round_, 1000 * round_ + 250)
        found = real.apply(UPSERT, keys, now=10 * round_ * second)
        assert set(found) <= {0, -1}
        assert real.apply(FIND, keys) == [1 if packets == 0 else -1 for packets in found]
        lost += found.count(-1)
        assert not lost or len(real.rows()) >= IDLE.tables[0].capacity
    state = real.state()
    # Rows in the overflow gave up, too, not only those in slots.
    assert lost < 500 and state.expired["rows"] > 500 > 4 * IDLE.tables[0].slots
    assert state.lost == {"rows": lost}
    assert sum(real.rows().values()) + state.given_up["rows"]["packets"] == 1500 - lost
    real.memory.close()


def test_each_interface_has_all_of_the_capacity() -> None:
    """And each bucket of it; another plugin's state lies behind."""
    real = Real(BY_BUCKET, domains=2)
    for shard in (5, BY_BUCKET.shards + 5):
        assert real.apply(UPSERT, range(2048), shard) == [0] * 2048
    for shard in (5, BY_BUCKET.shards + 5):
        assert real.rows(shard) == dict.fromkeys(range(2048), 1)
    assert real.rows(6) == {}
    real.memory.close()
