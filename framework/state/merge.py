"""State in Python's hands: shards become numpy arrays, and states merge, associatively.

Shards, workers, hosts and capture files all merge the same way: `merge([merge([a, b]), c])` equals `merge([a, b, c])`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .columns import Rows as TableRows
from .columns import codes
from .flow.columns import merge_flows
from .kinds import BITS, FIRST, MAX, MIN, SUM, Kind, Scalar
from .layout import ArrayLayout, ObjectLayout, StateLayout, TableLayout

Rows = np.ndarray[Any, Any]


def _tables(layout: StateLayout) -> list[TableLayout]:
    return [member for member in layout.members if isinstance(member, TableLayout)]


class State:
    """What a plugin's `merge` and `report` get: `state.NAME` is an array or a record array of a table's rows.

    `lost[NAME]` counts upserts of a table that found no room, `expired[NAME]` rows that gave up their slot;
    `given_up[NAME]` is what those rows had counted: a sum for each field that adds up.
    """

    def __init__(
        self,
        layout: StateLayout,
        members: dict[str, Rows],
        lost: dict[str, int],
        expired: dict[str, int],
        given_up: dict[str, dict[str, int]] | None = None,
    ) -> None:
        self.layout = layout
        self.lost = lost
        self.expired = expired
        self.given_up = given_up or {m.name: {f: 0 for f, _, _ in m.sums} for m in _tables(layout)}
        rows = {name: found.view(TableRows) for name, found in members.items() if _is_table(found)}
        self.__dict__.update(members | rows | {one.name: one.entries for one in layout.lookups})

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any: ...
        def __setattr__(self, name: str, value: Any) -> None: ...

    def __repr__(self) -> str:
        sizes = ", ".join(f"{m.name}: {_told(getattr(self, m.name))}" for m in self.layout.members)
        return f"State({sizes})"


def _is_table(member: Any) -> bool:
    return isinstance(member, np.ndarray) and member.dtype.names is not None


def _told(member: Any) -> str:
    return str(len(member)) if isinstance(member, np.ndarray) else repr(member)


def read_shard(
    layout: StateLayout,
    shard: np.ndarray[Any, np.dtype[np.uint8]],
    nodes: Mapping[str, np.ndarray[Any, np.dtype[np.uint8]]] = {},
) -> State:
    """The state in the bytes of one shard, with arrays of its own. nodes: by table, those of its overflow."""
    members, lost, expired, given_up = {}, {}, {}, {}
    for member in layout.members:
        if isinstance(member, ArrayLayout | ObjectLayout):
            members[member.name] = member.view(shard).copy()
        else:
            members[member.name] = member.rows(shard, nodes.get(member.name))
            counters = member.counters(shard)
            lost[member.name], expired[member.name] = int(counters[1]), int(counters[2])
            given_up[member.name] = member.given_up(shard)
    return State(layout, members, lost, expired, given_up)


def empty_state(layout: StateLayout) -> State:
    """The state before the first packet."""
    return read_shard(layout, np.zeros(layout.shard_size, np.uint8))


REDUCE: dict[str, np.ufunc] = {SUM: np.add, MIN: np.minimum, MAX: np.maximum, BITS: np.bitwise_or}


def _mixed(rows: Rows, keys: Sequence[str]) -> np.ndarray[Any, np.dtype[np.uint64]]:
    """A 64-bit hash of the key columns, to sort by one column instead of many."""
    mixed = np.zeros(len(rows), np.uint64)
    for key in keys:
        mixed = (mixed ^ codes(rows[key])) * np.uint64(0x9E3779B97F4A7C15)
        mixed ^= mixed >> np.uint64(29)
    return mixed


def _groups(rows: Rows, keys: Sequence[str]) -> tuple[Rows, np.ndarray[Any, np.dtype[np.bool_]]]:
    """(rows sorted so that equal keys stand together, earlier rows first; mask of each group's first row)."""
    mixed = _mixed(rows, keys)
    order = np.argsort(mixed, kind="stable")
    rows, mixed = rows[order], mixed[order]
    if len(rows) and _hash_collides(rows, mixed, keys):
        rows = rows[np.lexsort([rows[key] for key in keys])]
    first = np.ones(len(rows), bool)
    first[1:] = np.any([rows[key][1:] != rows[key][:-1] for key in keys], axis=0)
    return rows, first


def _hash_collides(rows: Rows, mixed: np.ndarray[Any, np.dtype[np.uint64]], keys: Sequence[str]) -> bool:
    same = mixed[1:] == mixed[:-1]
    return bool(np.any([same & (rows[key][1:] != rows[key][:-1]) for key in keys]))


def merge_rows(rows: Rows, keys: Sequence[str], kinds: dict[str, Kind], objects: Sequence[ObjectLayout] = ()) -> Rows:
    """One row for each key: the other fields reduced as declared (`u64.first`: from the row that stands first)."""
    ordered, first = _groups(rows, keys)
    merged: Rows = ordered[first].copy()
    if len(merged) < len(ordered):
        starts = np.flatnonzero(first)
        for name, kind in kinds.items():
            if kind.reduction != FIRST:
                merged[name] = REDUCE[kind.reduction].reduceat(ordered[name], starts)
        for one in objects:
            merged[one.name] = one.kind.merge(ordered[one.name], starts)
    return merged


def _merge_table(member: TableLayout, states: Sequence[State]) -> Rows:
    # Not by concatenate(), which gives rows of a class of their own up.
    parts = [getattr(state, member.name) for state in states]
    rows = np.empty(sum(len(part) for part in parts), parts[0].dtype)
    np.concatenate(parts, out=rows)
    # "First" means the earliest where a table knows time.
    times = (name for name, _, kind in member.fields if isinstance(kind, Scalar) and kind.reduction == MIN)
    order = next(times, "")
    if order:
        rows = rows[np.argsort(rows[order], kind="stable")]
    values = {name: kind for name, kind in member.kinds.items() if name not in member.keys}

    def merged(rows: Rows) -> Rows:
        return merge_rows(rows, member.keys, values, member.objects)

    return merged(rows) if member.flow is None else merge_flows(rows, merged, merge_rows)


def _merge_objects(member: ObjectLayout, states: Sequence[State]) -> Any:
    objects = np.empty(len(states), member.dtype)
    for at, state in enumerate(states):
        objects[at] = getattr(state, member.name)
    return member.kind.merge(objects, np.zeros(1, np.intp))[0]


def merge_states(states: Sequence[State]) -> State:
    """Merge states of one layout by the reductions that their plugin declared."""
    layout = states[0].layout
    members: dict[str, Rows] = {}
    for member in layout.members:
        if isinstance(member, TableLayout):
            members[member.name] = _merge_table(member, states)
        elif isinstance(member, ObjectLayout):
            members[member.name] = _merge_objects(member, states)
        elif member.scalar.reduction == FIRST:
            members[member.name] = getattr(states[0], member.name).copy()
        else:
            arrays = [getattr(state, member.name) for state in states]
            members[member.name] = REDUCE[member.scalar.reduction].reduce(arrays)
    tables = _tables(layout)
    lost = {table.name: sum(state.lost[table.name] for state in states) for table in tables}
    expired = {table.name: sum(state.expired[table.name] for state in states) for table in tables}
    given_up = {
        table.name: {name: sum(state.given_up[table.name][name] for state in states) for name, _, _ in table.sums}
        for table in tables
    }
    return State(layout, members, lost, expired, given_up)
