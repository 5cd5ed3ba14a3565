"""Where a plugin's declared state lies within one shard.

    shard    | arrays and tables in the order of declaration, each on a cache line |
    table    | header: rows, lost, expired; of the overflow: address, nodes, first free one | slots |
    slot     | u32 tag | key | numbers, addresses | small objects | text, blobs, several numbers | large objects |
    object   | its arrays

All are naturally aligned. The tag of a row is odd. That of a slot without one is 0, or GONE where a row was deleted:
others may lie behind it.

Where rows give up slots, one more slot lies behind the last: the sums of what those rows had counted.

A shard is padded to whole pages, so that shards never share one and holes stay holes.

A row whose window is full lies elsewhere, in the shard's part of the table's overflow (overflow/memory.py):

    part     | u32[roots]: numbers of nodes | nodes |
    node     | slot | u32[LINKS]: numbers of nodes |

A node's number is its place, counted from 1; 0 is none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from zcframe.framework import abi
from zcframe.framework.errors import DeclarationError

from .columns import column, column_dtype
from .declare import LARGEST_ROW, Array, Declaration, Embedded, Lookup, Param, Table, resolved
from .flow.columns import BEGAN_B, turn
from .flow.declare import FlowRules, Flows, SettledFlows
from .kinds import SUM, Addr, Kind, Scalar
from .records import Records, RecordsLayout, records_of

F = TypeVar("F")

SHARDS = abi.RETA_SIZE + 1
WINDOW = 16
OBJECT_ALIGN = 8
# Bytes of an object that are journaled as a part of its row; of a larger one, only the words that change.
SMALL_OBJECT = 256
GONE = 2

TABLE_ROWS = 0
TABLE_LOST = 8
TABLE_EXPIRED = 16
TABLE_PART = 24
TABLE_NODES = 32
TABLE_FREE = 40
TABLE_HEADER = -(-(TABLE_FREE + 8) // abi.CACHE_LINE) * abi.CACHE_LINE

# Branches of a node; first nodes for each slot of a table.
LINKS = 4
ROOTS = 4
# A shard claims room in the overflow for so many rows at once: a part of its slots.
CLAIM = 16
# A shard keeps the nodes of rows that were deleted, while the keys that come may be those of other shards.
KEPT = 2


def _align(offset: int, size: int) -> int:
    return -(-offset // size) * size


def _power_of_two(least: int) -> int:
    return 1 << max(0, (least - 1).bit_length())


@dataclass(frozen=True)
class ArrayLayout:
    name: str
    offset: int
    scalar: Scalar | Addr
    length: int

    @property
    def size(self) -> int:
        return self.scalar.size * self.length

    def view(self, shard: np.ndarray[Any, np.dtype[np.uint8]]) -> np.ndarray[Any, Any]:
        return shard[self.offset : self.offset + self.size].view(self.scalar.dtype)


@dataclass(frozen=True)
class ObjectLayout:
    """An object with methods, of a shard or of a table's row: `arrays` lie at offsets from its beginning."""

    name: str
    offset: int
    kind: Any
    arrays: tuple[ArrayLayout, ...]

    @property
    def align(self) -> int:
        return OBJECT_ALIGN

    @property
    def size(self) -> int:
        return _align(max(array.offset + array.size for array in self.arrays), OBJECT_ALIGN)

    @property
    def large(self) -> bool:
        """Whether it is journaled word by word in a row, rather than as a part of the row."""
        return self.size > SMALL_OBJECT

    @property
    def dtype(self) -> np.dtype[np.void]:
        """Of what `merge` and `report` get: a record of the kind's own class."""
        formats = [(array.scalar.dtype, (array.length,)) for array in self.arrays]
        names, offsets = [array.name for array in self.arrays], [array.offset for array in self.arrays]
        spec = {"names": names, "formats": formats, "offsets": offsets, "itemsize": self.size}
        return np.dtype((self.kind.value, spec))

    def view(self, shard: np.ndarray[Any, np.dtype[np.uint8]]) -> Any:
        """The object in the bytes of a shard: a record, which shares them."""
        return shard[self.offset : self.offset + self.size].view(self.dtype)[0]


def object_layout(name: str, offset: int, kind: Any) -> ObjectLayout:
    """Lay out an object. kind: a declaration whose parameters are settled."""
    arrays, at = [], 0
    for label, array in kind.arrays().items():
        at = _align(at, array.scalar.size)
        arrays.append(ArrayLayout(label, at, array.scalar, int(array.length)))
        at += arrays[-1].size
    return ObjectLayout(name, offset, kind, tuple(arrays))


if TYPE_CHECKING:

    class Void:
        """numpy's record, but for what every scalar of numpy has: results of the same names are no methods."""

        dtype: Any

        def __getitem__(self, name: str) -> Any: ...

else:
    Void = np.void


class Record(Void):
    """A row of a table in `merge` and `report`: `row.field` is `row["field"]`."""

    def __getattr__(self, name: str) -> Any:
        if name in (self.dtype.names or ()):
            return self[name]
        raise AttributeError(f"the row has no field {name}: it has {', '.join(self.dtype.names or ())}")


@dataclass(frozen=True)
class TableLayout:
    name: str
    offset: int
    slots: int
    slot_size: int
    keys: tuple[str, ...]
    fields: tuple[tuple[str, int, Kind], ...]
    idle_ns: int = 0
    last: str = ""
    done: str = ""
    least: str = ""
    objects: tuple[ObjectLayout, ...] = ()
    # Whether compiled code may delete rows: it alone looks for slots that are marked as gone.
    deletes: bool = False
    # Of a table whose rows are flows.
    flow: FlowRules | None = None
    # Rows that the shards together have room for at least. Not in the repr: compiled code finds it in memory.
    capacity: int = field(default=0, repr=False)

    @property
    def gives_up(self) -> bool:
        """Whether a row may ever give up its slot."""
        return bool(self.idle_ns or self.done)

    @property
    def values(self) -> tuple[tuple[str, int, Kind], ...]:
        """The fields that are not the key's."""
        return self.fields[len(self.keys) :]

    @property
    def kinds(self) -> dict[str, Kind]:
        """Of the fields that people see, by name."""
        return {name: kind for name, _, kind in self.fields if not name.startswith("_")}

    @property
    def apart(self) -> tuple[tuple[str, int, Kind], ...]:
        """The value fields that are journaled by themselves; they come last in a slot."""
        return tuple(field for field in self.values if field[2].apart)

    @property
    def sums(self) -> tuple[tuple[str, int, Kind], ...]:
        """The numbers among the value fields that add up."""
        return tuple(field for field in self.values if isinstance(field[2], Scalar) and field[2].reduction == SUM)

    @property
    def sums_offset(self) -> int:
        """Where the sums of rows that gave up their slot lie, from the table's beginning."""
        return TABLE_HEADER + self.slots * self.slot_size

    @property
    def size(self) -> int:
        return self.sums_offset + (self.slot_size if self.gives_up else 0)

    @property
    def roots(self) -> int:
        """First nodes of the overflow of one shard."""
        return ROOTS * self.slots

    @property
    def nodes_offset(self) -> int:
        """Where nodes lie, from the beginning of a shard's part of the overflow."""
        return _align(4 * self.roots, abi.CACHE_LINE)

    @property
    def node_size(self) -> int:
        return self.slot_size + 4 * LINKS

    @property
    def claim(self) -> int:
        """Nodes that a shard claims at once; a power of two."""
        return max(1, self.slots // CLAIM)

    def most_nodes(self, shards: int) -> int:
        """Nodes at which these shards claim no more: as many as the capacity, and those claimed and not yet taken."""
        return self.capacity * (KEPT if self.deletes else 1) + shards * (self.claim - 1)

    def part_size(self, shards: int) -> int:
        """Bytes of one shard's part of the overflow, if it has all nodes: pages are there when they are written."""
        return _align(self.nodes_offset + (self.most_nodes(shards) + self.claim) * self.node_size, abi.PAGE_SIZE)

    def most_overflow(self, shards: int) -> int:
        """Bytes that the overflow of all these shards may take together."""
        return shards * self.nodes_offset + self.most_nodes(shards) * self.node_size

    @property
    def dtype(self) -> np.dtype[np.void]:
        fields: list[tuple[str, int, Any]] = [(name, offset, kind.dtype) for name, offset, kind in self.fields]
        fields += [(one.name, one.offset, one.dtype) for one in self.objects]
        names, offsets, formats = zip(("tag", 0, "u4"), *fields, strict=True)
        spec = {"names": names, "formats": formats, "offsets": offsets, "itemsize": self.slot_size}
        return np.dtype(spec)  # type: ignore[call-overload,no-any-return]

    @property
    def record(self) -> np.dtype[np.void]:
        """Of the rows that `merge` and `report` get: the fields without the tag, packed."""
        fields = [(name, column_dtype(kind)) for name, kind in self.kinds.items()]
        return np.dtype((Record, [*fields, *((one.name, one.dtype) for one in self.objects)]))

    def counters(self, shard: np.ndarray[Any, np.dtype[np.uint8]]) -> np.ndarray[Any, np.dtype[np.uint64]]:
        """u64[3]: rows inserted and still there, keys lost for want of room, rows that gave up their slot."""
        header = shard[self.offset : self.offset + TABLE_HEADER].view("u8")
        return header[[TABLE_ROWS // 8, TABLE_LOST // 8, TABLE_EXPIRED // 8]]

    def given_up(self, shard: np.ndarray[Any, np.dtype[np.uint8]]) -> dict[str, Any]:
        """For each field that adds up, its sum over the rows that gave up their slot."""
        if not self.gives_up:
            return {name: 0 for name, _, _ in self.sums}
        start = self.offset + self.sums_offset
        (slot,) = shard[start : start + self.slot_size].view(self.dtype)
        return {name: kind.value(slot[name]) for name, _, kind in self.sums}

    def nodes(self, shard: np.ndarray[Any, np.dtype[np.uint8]]) -> int:
        """Nodes that a shard has in the overflow."""
        return int(shard[self.offset + TABLE_NODES : self.offset + TABLE_NODES + 8].view("u8")[0])

    def rows(
        self, shard: np.ndarray[Any, np.dtype[np.uint8]], nodes: np.ndarray[Any, np.dtype[np.uint8]] | None = None
    ) -> np.ndarray[Any, Any]:
        """The slots in use, as packed records without the tag. nodes: bytes of those of the overflow."""
        start = self.offset + TABLE_HEADER
        slots = shard[start : start + self.slots * self.slot_size].view(self.dtype)
        used = slots[slots["tag"] & 1 != 0]
        if nodes is not None:
            more = nodes.reshape(-1, self.node_size)[:, : self.slot_size].copy().view(self.dtype)[:, 0]
            used = np.concatenate([used, more[more["tag"] & 1 != 0]])
        packed = np.empty(len(used), self.record)
        for name, kind in self.kinds.items():
            packed[name] = column(kind, used[name])
        for one in self.objects:
            packed[one.name] = used[one.name]
        if self.flow is not None:
            turn(packed, used["_marks"] & BEGAN_B != 0)
        return packed


Member = ArrayLayout | TableLayout | ObjectLayout


@dataclass(frozen=True)
class LookupLayout:
    """A lookup of a plugin, as compiled code knows it: which of the plugin's it is, but not what is in it.

    size: bytes of memory. entries: what is in it, for `report`. Neither is in the repr, by which compiled code is
    found: another list needs no new code.
    """

    name: str
    index: int
    kind: str
    value: Kind | None
    size: int = field(default=0, repr=False, compare=False)
    entries: Sequence[Any] = field(default=(), repr=False, compare=False)


@dataclass(frozen=True)
class StateLayout:
    """Layout of one shard of one plugin; `shards` is SHARDS, or the number of queues for per-worker state."""

    members: tuple[Member, ...]
    shard_size: int
    # Not in the repr, by which compiled code is found: it deals with one shard, so other --queues need no new code.
    shards: int = field(repr=False)
    per_worker: bool
    # Rows that are handed on, and take no room in a shard.
    records: tuple[RecordsLayout, ...] = ()
    # Lists that are looked up in, which lie elsewhere.
    lookups: tuple[LookupLayout, ...] = ()

    @property
    def size(self) -> int:
        return self.shard_size * self.shards

    @property
    def tables(self) -> tuple[TableLayout, ...]:
        return tuple(member for member in self.members if isinstance(member, TableLayout))

    @property
    def most(self) -> int:
        """Bytes that the state may take: all shards, and the overflow of its tables."""
        return self.size + sum(table.most_overflow(self.shards) for table in self.tables)

    def holds(self, other: StateLayout) -> bool:
        """Whether state of another layout is state of this one: all lies in the same places, and merges likewise."""
        mine, others = (repr(replace(layout, records=(), lookups=())) for layout in (self, other))
        sizes = [[table.capacity for table in layout.tables] for layout in (self, other)]
        return mine == others and sizes[0] == sizes[1] and self.shards == other.shards


def objects_of(layout: StateLayout) -> list[ObjectLayout]:
    """The objects of a state, those in rows included."""
    found = [member for member in layout.members if isinstance(member, ObjectLayout)]
    for member in layout.members:
        found += member.objects if isinstance(member, TableLayout) else ()
    return found


def _table(name: str, offset: int, table: Table | SettledFlows, shares: int, settings: Any) -> TableLayout:
    """Lay out one shard's part of a table whose capacity is shared out over `shares` shards."""
    capacity, idle = int(settings(table.capacity)), settings(table.idle)
    slots = max(WINDOW, _power_of_two(-(-capacity // shares)))
    objects = [object_layout(label, 0, kind.settled(settings)) for label, kind in _of(table.value, Embedded).items()]
    places, size = _placed(table, objects)
    if size > LARGEST_ROW:
        raise DeclarationError(
            f"a row of {name} takes {size:,} bytes, {LARGEST_ROW:,} are possible: make its objects smaller"
        )
    fields = [(label, places[label], kind) for label, kind in {**table.key, **_of(table.value, Kind)}.items()]
    objects = [replace(one, offset=places[one.name]) for one in objects]
    keys, idle_ns = tuple(table.key), int(idle * 1e9)
    giving_up = (idle_ns, table.last, table.done, table.least)
    return TableLayout(name, offset, slots, size, keys, tuple(fields), *giving_up, tuple(objects), capacity=capacity)


def _of(fields: Mapping[str, Any], kind: type[F]) -> dict[str, F]:
    """The fields of one sort."""
    return {label: value for label, value in fields.items() if isinstance(value, kind)}


def _placed(table: Table | SettledFlows, objects: Sequence[ObjectLayout]) -> tuple[dict[str, int], int]:
    """(where each field and object of a slot begins, bytes of a slot). What is journaled with the row comes first."""
    values = _of(table.value, Kind).items()
    parts: list[tuple[str, Kind | ObjectLayout]] = [
        *table.key.items(),
        *(value for value in values if not value[1].apart),
        *((one.name, one) for one in objects if not one.large),
        *(value for value in values if value[1].apart),
        *((one.name, one) for one in objects if one.large),
    ]
    places, at = {}, 4
    for label, part in parts:
        at = places[label] = _align(at, part.align)
        at += part.size
    return places, _align(at, 16)


def make_layout(
    declared: Mapping[str, Declaration | Records | Lookup],
    params: Mapping[str, Any],
    declared_params: Mapping[str, Param],
    *,
    per_worker: bool,
    queues: int,
    deletes: bool = False,
) -> StateLayout:
    """Lay out the declarations of one plugin for `queues` workers. deletes: it deletes rows of tables."""

    def settings(value: Any) -> Any:
        return resolved(value, params, declared_params)

    shards = queues if per_worker else SHARDS
    members: list[Member] = []
    offset = 0
    for name, declaration in declared.items():
        member: Member
        if isinstance(declaration, Records | Lookup):
            continue
        if isinstance(declaration, Array):
            member = ArrayLayout(name, offset, declaration.scalar, int(settings(declaration.length)))
        elif isinstance(declaration, Embedded):
            member = object_layout(name, offset, declaration.settled(settings))
        else:
            # The shard of packets without a hash comes on top: it usually holds little.
            table = declaration.settled(settings) if isinstance(declaration, Flows) else declaration
            member = _table(name, offset, table, queues if per_worker else abi.RETA_SIZE, settings)
            rules = table.rules if isinstance(table, SettledFlows) else None
            member = replace(member, deletes=deletes or rules is not None, flow=rules)
        members.append(member)
        offset = _align(offset + member.size, abi.CACHE_LINE)
    size = max(abi.PAGE_SIZE, _align(offset, abi.PAGE_SIZE))
    return StateLayout(tuple(members), size, shards, per_worker, records_of(declared))
