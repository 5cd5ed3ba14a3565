"""Declared state as numba sees it: values of two words, address and journal; all else is a compile-time constant.

Types are made per layout and compared by it, so that offsets and sizes are baked into the machine code.
"""

from __future__ import annotations

import hashlib
import operator
from typing import Any

from numba.core import cgutils, types
from numba.core.errors import TypingError
from numba.core.imputils import lower_setattr
from numba.core.types.containers import UniTuple
from numba.core.typing.templates import AttributeTemplate
from numba.extending import (
    infer_getattr,
    intrinsic,
    lower_getattr_generic,
    make_attribute_wrapper,
    models,
    overload,
    register_model,
)

from zcframe.framework.jit.address import below
from zcframe.framework.jit.compiler import FORCE, inlined

from .journal import LOAD, STORE, WRITE
from .layout import ArrayLayout, StateLayout, TableLayout


class _Located(types.Type):
    """A place in shared state: (address, journal), described by `layout`; not `writable` in a prefetch."""

    def __init__(self, layout: Any, label: str, writable: bool = True) -> None:
        self.layout, self.writable = layout, writable
        # numba takes two types of one name for the same type: the name must tell every field and offset apart.
        digest = hashlib.sha256(repr(layout).encode()).hexdigest()[:12]
        kind = type(self).__name__ if writable else f"Fixed{type(self).__name__}"
        super().__init__(name=f"zcframe.{kind}({label}#{digest})")


class StateType(_Located):
    pass


class ArrayType(_Located):
    pass


class TableType(_Located):
    pass


class RowType(_Located):
    """A row of a table: address 0 for none; in place of the journal, 1 for a row just made."""


class SpotType(types.Type):
    """Where a key belongs in a table: the slot to look at first, the key's hash, and the key. Opaque to plugins."""

    def __init__(self, layout: TableLayout) -> None:
        self.layout = layout
        digest = hashlib.sha256(repr(layout).encode()).hexdigest()[:12]
        super().__init__(name=f"zcframe.Spot({layout.name}#{digest})")

    @property
    def words(self) -> list[str]:
        return ["at", "hashed", *(f"k{i}" for i in range(len(self.layout.keys)))]


@register_model(SpotType)
class _SpotModel(models.StructModel):  # type: ignore[misc]
    def __init__(self, manager: Any, fe_type: SpotType) -> None:
        super().__init__(manager, fe_type, [(word, types.int64) for word in fe_type.words])


def spot_maker(layout: TableLayout) -> Any:
    """Compiled function (slot address, hash, key words as a tuple) -> spot."""
    spot = SpotType(layout)

    @intrinsic
    def make(typingctx, at, hashed, key):  # type: ignore[no-untyped-def]
        def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
            value = cgutils.create_struct_proxy(spot)(context, builder)
            value.at, value.hashed = args[:2]
            for i in range(len(layout.keys)):
                setattr(value, f"k{i}", builder.extract_value(args[2], i))
            return value._getvalue()

        return spot(types.int64, types.int64, key), codegen

    return make


@intrinsic
def spot_words(typingctx, spot):  # type: ignore[no-untyped-def]
    """The words of a spot as a tuple."""
    count = len(spot.words)

    def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
        words = [builder.extract_value(args[0], i) for i in range(count)]
        return context.make_tuple(builder, signature.return_type, words)

    return UniTuple(types.int64, count)(spot), codegen


@inlined
def _there(address):  # type: ignore[no-untyped-def]
    """Refuse the row that is none. Costs nothing behind `if row:`, where LLVM knows the answer."""
    if address == 0:
        raise LookupError("a row that is not there: ask `if row:` first")


@register_model(StateType)
@register_model(ArrayType)
@register_model(TableType)
@register_model(RowType)
class _LocatedModel(models.StructModel):  # type: ignore[misc]
    def __init__(self, manager: Any, fe_type: Any) -> None:
        super().__init__(manager, fe_type, [("address", types.int64), ("journal", types.int64)])


for _kind in (ArrayType, TableType, RowType):
    make_attribute_wrapper(_kind, "address", "_address")
    make_attribute_wrapper(_kind, "journal", "_journal")


def maker(located: _Located) -> Any:
    @intrinsic
    def make(typingctx, address, journal):  # type: ignore[no-untyped-def]
        def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
            value = cgutils.create_struct_proxy(located)(context, builder)
            value.address, value.journal = args
            return value._getvalue()

        return located(types.int64, types.int64), codegen

    return make


def state_maker(layout: StateLayout, *, writable: bool = True) -> Any:
    """Compiled function (shard address, journal address) -> state value of this layout."""
    return maker(StateType(layout, "state", writable))


def _member_type(state: StateType, member: ArrayLayout | TableLayout) -> _Located:
    return (ArrayType if isinstance(member, ArrayLayout) else TableType)(member, member.name, state.writable)


@infer_getattr
class _StateAttributes(AttributeTemplate):  # type: ignore[misc]
    key = StateType

    def generic_resolve(self, state: StateType, name: str) -> _Located | None:
        for member in state.layout.members:
            if member.name == name:
                return _member_type(state, member)
        return None


@lower_getattr_generic(StateType)
def _state_member(context, builder, state, value, name):  # type: ignore[no-untyped-def]
    member = next(m for m in state.layout.members if m.name == name)
    whole = cgutils.create_struct_proxy(state)(context, builder, value=value)
    part = cgutils.create_struct_proxy(_member_type(state, member))(context, builder)
    part.address = builder.add(whole.address, context.get_constant(types.int64, member.offset))
    part.journal = whole.journal
    return part._getvalue()


@overload(len, jit_options=FORCE)
def _array_len(array):  # type: ignore[no-untyped-def]
    if isinstance(array, ArrayType):
        length = array.layout.length
        return lambda array: length


@overload(operator.getitem, jit_options=FORCE)
def _array_get(array, index):  # type: ignore[no-untyped-def]
    if isinstance(array, ArrayType) and isinstance(index, types.Integer):
        load, size, length = LOAD[array.layout.scalar.size], array.layout.scalar.size, array.layout.length

        def get(array, index):  # type: ignore[no-untyped-def]
            if not below(index, length):
                raise IndexError("index out of range of a state array")
            return load(array._address + index * size)

        return get


@overload(operator.setitem, jit_options=FORCE)
def _array_set(array, index, value):  # type: ignore[no-untyped-def]
    if isinstance(array, ArrayType) and isinstance(index, types.Integer):
        if not array.writable:
            raise TypingError(
                f"prefetch cannot write to {array.layout.name}, nor can ahead: it is no part of the transaction"
            )
        write, size, length = WRITE[array.layout.scalar.size], array.layout.scalar.size, array.layout.length

        def put(array, index, value):  # type: ignore[no-untyped-def]
            if not below(index, length):
                raise IndexError("index out of range of a state array")
            write(array._journal, array._address + index * size, types.int64(value))

        return put


@infer_getattr
class _RowAttributes(AttributeTemplate):  # type: ignore[misc]
    key = RowType

    def generic_resolve(self, row: RowType, name: str) -> types.Type | None:
        if name == "new":
            return types.boolean
        return types.int64 if any(field == name for field, _, _ in row.layout.fields) else None


def _field(row: RowType, name: str) -> tuple[int, int]:
    return next((offset, scalar.size) for field, offset, scalar in row.layout.fields if field == name)


@lower_getattr_generic(RowType)
def _row_get(context, builder, row, value, name):  # type: ignore[no-untyped-def]
    place = cgutils.create_struct_proxy(row)(context, builder, value=value)
    one = context.get_constant(types.int64, 1)
    if name == "new":
        return builder.trunc(builder.and_(place.journal, one), cgutils.bool_t)
    offset, size = _field(row, name)
    load = LOAD[size]

    def get(address):  # type: ignore[no-untyped-def]
        _there(address)
        return load(address + offset)

    return context.compile_internal(builder, get, types.int64(types.int64), [place.address])


def _lower_row_set(name: str) -> None:
    """Make `row.name = value` a store for whatever table has a field of that name; the journal has the row already."""

    @lower_setattr(RowType, name)
    def assign(context, builder, sig, args):  # type: ignore[no-untyped-def]
        row = sig.args[0]
        offset, size = _field(row, name)
        store = STORE[size]

        def put(address, value):  # type: ignore[no-untyped-def]
            _there(address)
            store(address + offset, value)

        place = cgutils.create_struct_proxy(row)(context, builder, value=args[0])
        value = context.cast(builder, args[1], sig.args[1], types.int64)
        return context.compile_internal(builder, put, types.void(types.int64, types.int64), [place.address, value])


_settable: set[str] = set()


def allow_fields(layout: StateLayout) -> None:
    """Register the value fields of a layout's tables for assignment; once per field name and process."""
    for member in layout.members:
        if isinstance(member, TableLayout):
            for name, _, _ in member.fields[len(member.keys) :]:
                if name not in _settable:
                    _settable.add(name)
                    _lower_row_set(name)


@overload(bool, jit_options=FORCE)
def _row_bool(row):  # type: ignore[no-untyped-def]
    if isinstance(row, RowType):
        return lambda row: row._address != 0
