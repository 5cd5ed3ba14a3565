"""A table and its rows: in the memory and the layout of a run, searched by the compiled verbs of a run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
from numba.core import types

from zcframe.framework.jit.compiler import fleeting, precompile
from zcframe.framework.packet.address import make_addr
from zcframe.framework.packet.plain import number_of, octets_of
from zcframe.framework.packet.view import make_view
from zcframe.framework.state.compiled import RowType, TableType, maker
from zcframe.framework.state.keys import KeyField, key_fields, words_of_key
from zcframe.framework.state.kinds import Addr, Kind, Octets, Repeated
from zcframe.framework.state.layout import ArrayLayout, TableLayout
from zcframe.framework.state.sketch.words import signed
from zcframe.framework.state.table import check_key

from .fields import Field, InterpretedArray
from .memory import Memory
from .objects import InterpretedObject
from .typed import refusing, type_of

ENDS: Final = {"upsert": "row._address, row._new", "find": "row._address, row._new", "delete": "row, 0"}


class InterpretedRow:
    """A row of a table; false where there is none. at: its offset in the shard."""

    _type: RowType
    _memory: Memory
    _at: int
    new: bool

    def __init__(self, kind: RowType, memory: Memory, at: int, *, new: bool) -> None:
        self.__dict__.update(_type=kind, _memory=memory, _at=at, new=new)

    def __bool__(self) -> bool:
        return self._at > 0

    def _require(self, name: str) -> TableLayout:
        """The table's layout. Raises AttributeError, or LookupError where there is no row."""
        layout: TableLayout = self._type.layout
        if name not in layout.kinds and name not in [one.name for one in layout.objects]:
            raise AttributeError(f"a row of {layout.name} has no field {name}")
        if not self:
            raise LookupError(f"a row of {layout.name} that is not there: ask `if row:` first")
        return layout

    def _field(self, layout: TableLayout, name: str) -> Field:
        offset, kind = next((offset, kind) for field, offset, kind in layout.fields if field == name)
        return Field(self._memory, self._at + offset, kind, kept=not kind.apart)

    def __getattr__(self, name: str) -> Any:
        layout = self._require(name)
        for one in layout.objects:
            if one.name == name:
                return InterpretedObject(one, f"{layout.name}.{name}", self._memory, self._at, kept=not one.large)
        for field, offset, kind in layout.fields:
            if field == name and isinstance(kind, Repeated):
                array = ArrayLayout(f"{layout.name}.{name}", offset, kind.scalar, kind.count)
                return InterpretedArray(array, self._memory, self._at)
        return self._field(layout, name).read()

    def __setattr__(self, name: str, value: Any) -> None:
        layout: TableLayout = self._type.layout
        if name not in [field for field, _, _ in layout.values]:
            raise AttributeError(f"{name} of a row of {layout.name} cannot be assigned")
        with refusing():
            self._type.check_assigned(name, type_of(value))
        self._field(self._require(name), name).write(value)

    def __repr__(self) -> str:
        layout: TableLayout = self._type.layout
        names = [*layout.kinds, *(one.name for one in layout.objects)] if self else []
        values = [f"{name}={getattr(self, name)!r}" for name in names]
        return f"Row({', '.join(values + ['new'] * self.new)})"


class Spot(tuple[Any, ...]):
    """Where a key belongs; here the key itself. layout: of its table."""

    layout: TableLayout


def _given(field: KeyField) -> str:
    """Source of a field of the key, made of its words."""
    words = ", ".join(field.words)
    if isinstance(field.kind, Octets):
        return f"make_view({words})"
    return f"make_addr({words})" if isinstance(field.kind, Addr) else words


def _compiled(layout: TableLayout, verb: str) -> Callable[..., tuple[int, int]]:
    """Compiled function (table's address, journal's, words of the key...) -> what ENDS says."""
    words, key = words_of_key(layout), ", ".join(map(_given, key_fields(layout)))
    make = maker(TableType(layout, layout.name))
    scope: dict[str, Any] = {"make": make, "make_view": make_view, "make_addr": make_addr}
    text = f"def search(at, journal, {', '.join(words)}):\n    row = make(at, journal).{verb}({key})\n"
    exec(f"{text}    return {ENDS[verb]}\n", scope)
    search: Any = fleeting(scope["search"])
    with refusing():
        precompile(search, *[types.int64] * (2 + len(words)))
    return search  # type: ignore[no-any-return]


class Search:
    """The verbs of a table, each compiled when it is called first, and room for the bytes of a key."""

    def __init__(self, layout: TableLayout) -> None:
        self.layout, self.row = layout, RowType(layout, layout.name)
        self._verbs: dict[str, Callable[..., tuple[int, int]]] = {}
        limits = [kind.limit for kind in self._kinds() if isinstance(kind, Octets)]
        self._room = [np.zeros(limit, np.uint8) for limit in limits]

    def _kinds(self) -> list[Kind]:
        return [field.kind for field in key_fields(self.layout)]

    def _words(self, key: Sequence[Any]) -> list[int]:
        words, rooms = [], iter(self._room)
        for kind, value in zip(self._kinds(), key, strict=True):
            if isinstance(kind, Octets):
                octets, room = octets_of(value)[: kind.limit], next(rooms)
                room[: len(octets)] = memoryview(octets)
                words += [room.ctypes.data, len(octets)]
            elif isinstance(kind, Addr):
                words += [signed(number_of(value) >> 64), signed(number_of(value))]
            else:
                words.append(signed(int(value)))
        return words

    def __call__(self, verb: str, memory: Memory, key: Sequence[Any]) -> tuple[int, int]:
        if verb not in self._verbs:
            self._verbs[verb] = _compiled(self.layout, verb)
        return self._verbs[verb](memory.address + self.layout.offset, memory.journal.address, *self._words(key))


class InterpretedTable:
    """state.NAME of a Table."""

    def __init__(self, search: Search, memory: Memory) -> None:
        self._search, self._memory = search, memory

    def _key(self, verb: str, given: tuple[Any, ...]) -> Spot:
        layout = self._search.layout
        if len(given) == 1 and isinstance(given[0], Spot) and verb not in ("spot", "prefetch"):
            if given[0].layout != layout:
                raise TypeError(f"{layout.name}.{verb}() was given a spot of another table, {given[0].layout.name}")
            return given[0]
        with refusing():
            check_key(layout, verb, [type_of(value) for value in given])
        spot = Spot(given)
        spot.layout = layout
        return spot

    def _row(self, verb: str, given: tuple[Any, ...]) -> InterpretedRow:
        at, new = self._search(verb, self._memory, self._key(verb, given))
        return InterpretedRow(
            self._search.row, self._memory, at - self._memory.address if at else 0, new=bool(at and new & 1)
        )

    def upsert(self, *key: Any) -> InterpretedRow:
        return self._row("upsert", key)

    def find(self, *key: Any) -> InterpretedRow:
        return self._row("find", key)

    def delete(self, *key: Any) -> bool:
        return bool(self._search("delete", self._memory, self._key("delete", key))[0])

    def spot(self, *key: Any) -> Spot:
        return self._key("spot", key)

    def prefetch(self, *key: Any) -> None:
        self._key("prefetch", key)
