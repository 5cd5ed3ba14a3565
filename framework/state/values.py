"""Fields of state in compiled code: the type that a kind has there, and how it is loaded and stored."""

from __future__ import annotations

from typing import Any, Final

from llvmlite import ir
from numba.core import types

from zcframe.framework.jit.address import (
    copy_bytes,
    load_u8,
    move_bytes,
    order_stores,
    state_load_u16,
    state_store_u16,
)
from zcframe.framework.jit.compiler import inlined, outlined
from zcframe.framework.jit.emit.address import emit_load, emit_store
from zcframe.framework.jit.part import call_part
from zcframe.framework.packet.address import AddrType, addr_type, emit_addr
from zcframe.framework.packet.view import STATE, ViewType, emit_view, is_octets

from .journal import WRITE, enter, reserve
from .kinds import LENGTH_SIZE, Addr, Kind, Octets, Scalar, text

I64: Final = ir.IntType(64)
F64: Final = ir.DoubleType()
WORD: Final = 8

# Bytes of state, as a row's text and blob are read.
octets_type = ViewType(STATE)


def compiled_type(kind: Kind) -> types.Type:
    """The numba type that a field of this kind has."""
    if isinstance(kind, Octets):
        return octets_type
    if isinstance(kind, Addr):
        return addr_type
    return types.int64 if isinstance(kind, Scalar) and kind.is_whole else types.float64


def takes(kind: Kind, given: types.Type) -> str:
    """Why a field of this kind does not take a value of a numba type; "" where it does."""
    if isinstance(kind, Octets):
        return "" if is_octets(given) else "it takes a view of bytes, or bytes"
    if isinstance(kind, Addr):
        return "" if isinstance(given, AddrType) else "it takes an address, as pkt.src"
    whole = isinstance(kind, Scalar) and kind.is_whole
    if isinstance(given, types.Integer | types.Boolean) or (isinstance(given, types.Float) and not whole):
        return ""
    advice = ": cut a float with int(), or divide with //" if isinstance(given, types.Float) else ""
    return f"it takes a {'whole ' if whole else ''}number{advice}"


def _halves(builder: Any, address: Any) -> list[Any]:
    """Where the two words of an address are."""
    return [address, builder.add(address, I64(WORD))]


def emit_value(context: Any, builder: Any, kind: Kind, address: Any) -> Any:
    """Build the load of a field."""
    if isinstance(kind, Octets):
        length = emit_load(builder, address, 8 * LENGTH_SIZE, region="state")
        return emit_view(context, builder, octets_type, builder.add(address, I64(LENGTH_SIZE)), length)
    if isinstance(kind, Addr):
        words = [emit_load(builder, at, 64, big_endian=True, region="state") for at in _halves(builder, address)]
        return emit_addr(context, builder, *words)
    word = emit_load(builder, address, 8 * kind.size, region="state")
    return word if compiled_type(kind) == types.int64 else builder.bitcast(word, F64)


def _words(builder: Any, kind: Kind, address: Any, value: Any) -> list[tuple[Any, Any, int]]:
    """(address, int64, bytes) of each word in memory of a value that is no string of bytes."""
    if isinstance(kind, Addr):
        halves = [builder.bswap(builder.extract_value(value, i)) for i in range(2)]
        return [(at, half, WORD) for at, half in zip(_halves(builder, address), halves, strict=True)]
    word = value if compiled_type(kind) == types.int64 else builder.bitcast(value, I64)
    return [(address, word, kind.size)]


def emit_change(context: Any, builder: Any, kind: Kind, address: Any, value: Any, journal: Any) -> None:
    """Build the store of a value of `compiled_type(kind)`. journal: None where the journal has the old one already."""
    if isinstance(kind, Octets):
        octets = [builder.extract_value(value, i) for i in range(2)]
        put = types.void(*[types.int64] * 5)
        part = put_text if isinstance(kind, text) else put_blob
        call_part(context, builder, part, put, [journal, address, *octets, I64(kind.limit)])
        return
    for at, word, size in _words(builder, kind, address, value):
        if journal is None:
            emit_store(builder, at, word, 8 * size, region="state")
        else:
            call_part(context, builder, WRITE[size], types.void(*[types.int64] * 3), [journal, at, word])


@inlined
def text_length(address, length, limit):  # type: ignore[no-untyped-def]
    """Length of text once it is cut: NULs at its end are padding, and no part of it."""
    length = min(length, limit)
    while length > 0 and load_u8(address + length - 1) == 0:
        length -= 1
    return length


@outlined
def put_blob(journal, at, address, length, limit):  # type: ignore[no-untyped-def]
    """Store up to `limit` bytes, which may be a part of those that are there, with their length, at `at`.

    What stands behind the old value's end means nothing, and is not journaled.
    """
    length = min(length, limit)
    size = LENGTH_SIZE + state_load_u16(at)
    entry, used = reserve(journal, at, size)
    copy_bytes(entry, at, size)
    enter(journal, used)
    state_store_u16(at, length)
    move_bytes(at + LENGTH_SIZE, address, length)
    order_stores()


@outlined
def put_text(journal, at, address, length, limit):  # type: ignore[no-untyped-def]
    """`put_blob` of text."""
    put_blob(journal, at, address, text_length(address, length, limit), limit)
