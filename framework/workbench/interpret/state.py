"""State as plain Python has it: in the memory and the layout of a run, tables by the compiled search.

What a packet wrote is undone where its filter raises. Table rows are in the journal; of arrays the old value is kept
here.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any, Final

import numpy as np
from numba.core import types

from zcframe.framework.errors import UsageError
from zcframe.framework.jit.compiler import fleeting, precompile
from zcframe.framework.state import table as _table  # noqa: F401 - registers the table's verbs with numba
from zcframe.framework.state.compiled import TableType, maker
from zcframe.framework.state.kinds import Kind, Scalar
from zcframe.framework.state.layout import ArrayLayout, Member, StateLayout, TableLayout
from zcframe.framework.state.records import RecordsLayout

# As compiled code has them: int64, also of what has 64 bits.
FORMATS: Final = {1: "<B", 2: "<H", 4: "<I", 8: "<q"}

Memory = np.ndarray[Any, np.dtype[np.uint8]]


class Field:
    """A number of so many bytes at an offset of the state's memory."""

    def __init__(self, memory: Memory, at: int, size: int) -> None:
        self._bytes, self._size = memory[at : at + size], size

    def read(self) -> int:
        return int(struct.unpack(FORMATS[self._size], self._bytes.tobytes())[0])

    def write(self, value: Any) -> None:
        self._bytes[:] = memoryview((int(value) & (1 << 8 * self._size) - 1).to_bytes(self._size, "little"))


class InterpretedArray:
    """state.NAME of an Array. undo: takes what brings an old value back."""

    def __init__(self, layout: ArrayLayout, memory: Memory, undo: list[Callable[[], None]]) -> None:
        self._layout, self._memory, self._undo = layout, memory, undo

    def __len__(self) -> int:
        return self._layout.length

    def _field(self, index: int) -> Field:
        if not 0 <= index < len(self):
            raise IndexError(f"index out of range of state.{self._layout.name}, which has {len(self)}")
        size = self._layout.scalar.size
        return Field(self._memory, self._layout.offset + index * size, size)

    def __getitem__(self, index: int) -> int:
        return self._field(index).read()

    def __setitem__(self, index: int, value: Any) -> None:
        field = self._field(index)
        before = field.read()
        self._undo.append(lambda: field.write(before))
        field.write(value)

    def __repr__(self) -> str:
        return repr(self._layout.view(self._memory))


class InterpretedRow:
    """A row of a table; false where there is none. at: its offset in the shard."""

    _layout: TableLayout
    _fields: dict[str, Field]
    _there: bool
    new: bool

    def __init__(self, layout: TableLayout, memory: Memory, at: int | None, new: bool) -> None:
        fields = {} if at is None else {n: Field(memory, at + offset, s.size) for n, offset, s in layout.fields}
        self.__dict__.update(_layout=layout, _fields=fields, _there=at is not None, new=new)

    def __bool__(self) -> bool:
        return self._there

    def _field(self, name: str) -> Field:
        if name not in [field for field, _, _ in self._layout.fields]:
            raise AttributeError(f"a row of {self._layout.name} has no field {name}")
        if not self:
            raise LookupError(f"a row of {self._layout.name} that is not there: ask `if row:` first")
        return self._fields[name]

    def __getattr__(self, name: str) -> int:
        return self._field(name).read()

    def __setattr__(self, name: str, value: Any) -> None:
        if name in self._layout.keys or name == "new":
            raise AttributeError(f"{name} of a row of {self._layout.name} cannot be assigned")
        self._field(name).write(value)

    def __repr__(self) -> str:
        values = ", ".join(f"{name}={field.read()}" for name, field in self._fields.items())
        return f"Row({values}{', new' if self.new else ''})" if self else "Row()"


class Spot(tuple[int, ...]):
    """Where a key belongs; here the key itself."""


def _searching(layout: TableLayout, verb: str) -> Callable[..., tuple[int, int]]:
    """Compiled function (table's address, journal's, key...) -> (address of the row or 0, whether it is new)."""
    key = ", ".join(f"k{place}" for place in range(len(layout.keys)))
    scope: dict[str, Any] = {"make": maker(TableType(layout, layout.name))}
    text = f"def search(at, journal, {key}):\n    row = make(at, journal).{verb}({key})\n"
    exec(f"{text}    return row._address, row._new\n", scope)
    search: Any = fleeting(scope["search"])
    precompile(search, *[types.int64] * (2 + len(layout.keys)))
    return search  # type: ignore[no-any-return]


class InterpretedTable:
    """state.NAME of a Table. address: of the shard; journal: of the journal."""

    def __init__(self, layout: TableLayout, verbs: dict[str, Any], memory: Memory, address: int, journal: int) -> None:
        self._layout, self._verbs, self._memory = layout, verbs, memory
        self._address, self._journal = address, journal

    def _row(self, verb: str, key: tuple[Any, ...]) -> InterpretedRow:
        words = key[0] if len(key) == 1 and isinstance(key[0], Spot) else self.spot(*key)
        at, new = self._verbs[verb](self._address + self._layout.offset, self._journal, *words)
        return InterpretedRow(self._layout, self._memory, at - self._address if at else None, bool(at and new & 1))

    def upsert(self, *key: Any) -> InterpretedRow:
        return self._row("upsert", key)

    def find(self, *key: Any) -> InterpretedRow:
        return self._row("find", key)

    def spot(self, *key: Any) -> Spot:
        if len(key) != len(self._layout.keys):
            keys = ", ".join(self._layout.keys)
            raise TypeError(f"{self._layout.name} takes the key ({keys}), {len(key)} values were given")
        # int64, as compiled code passes it on.
        return Spot((int(word) + (1 << 63)) % (1 << 64) - (1 << 63) for word in key)

    def prefetch(self, *key: Any) -> None:
        self.spot(*key)


class InterpretedState:
    """The members of one shard by their names."""

    def __init__(self, members: dict[str, Any]) -> None:
        self.__dict__.update(members)

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"state.{name} is a member and cannot be set: set its items")


def _is_plain(member: Member | RecordsLayout) -> bool:
    """Whether all in it are whole numbers."""
    if isinstance(member, ArrayLayout):
        return _is_whole(member.scalar)
    return isinstance(member, TableLayout) and not member.objects and all(map(_is_whole, member.kinds.values()))


def _is_whole(kind: Kind) -> bool:
    return isinstance(kind, Scalar) and kind.is_whole


def state_maker(layout: StateLayout, undo: list[Callable[[], None]]) -> Callable[[Memory, int], InterpretedState]:
    """Function (bytes of a shard, address of the journal) -> state. Raises UsageError for what only a run has."""
    for member in (*layout.members, *layout.records):
        if not _is_plain(member):
            raise UsageError(
                f"state.{member.name} cannot be interpreted: only an Array or a Table of whole numbers can"
            )
    tables = [member for member in layout.members if isinstance(member, TableLayout)]
    verbs = {table.name: {verb: _searching(table, verb) for verb in ("upsert", "find")} for table in tables}

    def state(memory: Memory, journal: int) -> InterpretedState:
        members: dict[str, Any] = {}
        for member in layout.members:
            if isinstance(member, ArrayLayout):
                members[member.name] = InterpretedArray(member, memory, undo)
            elif isinstance(member, TableLayout):
                address = memory.ctypes.data
                members[member.name] = InterpretedTable(member, verbs[member.name], memory, address, journal)
        return InterpretedState(members)

    return state
