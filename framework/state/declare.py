"""What a plugin declares: scalars, arrays, tables and parameters. Plain Python, importable in milliseconds."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Final

from zcframe.framework.errors import DeclarationError

from .kinds import Addr, Kind, Octets, Scalar, is_whole

MAX_KEYS: Final = 12
# Bytes of a row: one that goes is journaled whole, and the journal has room for 64 KiB.
LARGEST_ROW: Final = 32 * 1024
RESERVED_FIELDS: Final = ("new", "tag")
# What a merged State holds beside the members.
RESERVED_MEMBERS: Final = ("layout", "lost", "expired", "given_up")

SCALARS: Final = "u8, u16, u32, u64, i64, f64 or addr"
FIELDS: Final = "u8, u16, u32, u64, i64, f64, addr, text(n), blob(n) or u16[8]"


class Embedded:
    """What stands in state as an object with methods of its own, by itself or in each row of a table (sketch/)."""

    def settled(self, settings: Callable[[Any], Any]) -> Embedded:
        """The declaration with the user's settings in place of parameters."""
        raise NotImplementedError


def _require_kinds(what: str, possible: str, kinds: tuple[type, ...], fields: Mapping[str, Any]) -> None:
    """Raises DeclarationError for a field whose type is none of these. possible: the same for people."""
    for name, kind in fields.items():
        if not isinstance(kind, kinds):
            where = f" in field {name}" if name else ""
            if Embedded in kinds and isinstance(kind, type) and issubclass(kind, Embedded):
                raise DeclarationError(f"{what} has an object{where}: write {kind.__name__}(...)")
            raise DeclarationError(f"{what} holds {possible}{where}, not {getattr(kind, 'name', repr(kind))}")


def _require_key(key: Mapping[str, Any]) -> None:
    """Raises DeclarationError for a key that cannot be looked for."""
    for name, kind in key.items():
        if not isinstance(kind, Addr | Octets) and not (isinstance(kind, Scalar) and kind.is_whole):
            raise DeclarationError(f"a Table has whole numbers, addr, text and blob in its key, {name} is {kind.name}")
    words = sum(kind.words for kind in key.values())
    if words > MAX_KEYS:
        raise DeclarationError(
            f"a Table has a key of {words} words, {MAX_KEYS} are possible: an addr, text or blob is two"
        )


@dataclass(frozen=True)
class Param:
    """A parameter with its default (bool, int, float or str) and one line of documentation.

    `zcframe run --plugin NAME?parameter=value` sets it; in `filter` it is a constant, `params.NAME`.
    `minimum` and `maximum` bound a number, `choices` a string.
    """

    default: bool | int | float | str
    doc: str = ""
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not isinstance(self.default, bool | int | float | str):
            raise DeclarationError(f"the default of a Param is {self.default!r}: a bool, int, float or str is needed")


@dataclass(frozen=True)
class Array:
    """A fixed array of `length` scalars or addresses (a Param makes it the user's choice), zero at the start.

    In `filter`: `state.name[i]`, `state.name[i] += n`, `len(state.name)`; an index out of range raises IndexError.
    In `merge` and `report`: a numpy array of the scalar's dtype.
    """

    scalar: Scalar | Addr
    length: int | Param

    def __post_init__(self) -> None:
        _require_kinds("an Array", SCALARS, (Scalar, Addr), {"": self.scalar})
        if isinstance(self.length, tuple | list):
            raise DeclarationError(
                f"an Array of {self.length!r}: it has one dimension; a length of rows * columns, and [row * columns +"
                " column], are two"
            )
        if not isinstance(self.length, Param) and not (is_whole(self.length) and self.length >= 1):
            raise DeclarationError(f"an Array of {self.length!r} {self.scalar.name}: it needs a length of 1 or more")


@dataclass(frozen=True)
class Table:
    """An open-addressing hash table in shared state.

    key, value: field name -> scalar, addr, text(n) or blob(n); a value may be several numbers, as u16[8]. capacity:
    rows that there is room for at least, however keys are spread over shards (a Param makes it the user's choice).
    idle: seconds after which a row may give up its slot to a new key (0: never); `last` names the u64 value field that
    holds the row's last time in ns. done: a value field; a row in which it is not 0 may give up its slot at any time.
    Only a new key that finds the slots near its own taken takes one, that of the row that has been idle for longest,
    or, where `least` names a value field, that of the row with the least there.

    In `filter`: `row = state.name.upsert(k0, k1, ...)` finds or inserts, `row = state.name.find(k0, ...)` only finds;
    `if row:` is false where the table had no room (counted in `lost`) or no such key; `row.new` is true on the first
    packet of a key; `row.field` reads, `row.field = x` and `row.field += x` write; `state.name.delete(k0, ...)` deletes
    a row, and says whether there was one. `state.name.prefetch(k0, ...)` from the plugin's `prefetch(pkt, state,
    params)` hides the cache miss. In `merge` and `report`: a numpy record array, of which `row.field` is the same as
    `row["field"]`. A value may be an object with methods, as LogHist(): a row has one.
    """

    key: Mapping[str, Kind]
    value: Mapping[str, Kind | Embedded]
    capacity: int | Param = 1 << 16
    idle: float | Param = 0
    last: str = ""
    done: str = ""
    least: str = ""

    def __post_init__(self) -> None:
        for fields in (self.key, self.value):
            if not isinstance(fields, Mapping):
                raise DeclarationError(f"a Table has fields by name, as {{'port': u16}}, not {fields!r}")
        _require_kinds("a Table", FIELDS, (Kind,), self.key)
        _require_kinds("a Table", FIELDS, (Kind, Embedded), self.value)
        names = [*self.key, *self.value]
        if not 1 <= len(self.key) <= MAX_KEYS or not self.value:
            raise DeclarationError(f"a Table has 1 to {MAX_KEYS} fields in its key and at least one value, not {names}")
        _require_key(self.key)
        bad = [name for name in names if not name.isidentifier() or name.startswith("_") or name in RESERVED_FIELDS]
        bad += [name for name in self.key if name in self.value]
        if bad:
            raise DeclarationError(
                f"a Table cannot have a field {bad[0]!r}: names are words of their own, without leading _"
            )
        if (self.idle or self.last) and getattr(self.value.get(self.last), "dtype", "") != "u8":
            raise DeclarationError(
                f"a Table with idle names in `last` a u64 value, the row's time in ns, not {self.last!r}"
            )
        named = [name for name in (self.done, self.least) if name]
        unknown = [name for name in named if getattr(self.value.get(name), "form", "") != "u"]
        if unknown:
            raise DeclarationError(f"a Table names in `done` and `least` value fields u8 to u64, not {unknown[0]!r}")
        size = sum(kind.size for kind in (*self.key.values(), *self.value.values()) if isinstance(kind, Kind))
        if size > LARGEST_ROW:
            raise DeclarationError(f"a Table with rows of {size:,} bytes: {LARGEST_ROW:,} are the most")
        if not isinstance(self.capacity, Param) and not (is_whole(self.capacity) and self.capacity >= 1):
            raise DeclarationError(f"a Table with a capacity of {self.capacity!r}: it needs 1 row or more")
        if not isinstance(self.idle, Param) and not self.idle >= 0:
            raise DeclarationError(f"a Table with idle={self.idle!r}: seconds are needed, or 0 for never")
        if self.done and not (self.last or self.least):
            raise DeclarationError(
                "a Table with `done` needs `last` or `least`, to know which row gives up its slot first"
            )


@dataclass(frozen=True)
class Built:
    """A lookup in memory, `octets` (numpy uint8), and the `entries` that it was built of, in order, for `report`."""

    octets: Any
    entries: Sequence[Any]


@dataclass(frozen=True, eq=False)
class Lookup:
    """Base of what is looked up. source: a path of a file, a list or a mapping; a Param names a file."""

    source: Any

    # Whether `source` may be a mapping.
    MAPS: ClassVar[bool] = False

    def __post_init__(self) -> None:
        possible = (str, os.PathLike, list, tuple, set, frozenset, Param, *((Mapping,) if self.MAPS else ()))
        if not isinstance(self.source, possible):
            raise DeclarationError(
                f"{self.name}({self.source!r}): a list{' or dict' * self.MAPS}, or a file, is needed"
            )
        if isinstance(self.source, Param) and not isinstance(self.source.default, str):
            raise DeclarationError(f"{self.name} of a Param of {self.source.default!r}: the path of a file is needed")

    @property
    def name(self) -> str:
        return type(self).__name__

    @property
    def value(self) -> Kind | None:
        """Of what is found; None where it is no value of the author's."""
        return None

    def settled(self, settings: Callable[[Any], Any]) -> Lookup:
        """The declaration with the user's setting in place of a parameter."""
        return replace(self, source=settings(self.source))

    def built(self) -> Built:
        """The lookup in memory. Raises DeclarationError, which begins with where what is wrong stands."""
        raise NotImplementedError


Declaration = Array | Table | Embedded


def resolved(value: Any, params: Mapping[str, Any], declared: Mapping[str, Param]) -> Any:
    """`value`, or the setting of the parameter that stands in its place."""
    if not isinstance(value, Param):
        return value
    for name, param in declared.items():
        if param is value:
            return params[name]
    raise DeclarationError("a Param that sizes an Array or Table must be a class attribute of the plugin")
