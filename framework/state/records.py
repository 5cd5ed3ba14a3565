"""Records that a plugin makes: rows of named fields, each handed on once.

    record   number u32 | size u32 | cut u32 | time of the packet u32[2], upper half first | 0 u32 |
             the fields in the order of declaration, unaligned | the bytes of text and blob, in that order | padding

`number` is that of the record's kind in the run; size counts all of it, and is a multiple of 8. Of a text or blob, its
length stands among the fields. A record lies where outputs have their frames.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from zcframe.framework.errors import DeclarationError

from .kinds import ADDRESS_SIZE, LENGTH_SIZE, Addr, Kind, Octets, Scalar

HEAD: Final = 24
# Bytes of a record, at most: a writer takes records whole.
LARGEST: Final = 32 * 1024
MAX_FIELDS: Final = 64
# What a line of JSON has beside the fields.
RECORD: Final = "record"
KINDS: Final = "u8, u16, u32, u64, i64, f64, addr, text(n) or blob(n)"
# How a field stands in a record, as `struct` has it.
FORMATS: Final = {"u1": "B", "u2": "H", "u4": "I", "u8": "Q", "i8": "q", "f8": "d"}


class Records:
    """Rows that a plugin hands on while the run goes on: `Records(ts=u64, src=addr, path=text(2048))`.

    In `filter`: `state.name.emit(ts=pkt.ts, ...)`, with a value for each field; it returns nothing. A text or blob
    takes a view of the packet, or bytes as in b"GET", and is cut to its length. The rows go where `--rows` says. They
    are part of the packet's transaction, as the rest of state is.
    """

    def __init__(self, **fields: Kind) -> None:
        self.fields: Mapping[str, Kind] = fields
        if not 1 <= len(fields) <= MAX_FIELDS:
            raise DeclarationError(
                f"Records have 1 to {MAX_FIELDS} fields by name, as Records(ts=u64), not {len(fields)}"
            )
        for name, kind in fields.items():
            if not isinstance(kind, Scalar | Addr | Octets):
                raise DeclarationError(f"Records hold {KINDS} in field {name}, not {getattr(kind, 'name', repr(kind))}")
            if name.startswith("_") or name == RECORD:
                raise DeclarationError(f"Records cannot have a field {name!r}: names are words, without leading _")
        largest = RecordsLayout("", 0, tuple(fields.items())).largest
        if largest > LARGEST:
            raise DeclarationError(f"Records of up to {largest:,} bytes: {LARGEST:,} are the most")


def fixed_size(kind: Kind) -> int:
    """Bytes that a field takes among the fields."""
    return LENGTH_SIZE if isinstance(kind, Octets) else kind.size


def _format(kind: Kind) -> str:
    if isinstance(kind, Octets):
        return "H"
    return FORMATS[str(kind.dtype)] if isinstance(kind, Scalar) else f"{ADDRESS_SIZE}s"


@dataclass(frozen=True)
class RecordsLayout:
    """One kind of record of a plugin. index: among those of the plugin."""

    name: str
    index: int
    fields: tuple[tuple[str, Kind], ...]

    @property
    def offsets(self) -> list[int]:
        """Of each field in a record."""
        sizes = [fixed_size(kind) for _, kind in self.fields]
        return [HEAD + sum(sizes[:i]) for i in range(len(sizes))]

    @property
    def fixed(self) -> int:
        """Bytes in front of those of text and blob."""
        return HEAD + sum(fixed_size(kind) for _, kind in self.fields)

    @property
    def largest(self) -> int:
        """Bytes of the largest record."""
        return self.fixed + sum(kind.limit for _, kind in self.fields if isinstance(kind, Octets)) + 7 & ~7

    @cached_property
    def form(self) -> struct.Struct:
        """Of the fields, behind the head."""
        return struct.Struct("=" + "".join(_format(kind) for _, kind in self.fields))


def records_of(members: Mapping[str, Any]) -> tuple[RecordsLayout, ...]:
    """The kinds of record among a class's members."""
    found = [(name, value) for name, value in members.items() if isinstance(value, Records)]
    return tuple(RecordsLayout(name, i, tuple(value.fields.items())) for i, (name, value) in enumerate(found))
