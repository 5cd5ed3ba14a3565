"""Where a plugin's declared state lies within one shard.

    shard    | arrays and tables in the order of declaration, each on a cache line |
    table    | header: rows, lost, expired | slots |
    slot     | u32 tag (0: free) | key fields | value fields |, each naturally aligned

Where rows give up slots, one more slot lies behind the last: the sums of what those rows had counted.

A shard is padded to whole pages, so that shards never share one and holes stay holes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from zcframe.framework import abi

from .declare import SUM, Array, Declaration, Param, Scalar, Table, resolved

SHARDS = abi.RETA_SIZE + 1
WINDOW = 16

TABLE_ROWS = 0
TABLE_LOST = 8
TABLE_EXPIRED = 16
TABLE_HEADER = -(-(TABLE_EXPIRED + 8) // abi.CACHE_LINE) * abi.CACHE_LINE


def _align(offset: int, size: int) -> int:
    return -(-offset // size) * size


def _power_of_two(least: int) -> int:
    return 1 << max(0, (least - 1).bit_length())


@dataclass(frozen=True)
class ArrayLayout:
    name: str
    offset: int
    scalar: Scalar
    length: int

    @property
    def size(self) -> int:
        return self.scalar.size * self.length

    def view(self, shard: np.ndarray[Any, np.dtype[np.uint8]]) -> np.ndarray[Any, Any]:
        return shard[self.offset : self.offset + self.size].view(self.scalar.dtype)


@dataclass(frozen=True)
class TableLayout:
    name: str
    offset: int
    slots: int
    slot_size: int
    keys: tuple[str, ...]
    fields: tuple[tuple[str, int, Scalar], ...]
    idle_ns: int = 0
    last: str = ""
    done: str = ""
    least: str = ""

    @property
    def gives_up(self) -> bool:
        """Whether a row may ever give up its slot."""
        return bool(self.idle_ns or self.done)

    @property
    def sums(self) -> tuple[tuple[str, int, Scalar], ...]:
        """The value fields that add up."""
        return tuple(field for field in self.fields[len(self.keys) :] if field[2].reduction == SUM)

    @property
    def sums_offset(self) -> int:
        """Where the sums of rows that gave up their slot lie, from the table's beginning."""
        return TABLE_HEADER + self.slots * self.slot_size

    @property
    def size(self) -> int:
        return self.sums_offset + (self.slot_size if self.gives_up else 0)

    @property
    def dtype(self) -> np.dtype[np.void]:
        names, offsets, scalars = zip(*self.fields, strict=True)
        formats = [scalar.dtype for scalar in scalars]
        spec = {"names": ["tag", *names], "formats": ["u4", *formats], "offsets": [0, *offsets]}
        return np.dtype({**spec, "itemsize": self.slot_size})  # type: ignore[call-overload,no-any-return]

    def counters(self, shard: np.ndarray[Any, np.dtype[np.uint8]]) -> np.ndarray[Any, np.dtype[np.uint64]]:
        """u64[3]: rows inserted and still there, keys lost for want of room, rows that gave up their slot."""
        header = shard[self.offset : self.offset + TABLE_HEADER].view("u8")
        return header[[TABLE_ROWS // 8, TABLE_LOST // 8, TABLE_EXPIRED // 8]]

    def given_up(self, shard: np.ndarray[Any, np.dtype[np.uint8]]) -> dict[str, int]:
        """For each field that adds up, its sum over the rows that gave up their slot."""
        if not self.gives_up:
            return {name: 0 for name, _, _ in self.sums}
        start = self.offset + self.sums_offset
        (slot,) = shard[start : start + self.slot_size].view(self.dtype)
        return {name: int(slot[name]) for name, _, _ in self.sums}

    def rows(self, shard: np.ndarray[Any, np.dtype[np.uint8]]) -> np.ndarray[Any, Any]:
        """The slots in use, as packed records without the tag."""
        start = self.offset + TABLE_HEADER
        slots = shard[start : start + self.slots * self.slot_size].view(self.dtype)
        used = slots[slots["tag"] != 0]
        packed = np.empty(len(used), [(name, scalar.dtype) for name, _, scalar in self.fields])
        for name, _, _ in self.fields:
            packed[name] = used[name]
        return packed


@dataclass(frozen=True)
class StateLayout:
    """Layout of one shard of one plugin; `shards` is SHARDS, or the number of queues for per-worker state."""

    members: tuple[ArrayLayout | TableLayout, ...]
    shard_size: int
    # Not in the repr, by which compiled code is found: it deals with one shard, so other --queues need no new code.
    shards: int = field(repr=False)
    per_worker: bool

    @property
    def size(self) -> int:
        return self.shard_size * self.shards


def _table(name: str, offset: int, table: Table, shares: int, settings: Any) -> TableLayout:
    """Lay out one shard's part of a table whose capacity is shared out over `shares` shards."""
    capacity, idle = settings(table.capacity), settings(table.idle)
    slots = max(WINDOW, _power_of_two(-(-int(capacity) // shares)))
    fields, at = [], 4
    for label, scalar in [*table.key.items(), *table.value.items()]:
        at = _align(at, scalar.size)
        fields.append((label, at, scalar))
        at += scalar.size
    size = _align(at, 16)
    keys, idle_ns = tuple(table.key), int(idle * 1e9)
    return TableLayout(name, offset, slots, size, keys, tuple(fields), idle_ns, table.last, table.done, table.least)


def make_layout(
    declared: Mapping[str, Declaration],
    params: Mapping[str, Any],
    declared_params: Mapping[str, Param],
    *,
    per_worker: bool,
    queues: int,
) -> StateLayout:
    """Lay out the declarations of one plugin for `queues` workers."""

    def settings(value: Any) -> Any:
        return resolved(value, params, declared_params)

    shards = queues if per_worker else SHARDS
    members: list[ArrayLayout | TableLayout] = []
    offset = 0
    for name, declaration in declared.items():
        member: ArrayLayout | TableLayout
        if isinstance(declaration, Array):
            member = ArrayLayout(name, offset, declaration.scalar, int(settings(declaration.length)))
        else:
            # The shard of packets without a hash comes on top: it usually holds little.
            member = _table(name, offset, declaration, queues if per_worker else abi.RETA_SIZE, settings)
        members.append(member)
        offset = _align(offset + member.size, abi.CACHE_LINE)
    size = max(abi.PAGE_SIZE, _align(offset, abi.PAGE_SIZE))
    return StateLayout(tuple(members), size, shards, per_worker)
