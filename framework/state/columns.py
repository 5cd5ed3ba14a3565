"""Fields of rows as numpy has them in a merged State: numbers, addresses as 16 bytes, text and blob as bytes."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b
from typing import Any

import numpy as np

from .kinds import Kind, Octets, text


def column_dtype(kind: Kind) -> Any:
    """What numpy.dtype() takes for a column of this kind. Bytes of numpy's own end before NULs, as text does."""
    if isinstance(kind, Octets):
        return f"S{kind.limit}" if isinstance(kind, text) else object
    return kind.dtype


def column(kind: Kind, raw: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """A column of what lies in memory."""
    if not isinstance(kind, Octets):
        return raw
    if not isinstance(kind, text):
        found = np.empty(len(raw), object)
        found[:] = [kind.octets(value) for value in raw]
        return found
    octets = np.ascontiguousarray(raw["octets"]).view(np.uint8).reshape(len(raw), kind.limit).copy()
    octets[np.arange(kind.limit) >= raw["length"][:, np.newaxis]] = 0
    return octets.view(f"S{kind.limit}")[:, 0]


def codes(values: np.ndarray[Any, Any]) -> np.ndarray[Any, np.dtype[np.uint64]]:
    """Numbers of a column of keys, to sort by: equal where values are equal, and hardly ever where they are not."""
    if values.dtype.kind in "SO":
        hashed = (blake2b(value, digest_size=8).digest() for value in values.tolist())
        return np.frombuffer(b"".join(hashed), np.uint64)
    if values.dtype.kind == "V":
        halves = np.ascontiguousarray(values).view(np.uint64).reshape(len(values), 2)
        return halves[:, 0] * np.uint64(0x9E3779B97F4A7C15) ^ halves[:, 1]
    return values.astype(np.uint64)


class Rows(np.ndarray[Any, Any]):
    """Rows of a merged table: `rows.field` is the column `rows["field"]`, but for names that every array has."""

    def __getattr__(self, name: str) -> Any:
        if name in (self.dtype.names or ()):
            return self[name]
        fields = f": its fields are {', '.join(self.dtype.names)}" if self.dtype.names else ""
        raise AttributeError(f"the table has no field {name}{fields}")

    def __getitem__(self, place: Any) -> Any:
        """A part of the rows, or a column, which is a plain array."""
        found = super().__getitem__(place)
        return found if found.dtype.names or not isinstance(found, Rows) else found.view(np.ndarray)


def python_value(kind: Kind, value: Any) -> Any:
    """The Python value of an item of a column."""
    if isinstance(kind, Octets):
        return value.decode(errors="backslashreplace") if isinstance(kind, text) else value
    return kind.value(value)


def python_rows(kinds: Mapping[str, Kind], rows: np.ndarray[Any, Any]) -> list[dict[str, Any]]:
    """Rows of a merged table as dicts of Python values. kinds: of the fields, by name."""
    return [{name: python_value(kind, row[name]) for name, kind in kinds.items()} for row in rows]
