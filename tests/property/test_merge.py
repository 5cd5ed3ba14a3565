"""Merging states against plain Python, and its associativity: shards, workers, hosts and files merge in any grouping."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from zcframe.framework.state.declare import Array, Table
from zcframe.framework.state.kinds import addr, blob, f64, i64, text, u8, u16, u32, u64
from zcframe.framework.state.layout import TableLayout, make_layout
from zcframe.framework.state.merge import State, _mixed, empty_state, merge_states

LAYOUT = make_layout(
    {
        "sums": Array(u64, 3),
        "peaks": Array(u32.max, 2),
        "marks": Array(u16.bits, 2),
        "rows": Table(
            key={"hi": u64, "lo": u8},
            value={
                "packets": u64,
                "small": u8,
                "first_ns": u64.min,
                "last_ns": u64.max,
                "flags": u16.bits,
                "opener": u32.first,
            },
            capacity=64,
        ),
    },
    {},
    {},
    per_worker=True,
    queues=1,
)
ROWS = next(member for member in LAYOUT.members if isinstance(member, TableLayout))
DTYPE = [(name, scalar.dtype) for name, _, scalar in ROWS.fields]

# Few keys, so that they meet; some that differ in the upper half alone.
KEYS = st.tuples(st.sampled_from([0, 1, 2, 1 << 63, (1 << 64) - 1]), st.integers(0, 2))
# Times are all different: which of two rows of one time is the first, is the order of the states.
VALUES = st.tuples(
    st.integers(0, 2**64 - 1),
    st.integers(0, 255),
    st.integers(0, 2**64 - 1),
    st.integers(0, 2**64 - 1),
    st.integers(0, 2**16 - 1),
    st.integers(0, 2**32 - 1),
)
Rows = dict[tuple[int, int], tuple[int, ...]]


@st.composite
def states(draw: Any) -> State:
    rows: Rows = draw(st.dictionaries(KEYS, VALUES, max_size=8))
    members = {
        "sums": np.array(draw(st.tuples(*[st.integers(0, 2**60)] * 3)), "u8"),
        "peaks": np.array(draw(st.tuples(*[st.integers(0, 2**32 - 1)] * 2)), "u4"),
        "marks": np.array(draw(st.tuples(*[st.integers(0, 2**16 - 1)] * 2)), "u2"),
        "rows": np.array([(*key, *value) for key, value in rows.items()], DTYPE),
    }
    return State(LAYOUT, members, {"rows": draw(st.integers(0, 9))}, {"rows": draw(st.integers(0, 9))})


def content(state: State) -> Any:
    rows = {(int(row["hi"]), int(row["lo"])): tuple(row.tolist()[2:]) for row in state.rows}
    assert len(rows) == len(state.rows)
    return rows, state.sums.tolist(), state.peaks.tolist(), state.marks.tolist(), state.lost, state.expired


def by_hand(parts: list[State]) -> Any:
    rows: dict[tuple[int, int], list[tuple[int, ...]]] = {}
    for part in parts:
        for key, value in content(part)[0].items():
            rows.setdefault(key, []).append(value)
    merged = {}
    for key, values in rows.items():
        packets, small, first, last, flags, _ = zip(*values, strict=True)
        opener = min(values, key=lambda value: value[2])[5]
        bits = int(np.bitwise_or.reduce(flags))
        merged[key] = (sum(packets) % 2**64, sum(small) % 2**8, min(first), max(last), bits, opener)
    return (
        merged,
        [sum(int(part.sums[i]) for part in parts) for i in range(3)],
        [max(int(part.peaks[i]) for part in parts) for i in range(2)],
        [int(np.bitwise_or.reduce([part.marks[i] for part in parts])) for i in range(2)],
        {"rows": sum(part.lost["rows"] for part in parts)},
        {"rows": sum(part.expired["rows"] for part in parts)},
    )


@settings(deadline=None, max_examples=200)
@given(st.lists(states(), min_size=1, max_size=5))
def test_against_plain_python(parts: list[State]) -> None:
    before = [content(part) for part in parts]
    assert content(merge_states(parts)) == by_hand(parts)
    assert [content(part) for part in parts] == before


@settings(deadline=None, max_examples=200)
@given(st.lists(states(), min_size=2, max_size=6), st.data())
def test_any_grouping_is_the_same(parts: list[State], data: Any) -> None:
    whole = content(merge_states(parts))
    grouped = list(parts)
    while len(grouped) > 1:
        at = data.draw(st.integers(0, len(grouped) - 1))
        size = data.draw(st.integers(1, 3))
        grouped[at : at + size] = [merge_states(grouped[at : at + size])]
        if size == 1 and len(grouped) > 1:
            grouped[:2] = [merge_states(grouped[:2])]
    assert content(grouped[0]) == whole


@settings(deadline=None, max_examples=50)
@given(states())
def test_an_empty_state_changes_nothing(state: State) -> None:
    assert content(merge_states([state, empty_state(LAYOUT)])) == content(state)
    assert content(merge_states([empty_state(LAYOUT), state])) == content(state)


def test_keys_whose_mixed_hash_collides_stay_apart() -> None:
    """merge sorts by a 64-bit mix of the key: keys made to collide must not become one row."""
    rows = np.zeros(2, DTYPE)
    rows["hi"], rows["lo"], rows["packets"] = [5, 9], [1, 1], [10, 20]
    mixed = _mixed(rows, ROWS.keys)
    assert mixed[0] != mixed[1]
    # The mix of (hi, lo) is (m(hi) ^ lo) * c, m(hi) = x ^ x >> 29: lo that undoes m(hi) collides.
    wide = make_layout(
        {"rows": Table(key={"hi": u64, "lo": u64}, value={"packets": u64}, capacity=64)},
        {},
        {},
        per_worker=True,
        queues=1,
    )
    (table,) = wide.members
    rows = np.zeros(4, [("hi", "u8"), ("lo", "u8"), ("packets", "u8")])
    rows["hi"] = [1, 2, 1, 2]
    single = _mixed(rows, ["hi"])
    rows["lo"] = single ^ single[0]
    rows["packets"] = [1, 10, 100, 1000]
    mixed = _mixed(rows, ["hi", "lo"])
    assert len(set(mixed.tolist())) == 1
    merged = merge_states([State(wide, {"rows": rows[i : i + 1]}, {"rows": 0}, {"rows": 0}) for i in range(4)])
    assert sorted((int(r["hi"]), int(r["packets"])) for r in merged.rows) == [(1, 101), (2, 1010)]
    assert isinstance(table, TableLayout)


KINDS = make_layout(
    {
        "rows": Table(
            key={"who": addr, "name": text(4), "raw": blob(3), "side": i64},
            value={
                "first_ns": u64.min, "sum": i64, "low": i64.min, "high": f64.max, "total": f64, "path": text(9),
                "other": addr, "head": blob(2), "ports": u16[2], "peaks": u8.max[2],
            },
        ),
        "least": Array(i64.min, 2),
        "who": Array(addr, 2),
    },
    {}, {}, per_worker=True, queues=1,
)  # fmt: skip
NAMED = next(member for member in KINDS.members if isinstance(member, TableLayout))
ADDRESSES = st.sampled_from([bytes(16), bytes(15) + b"\1", b"\1" + bytes(15), b"\xff" * 16])
ENDS = st.sampled_from([b"", b"a", b"\0a", b"ab"])
SIGNED = st.integers(-(2**40), 2**40)
# Sums of these are exact in any order.
EIGHTHS = SIGNED.map(lambda number: number / 8)
NAMED_KEYS = st.tuples(ADDRESSES, ENDS, st.sampled_from([b"", b"a", b"a\0", b"\0"]), st.integers(-1, 0))
NAMED_VALUES = st.tuples(
    *(st.integers(0, 2**64 - 1), SIGNED, SIGNED, EIGHTHS, EIGHTHS, ENDS, ADDRESSES, st.binary(max_size=2)),
    st.tuples(st.integers(0, 2**16 - 1), st.integers(0, 9)),
    st.tuples(st.integers(0, 255), st.integers(0, 9)),
)


@st.composite
def named_states(draw: Any) -> State:
    rows = draw(st.dictionaries(NAMED_KEYS, NAMED_VALUES, max_size=8))
    filled = np.empty(len(rows), empty_state(KINDS).rows.dtype)
    for i, (key, value) in enumerate(rows.items()):
        filled[i] = (*key, *value)
    least, who = (np.array(draw(st.tuples(kind, kind)), form) for kind, form in ((SIGNED, "i8"), (ADDRESSES, "V16")))
    return State(KINDS, {"rows": filled, "least": least, "who": who}, {"rows": 0}, {"rows": 0})


def named_content(state: State) -> Any:
    rows = {tuple(bytes(x) if isinstance(x, np.void) else x for x in row.tolist()[:4]): row for row in state.rows}
    assert len(rows) == len(state.rows)
    plain = {key: [np.asarray(item).tolist() for item in row.tolist()[4:]] for key, row in rows.items()}
    return plain, state.least.tolist(), state.who.tolist()


@settings(deadline=None, max_examples=200)
@given(st.lists(named_states(), min_size=3, max_size=3))
def test_values_of_all_kinds_merge_in_any_grouping(parts: list[State]) -> None:
    a, b, c = parts
    merged = named_content(merge_states([a, b, c]))
    assert named_content(merge_states([merge_states([a, b]), c])) == merged
    assert named_content(merge_states([a, merge_states([b, c])])) == merged
    expected: dict[Any, Any] = {}
    for state in parts:
        for key, value in named_content(state)[0].items():
            expected.setdefault(key, []).append(value)
    for key, values in expected.items():
        first = min(values, key=lambda value: value[0])
        columns = list(zip(*values, strict=True))
        ports = [sum(pair) % 2**16 for pair in zip(*columns[8], strict=True)]
        peaks = [max(pair) for pair in zip(*columns[9], strict=True)]
        sums = [first[0], sum(columns[1]), min(columns[2]), max(columns[3]), sum(columns[4])]
        assert merged[0][key] == [*sums, *first[5:8], ports, peaks]
    assert merged[1] == [min(pair) for pair in zip(*(part.least.tolist() for part in parts), strict=True)]
    assert merged[2] == a.who.tolist()
