"""Values in the memory of a shard: one of a kind, or several of a scalar side by side."""

from __future__ import annotations

import struct
from typing import Any, Final

from zcframe.framework.packet.plain import Address, View, number_of, octets_of
from zcframe.framework.state.kinds import ADDRESS_SIZE, LENGTH_SIZE, Addr, Kind, Octets, Scalar, text
from zcframe.framework.state.layout import ArrayLayout
from zcframe.framework.state.values import takes

from .memory import Memory
from .typed import type_of

# As compiled code has them: int64, also of what has 64 bits.
FORMATS: Final = {"u1": "<B", "u2": "<H", "u4": "<I", "u8": "<q", "i8": "<q", "f8": "<d"}


def encoded(kind: Kind, value: Any) -> bytes:
    """The bytes of a value in memory: a whole number modulo its size, a string of bytes cut to its length."""
    if isinstance(kind, Octets):
        octets = octets_of(value)[: kind.limit]
        octets = octets.rstrip(b"\0") if isinstance(kind, text) else octets
        return len(octets).to_bytes(LENGTH_SIZE, "little") + octets
    if isinstance(kind, Addr):
        return number_of(value).to_bytes(ADDRESS_SIZE, "big")
    if isinstance(kind, Scalar) and kind.is_whole:
        return (int(value) & (1 << 8 * kind.size) - 1).to_bytes(kind.size, "little")
    return struct.pack("<d", value)


class Field:
    """A value at an offset of a shard. kept: the journal has it already."""

    def __init__(self, memory: Memory, at: int, kind: Kind, *, kept: bool = False) -> None:
        self._memory, self._at, self._kind, self._kept = memory, at, kind, kept

    def _octets(self, start: int, size: int) -> Any:
        return self._memory.octets[self._at + start : self._at + start + size]

    def _length(self) -> int:
        """Of a string of bytes."""
        return int.from_bytes(self._octets(0, LENGTH_SIZE).tobytes(), "little")

    def read(self) -> Any:
        """An int, a float, an Address or a View: what compiled code has."""
        if isinstance(self._kind, Octets):
            return View(self._octets(LENGTH_SIZE, self._length()))
        raw = self._octets(0, self._kind.size).tobytes()
        if isinstance(self._kind, Addr):
            return Address(int.from_bytes(raw, "big"))
        return struct.unpack(FORMATS[self._kind.dtype], raw)[0]

    def write(self, value: Any) -> None:
        """Raises JournalFullError."""
        new = encoded(self._kind, value)
        if not self._kept:
            old = LENGTH_SIZE + self._length() if isinstance(self._kind, Octets) else self._kind.size
            self._memory.keep(self._at, old)
        self._octets(0, len(new))[:] = memoryview(new)


class InterpretedArray:
    """An Array of state, of an object, or a field of several numbers. base: offset of what the array is part of."""

    def __init__(self, layout: ArrayLayout, memory: Memory, base: int = 0, *, kept: bool = False) -> None:
        self._layout, self._memory, self._base, self._kept = layout, memory, base, kept

    def __len__(self) -> int:
        return self._layout.length

    def _field(self, index: int) -> Field:
        if not 0 <= index < len(self):
            raise IndexError(f"index out of range of state.{self._layout.name}, which has {len(self)}")
        scalar = self._layout.scalar
        return Field(self._memory, self._base + self._layout.offset + index * scalar.size, scalar, kept=self._kept)

    def __getitem__(self, index: int) -> Any:
        return self._field(index).read()

    def __setitem__(self, index: int, value: Any) -> None:
        scalar = self._layout.scalar
        if reason := takes(scalar, type_of(value)):
            raise TypeError(f"{self._layout.name} holds {scalar.name}: {reason}")
        self._field(index).write(value)

    def __repr__(self) -> str:
        return repr([self[index] for index in range(len(self))])
