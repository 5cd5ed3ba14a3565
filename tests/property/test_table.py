"""The hash table against a Python dict: what is found, what is lost, what gives up its room."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zcframe.framework.state import table as _table  # noqa: F401 - registers the verbs with numba
from zcframe.framework.state.compiled import allow_fields, state_maker
from zcframe.framework.state.declare import Table
from zcframe.framework.state.journal import JOURNAL_SIZE, MAX_SECRETS, NOW, OWNER, SECRETS, USED
from zcframe.framework.state.kinds import u8, u16, u64
from zcframe.framework.state.layout import WINDOW, StateLayout, make_layout
from zcframe.framework.state.probe import hash_lines

IDLE_S = 5
SECOND = 10**9
UPSERT, FIND, DELETE = 0, 1, 2


def layout_of(capacity: int, **more: Any) -> StateLayout:
    table = Table(
        key={"a": u64, "b": u16}, value={"packets": u64, "last": u64.max, "flags": u8.bits}, capacity=capacity, **more
    )
    return make_layout({"rows": table}, {}, {}, per_worker=True, queues=1, deletes=True)


SMALL, LARGE = layout_of(WINDOW), layout_of(16 * WINDOW)
TIMED = layout_of(WINDOW, idle=IDLE_S, last="last")
DONE = layout_of(WINDOW, done="last", least="packets")
allow_fields(SMALL)


def _caller(layout: StateLayout) -> Any:
    """Compiled call of a verb: -1 for no row, else what `packets` was before | new << 32; an upsert counts.

    A delete gives 1 for a row that there was.
    """
    located = state_maker(layout)

    def call(base, journal, verb, a, b, now):  # type: ignore[no-untyped-def]
        state = located(base, journal)
        if verb == DELETE:
            return 1 if state.rows.delete(a, b) else -1
        row = state.rows.upsert(a, b) if verb == UPSERT else state.rows.find(a, b)
        if not row:
            return -1
        before = row.packets | (1 << 32 if row.new else 0)
        if verb == UPSERT:
            row.packets += 1
            row.last = now
            row.flags |= 1 << (now & 7)
        return before

    return numba.njit(call)


CALLERS = {layout: _caller(layout) for layout in (SMALL, LARGE, TIMED, DONE)}


class Real:
    """A table in memory of its own."""

    def __init__(self, layout: StateLayout, seed: int) -> None:
        self.layout, self._call = layout, CALLERS[layout]
        self.shard = np.zeros(layout.shard_size, np.uint8)
        self._journal = np.zeros(JOURNAL_SIZE // 8, np.int64)
        secrets = np.random.default_rng(seed).integers(0, 1 << 64, MAX_SECRETS, np.uint64)
        self._journal[SECRETS // 8 : SECRETS // 8 + MAX_SECRETS] = secrets.view(np.int64)

    def apply(self, verb: int, a: int, b: int, now: int) -> int:
        self._journal[OWNER // 8] = self._journal[USED // 8] = 0
        self._journal[NOW // 8] = now
        return int(self._call(self.shard.ctypes.data, self._journal.ctypes.data, verb, a, b, now))

    def rows(self) -> dict[tuple[int, int], tuple[int, int, int]]:
        (table,) = self.layout.members
        return {
            (int(r["a"]), int(r["b"])): (int(r["packets"]), int(r["last"]), int(r["flags"]))
            for r in table.rows(self.shard)
        }  # type: ignore[union-attr]

    def counters(self) -> tuple[int, int, int]:
        """(rows, lost, expired)."""
        (table,) = self.layout.members
        rows, lost, expired = table.counters(self.shard).tolist()  # type: ignore[union-attr]
        return rows, lost, expired


@dataclass
class Model:
    rows: dict[tuple[int, int], tuple[int, int, int]] = field(default_factory=dict)
    lost: int = 0
    expired: int = 0

    def count(self, key: tuple[int, int], now: int) -> None:
        packets, _, flags = self.rows.get(key, (0, 0, 0))
        self.rows[key] = packets + 1, now, flags | 1 << (now & 7)


def masked(a: int, b: int) -> tuple[int, int]:
    """A key as the fields hold it: u64 and u16."""
    return a & 2**64 - 1, b & 0xFFFF


WORDS = st.one_of(st.integers(0, 40), st.sampled_from([-1, 2**63 - 1, -(2**63), 1 << 32, 0xFFFF << 32]))
CALLS = st.lists(st.tuples(st.sampled_from([UPSERT, UPSERT, FIND]), WORDS, st.integers(-2, 70000)), max_size=120)
SEEDS = st.integers(0, 2**64 - 1)
# Some tables are full within the idle time, some rows are silent for longer.
STEPS = st.one_of(st.integers(0, SECOND // 20), st.integers(0, SECOND), st.integers(0, 3 * SECOND))


VERBS = st.sampled_from([UPSERT, UPSERT, UPSERT, FIND, DELETE])
GOING = st.lists(st.tuples(VERBS, st.integers(0, 19)), max_size=300)


@settings(deadline=None, max_examples=150)
@given(GOING, SEEDS, st.sampled_from([SMALL, LARGE]))
def test_rows_that_are_deleted_leave_room(calls: list[tuple[int, int]], seed: int, layout: StateLayout) -> None:
    """No row behind a deleted one is lost, none is there twice, and what is deleted makes room in a full window."""
    real, model = Real(layout, seed), Model()
    for now, (verb, a) in enumerate(calls):
        key, known = masked(a, a), masked(a, a) in model.rows
        before = model.rows.get(key, (0, 0, 0))[0]
        room = layout is LARGE or len(model.rows) < WINDOW
        got = real.apply(verb, a, a, now)
        if verb == DELETE:
            assert got == (1 if known else -1)
            model.rows.pop(key, None)
        elif verb == UPSERT and (known or room):
            assert got == before | (0 if known else 1 << 32)
            model.count(key, now)
        else:
            assert got == (before if known else -1)
            model.lost += verb == UPSERT and not known
        assert real.counters() == (len(model.rows), model.lost, 0)
    assert real.rows() == model.rows


@settings(deadline=None, max_examples=150)
@given(CALLS, SEEDS)
def test_one_window_is_a_dict_of_16(calls: list[tuple[int, int, int]], seed: int) -> None:
    """With as many slots as a window, exactly the keys that came first have room."""
    real, model = Real(SMALL, seed), Model()
    for now, (verb, a, b) in enumerate(calls):
        key = masked(a, b)
        known, room = key in model.rows, len(model.rows) < WINDOW
        before = model.rows.get(key, (0, 0, 0))[0]
        got = real.apply(verb, a, b, now)
        if verb == UPSERT and (known or room):
            assert got == before | (0 if known else 1 << 32)
            model.count(key, now)
        elif known:
            assert got == before
        else:
            assert got == -1
            model.lost += verb == UPSERT
        assert real.counters() == (len(model.rows), model.lost, 0)
    assert real.rows() == model.rows


@settings(deadline=None, max_examples=100)
@given(st.lists(st.tuples(st.integers(0, 400), st.integers(0, 3)), max_size=500), SEEDS)
def test_a_larger_table_loses_only_where_a_window_is_full(calls: list[tuple[int, int]], seed: int) -> None:
    real, model = Real(LARGE, seed), Model()
    for now, (a, b) in enumerate(calls):
        key = masked(a, b)
        if real.apply(UPSERT, a, b, now) == -1:
            assert key not in model.rows
            assert len(model.rows) >= WINDOW
            model.lost += 1
        else:
            model.count(key, now)
    assert real.rows() == model.rows
    assert real.counters() == (len(model.rows), model.lost, 0)
    for a, b in model.rows:
        assert real.apply(FIND, a, b, 0) == model.rows[a, b][0]
    assert real.apply(FIND, 10**6, 0, 0) == -1


@settings(deadline=None, max_examples=150)
@given(st.lists(st.tuples(st.integers(0, 30), STEPS), min_size=20, max_size=200), SEEDS)
def test_the_row_that_was_idle_longest_gives_up_its_room(calls: list[tuple[int, int]], seed: int) -> None:
    real, model, now = Real(TIMED, seed), Model(), 0
    for a, step in calls:
        now += step
        key = masked(a, 0)
        got = real.apply(UPSERT, a, 0, now)
        if key not in model.rows and len(model.rows) == WINDOW:
            oldest = min(last for _, last, _ in model.rows.values())
            if now - oldest <= IDLE_S * SECOND:
                assert got == -1
                model.lost += 1
                continue
            gone = set(model.rows) - set(real.rows())
            assert [model.rows.pop(old)[1] for old in gone] == [oldest]
            model.expired += 1
        assert got == model.rows.get(key, (1 << 32,))[0]
        model.count(key, now)
    assert real.rows() == model.rows
    assert real.counters() == (len(model.rows), model.lost, model.expired)


@settings(deadline=None, max_examples=100)
@given(st.lists(st.tuples(st.integers(0, 30), st.booleans()), min_size=20, max_size=200), SEEDS)
def test_rows_that_are_done_give_up_their_room_the_least_first(calls: list[tuple[int, bool]], seed: int) -> None:
    """What they had counted is in the sums; a row is done whose `last` is not 0."""
    real, model, gone = Real(DONE, seed), Model(), 0
    for n, (a, done) in enumerate(calls, 1):
        key, now = masked(a, 0), n if done else 0
        over = [packets for packets, last, _ in model.rows.values() if last]
        room = key in model.rows or len(model.rows) < WINDOW
        got = real.apply(UPSERT, a, 0, now)
        assert (got == -1) == (not room and not over)
        if got == -1:
            model.lost += 1
            continue
        if not room:
            (old,) = set(model.rows) - set(real.rows())
            packets, last, _ = model.rows.pop(old)
            assert last and packets == min(over)
            model.expired, gone = model.expired + 1, gone + packets
        model.count(key, now)
    assert real.rows() == model.rows
    assert real.counters() == (len(model.rows), model.lost, model.expired)
    (table,) = real.layout.members
    assert table.given_up(real.shard) == {"packets": gone}  # type: ignore[union-attr]


def test_keys_spread_over_the_slots() -> None:
    """Addresses that differ by little fill a table of 256 to more than half before any is lost."""
    for step in (1, 256, 65536, 1 << 32):
        real, placed = Real(LARGE, 0x1234567890ABCDEF), 0
        while real.apply(UPSERT, placed * step, 53, 1) != -1:
            placed += 1
        assert placed > 16 * WINDOW // 2
        assert real.counters()[0] == placed


def fold(a: int, b: int) -> int:
    """As mul_high."""
    return (a * b >> 64) ^ (a * b & (1 << 64) - 1)


def hash_of(count: int) -> Callable[[Sequence[int], Callable[[int], int]], int]:
    """The generated hash of `count` words, in Python's own integers; it reads secrets by `journal_load_u64(offset)`."""
    words = "".join(f"k{i}, " for i in range(count))
    lines = [
        "def hashed(keys, journal_load_u64):",
        f"journal, ({words}) = 0, keys",
        *hash_lines([f"k{i}" for i in range(count)]),
        "return h",
    ]
    scope: dict[str, Any] = {"mul_high": fold}
    exec("\n    ".join(lines), scope)
    return scope["hashed"]  # type: ignore[no-any-return]


def lost_of(hashes: Iterable[int], slots: int) -> int:
    """How many find no room by linear probing within a window."""
    taken, lost = set[int](), 0
    for value in hashes:
        free = next((at for i in range(WINDOW) if (at := (value + i) % slots) not in taken), None)
        if free is None:
            lost += 1
        else:
            taken.add(free)
    return lost


@pytest.mark.parametrize("count", [1, 2, 3, 5])
@pytest.mark.parametrize("step", [1, 1 << 16, 1 << 32])
def test_words_that_rise_by_steps_find_room_under_any_secrets(count: int, step: int) -> None:
    """A port scan: a thousand keys that differ by steps in one word, in a table for eight times as many."""
    random, hashed = Random(step + count), hash_of(count)
    for _ in range(150):
        secrets = {SECRETS + 8 * i: random.getrandbits(64) for i in range(MAX_SECRETS)}
        fixed = [random.getrandbits(32) for _ in range(count - 1)]
        hashes = (hashed([*fixed, (40_000 + i) * step], secrets.__getitem__) for i in range(1000))
        assert lost_of(hashes, 8192) == 0
