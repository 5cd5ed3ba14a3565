"""Declared state as numba sees it: values of two words, address and journal; all else is a compile-time constant.

Types are made per layout and compared by it, so that offsets and sizes are baked into the machine code.
"""

from __future__ import annotations

import hashlib
import operator
from typing import Any, Final

from llvmlite import ir
from numba.core import cgutils, types
from numba.core.callconv import RETCODE_USEREXC
from numba.core.errors import TypingError
from numba.core.imputils import lower_builtin, lower_setattr
from numba.core.types.containers import UniTuple
from numba.core.typing.templates import AbstractTemplate, AttributeTemplate, infer_global
from numba.extending import (
    infer_getattr,
    intrinsic,
    lower_getattr_generic,
    make_attribute_wrapper,
    models,
    register_model,
)

from zcframe.framework.jit.emit.address import emit_load
from zcframe.framework.jit.lowering import lowered_at

from .journal import LOOKUPS
from .keys import words_of_key
from .kinds import Kind, Repeated
from .layout import ArrayLayout, LookupLayout, Member, ObjectLayout, StateLayout, TableLayout
from .records import RecordsLayout
from .values import compiled_type, emit_change, emit_value, takes


class _Located(types.Type):
    """A place in shared state: (address, journal), described by `layout`; not `writable` in a prefetch.

    direct: it is written without journaling, since the journal has the row that it is in.
    """

    def __init__(self, layout: Any, label: str, writable: bool = True, direct: bool = False) -> None:
        self.layout, self.writable, self.direct = layout, writable, direct
        # numba takes two types of one name for the same type: the name must tell every field and offset apart.
        digest = hashlib.sha256(repr(layout).encode()).hexdigest()[:12]
        access = "Direct" if direct else "" if writable else "Fixed"
        super().__init__(name=f"zcframe.{access}{type(self).__name__}({label}#{digest})")


class StateType(_Located):
    pass


class ArrayType(_Located):
    pass


class TableType(_Located):
    pass


class ObjectType(_Located):
    """An object with methods; `layout.kind` has them (sketch/methods.py)."""


class RecordsType(_Located):
    """A kind of record: the address says nothing."""


class LookupType(_Located):
    """A list to look things up in: the address is that of the lookup (lookup/methods.py)."""


class RowType(_Located):
    """A row of a table: address 0 for none; 1 in `new` for a row just made; the journal where values need it."""

    @property
    def words(self) -> list[str]:
        return ["address", "new", *(["journal"] if self.layout.apart or self.layout.objects else [])]

    def kind(self, name: str) -> Kind | None:
        """Of a field; None where there is none of that name."""
        return next((kind for field, _, kind in self.layout.fields if field == name), None)

    def check_assigned(self, name: str, given: types.Type) -> None:
        """Raises TypingError for a value that a field does not take (jit/part.py)."""
        kind = self.kind(name)
        if kind is None:
            return
        several = isinstance(kind, Repeated)
        reason = f"assign to one of them, {name}[i]" if several else takes(kind, given)
        if reason:
            raise TypingError(f"zcframe: {name} of a row of {self.layout.name} is {kind.name}: {reason}")


class SpotType(types.Type):
    """Where a key belongs in a table: the slot to look at first, the key's hash, and the key. Opaque to plugins."""

    def __init__(self, layout: TableLayout) -> None:
        self.layout = layout
        digest = hashlib.sha256(repr(layout).encode()).hexdigest()[:12]
        super().__init__(name=f"zcframe.Spot({layout.name}#{digest})")

    @property
    def words(self) -> list[str]:
        return ["at", "hashed", *words_of_key(self.layout)]


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
            for i, word in enumerate(words_of_key(layout)):
                setattr(value, word, builder.extract_value(args[2], i))
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


@register_model(ArrayType)
@register_model(TableType)
@register_model(ObjectType)
@register_model(RecordsType)
@register_model(LookupType)
class _LocatedModel(models.StructModel):  # type: ignore[misc]
    def __init__(self, manager: Any, fe_type: Any) -> None:
        super().__init__(manager, fe_type, [("address", types.int64), ("journal", types.int64)])


@register_model(StateType)
class _StateModel(models.StructModel):  # type: ignore[misc]
    def __init__(self, manager: Any, fe_type: StateType) -> None:
        lookups = ["lookups"] if fe_type.layout.lookups else []
        super().__init__(manager, fe_type, [(word, types.int64) for word in ("address", "journal", *lookups)])


@register_model(RowType)
class RowModel(models.StructModel):  # type: ignore[misc]
    def __init__(self, manager: Any, fe_type: RowType) -> None:
        super().__init__(manager, fe_type, [(word, types.int64) for word in fe_type.words])


make_attribute_wrapper(TableType, "address", "_address")
make_attribute_wrapper(TableType, "journal", "_journal")
make_attribute_wrapper(RowType, "address", "_address")
make_attribute_wrapper(RowType, "new", "_new")


def maker(located: _Located) -> Any:
    @intrinsic
    def make(typingctx, address, journal):  # type: ignore[no-untyped-def]
        def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
            value = cgutils.create_struct_proxy(located)(context, builder)
            value.address, value.journal = args
            return value._getvalue()

        return located(types.int64, types.int64), codegen

    return make


def row_maker(layout: TableLayout) -> Any:
    """Compiled function (slot address or 0, whether the row is new, journal address) -> row."""
    row = RowType(layout, layout.name)

    @intrinsic
    def make(typingctx, address, new, journal):  # type: ignore[no-untyped-def]
        def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
            value = cgutils.create_struct_proxy(row)(context, builder)
            for word, given in zip(row.words, args, strict=False):
                setattr(value, word, given)
            return value._getvalue()

        return row(types.int64, types.int64, types.int64), codegen

    return make


def state_maker(layout: StateLayout, *, writable: bool = True, place: int = 0) -> Any:
    """Compiled function (shard address, journal address) -> state value of this layout.

    place: of the plugin among those of the run, by which its lookups are found.
    """
    located = StateType(layout, "state", writable)
    return _maker_with_lookups(located, place) if layout.lookups else maker(located)


def _maker_with_lookups(located: StateType, place: int) -> Any:
    @intrinsic
    def make(typingctx, address, journal):  # type: ignore[no-untyped-def]
        def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
            value = cgutils.create_struct_proxy(located)(context, builder)
            value.address, value.journal = args
            word = builder.add(value.journal, context.get_constant(types.int64, LOOKUPS + 8 * place))
            value.lookups = emit_load(builder, word, 64)
            return value._getvalue()

        return located(types.int64, types.int64), codegen

    return make


MEMBER_TYPES: Final[dict[type[Member | RecordsLayout | LookupLayout], type[_Located]]] = {
    ArrayLayout: ArrayType, TableLayout: TableType, ObjectLayout: ObjectType, RecordsLayout: RecordsType,
    LookupLayout: LookupType,
}  # fmt: skip


def _member_type(state: StateType, name: str) -> tuple[_Located, int] | None:
    """(numba type of a member, its offset in the shard); None where there is none of that name."""
    for member in (*state.layout.members, *state.layout.records, *state.layout.lookups):
        if member.name == name:
            return MEMBER_TYPES[type(member)](member, name, state.writable), getattr(member, "offset", 0)
    return None


@infer_getattr
class _StateAttributes(AttributeTemplate):  # type: ignore[misc]
    key = StateType

    def generic_resolve(self, state: StateType, name: str) -> _Located | None:
        found = _member_type(state, name)
        return found and found[0]


@lower_getattr_generic(StateType)
def _state_member(context, builder, state, value, name):  # type: ignore[no-untyped-def]
    found = _member_type(state, name)
    assert found is not None
    kind, offset = found
    whole = cgutils.create_struct_proxy(state)(context, builder, value=value)
    part = cgutils.create_struct_proxy(kind)(context, builder)
    if isinstance(kind, LookupType):
        place = builder.add(whole.lookups, context.get_constant(types.int64, 8 * kind.layout.index))
        part.address = builder.add(whole.lookups, emit_load(builder, place, 64))
        return part._getvalue()
    part.address = builder.add(whole.address, context.get_constant(types.int64, offset))
    part.journal = whole.journal
    return part._getvalue()


def _refuse(context: Any, builder: Any, kind: type[Exception], text: str) -> None:
    """Build the raise of an exception. In a `try`, the code goes on behind it, to where numba looks for exceptions."""
    convention = context.call_conv
    convention.set_static_user_exc(builder, kind, (text,), lowered_at())
    with builder.if_then(builder.not_(convention.check_try_status(builder).in_try)):
        convention._return_errcode_raw(builder, RETCODE_USEREXC)


@infer_global(len)
class _ArrayLength(AbstractTemplate):  # type: ignore[misc]
    def generic(self, args: Any, kws: Any) -> Any:
        return types.int64(*args) if len(args) == 1 and isinstance(args[0], ArrayType) else None


@lower_builtin(len, ArrayType)
def _array_len(context, builder, sig, args):  # type: ignore[no-untyped-def]
    return context.get_constant(types.int64, sig.args[0].layout.length)


@infer_global(operator.getitem)
class _ArrayItem(AbstractTemplate):  # type: ignore[misc]
    def generic(self, args: Any, kws: Any) -> Any:
        array, index = args
        if isinstance(array, ArrayType) and isinstance(index, types.Integer):
            return compiled_type(array.layout.scalar)(array, types.int64)
        return None


@infer_global(operator.setitem)
class _ArraySetItem(AbstractTemplate):  # type: ignore[misc]
    def generic(self, args: Any, kws: Any) -> Any:
        array, index, value = args
        if not isinstance(array, ArrayType) or not isinstance(index, types.Integer):
            return None
        if not array.writable:
            raise TypingError(
                f"prefetch cannot write to {array.layout.name}, nor can ahead: it is no part of the transaction"
            )
        reason = takes(array.layout.scalar, value)
        if reason:
            raise TypingError(f"zcframe: {array.layout.name} holds {array.layout.scalar.name}: {reason}")
        return types.void(array, types.int64, value)


def _element(context: Any, builder: Any, array: ArrayType, value: Any, index: Any) -> tuple[Any, Any, Any]:
    """(whether the index is one of the array's, the element's address, the journal's)."""
    place = cgutils.create_struct_proxy(array)(context, builder, value=value)
    inside = builder.icmp_unsigned("<", index, index.type(array.layout.length))
    offset = builder.mul(index, index.type(array.layout.scalar.size))
    return inside, builder.add(place.address, offset), place.journal


def _outside(array: ArrayType) -> str:
    return f"index out of range of state.{array.layout.name}, which has {array.layout.length}"


def _nowhere(row: RowType) -> str:
    return f"a row of {row.layout.name} that is not there: ask `if row:` first"


def _guarded(context: Any, builder: Any, holds: Any, kind: type[Exception], text: str, load: Any) -> Any:
    """What `load` builds where the condition holds; else the exception."""
    with builder.if_else(holds, likely=True) as (then, otherwise):
        with then:
            value = load()
            loaded = builder.block
        with otherwise:
            _refuse(context, builder, kind, text)
            refused = builder.block
    result = builder.phi(value.type)
    result.add_incoming(value, loaded)
    result.add_incoming(value.type(None if isinstance(value.type, ir.BaseStructType) else 0), refused)
    return result


@lower_builtin(operator.getitem, ArrayType, types.Integer)
def _array_get(context, builder, sig, args):  # type: ignore[no-untyped-def]
    array = sig.args[0]
    inside, address, _ = _element(context, builder, array, *args)

    def load() -> Any:
        return emit_value(context, builder, array.layout.scalar, address)

    return _guarded(context, builder, inside, IndexError, _outside(array), load)


@lower_builtin(operator.setitem, ArrayType, types.Integer, types.Any)
def _array_set(context, builder, sig, args):  # type: ignore[no-untyped-def]
    array, _, given = sig.args
    scalar = array.layout.scalar
    inside, address, journal = _element(context, builder, array, *args[:2])
    value = context.cast(builder, args[2], given, compiled_type(scalar))
    with builder.if_else(inside, likely=True) as (then, otherwise):
        with then:
            emit_change(context, builder, scalar, address, value, None if array.direct else journal)
        with otherwise:
            _refuse(context, builder, IndexError, _outside(array))
    return context.get_dummy_value()


@infer_getattr
class _RowAttributes(AttributeTemplate):  # type: ignore[misc]
    key = RowType

    def generic_resolve(self, row: RowType, name: str) -> types.Type | None:
        if name == "new":
            return types.boolean
        if any(one.name == name for one in row.layout.objects):
            return _row_object(row, name)
        kind = row.kind(name)
        if isinstance(kind, Repeated):
            return _repeated(row, name)
        return compiled_type(kind) if kind is not None else None


def _row_object(row: RowType, name: str) -> ObjectType:
    (layout,) = (one for one in row.layout.objects if one.name == name)
    return ObjectType(layout, f"{row.layout.name}.{name}", direct=not layout.large)


def _field(row: RowType, name: str) -> tuple[int, Kind]:
    return next((offset, kind) for field, offset, kind in row.layout.fields if field == name)


def _repeated(row: RowType, name: str) -> ArrayType:
    """A field of several scalars is an Array, journaled as those are."""
    offset, kind = _field(row, name)
    assert isinstance(kind, Repeated)
    return ArrayType(ArrayLayout(f"{row.layout.name}.{name}", offset, kind.scalar, kind.count), name)


@lower_getattr_generic(RowType)
def _row_get(context, builder, row, value, name):  # type: ignore[no-untyped-def]
    place = cgutils.create_struct_proxy(row)(context, builder, value=value)
    one = context.get_constant(types.int64, 1)
    if name == "new":
        return builder.trunc(builder.and_(place.new, one), cgutils.bool_t)
    if any(each.name == name for each in row.layout.objects):
        return _lower_row_object(context, builder, row, place, name)
    offset, kind = _field(row, name)
    there, address = _row_field(builder, place, offset)

    def load() -> Any:
        if not isinstance(kind, Repeated):
            return emit_value(context, builder, kind, address)
        part = cgutils.create_struct_proxy(_repeated(row, name))(context, builder)
        part.address, part.journal = address, place.journal
        return part._getvalue()

    return _guarded(context, builder, there, LookupError, _nowhere(row), load)


def _lower_row_object(context: Any, builder: Any, row: RowType, place: Any, name: str) -> Any:
    kind = _row_object(row, name)
    there, address = _row_field(builder, place, kind.layout.offset)
    part = cgutils.create_struct_proxy(kind)(context, builder)
    part.address = _guarded(context, builder, there, LookupError, _nowhere(row), lambda: address)
    part.journal = place.journal
    return part._getvalue()


def _row_field(builder: Any, place: Any, offset: int) -> tuple[Any, Any]:
    """(whether the row is there, the field's address). Behind `if row:`, LLVM knows the answer."""
    there = builder.icmp_unsigned("!=", place.address, place.address.type(0))
    return there, builder.add(place.address, place.address.type(offset))


def _lower_row_set(name: str) -> None:
    """Make `row.name = value` a store for whatever table has a field of that name; the journal has the row already."""

    @lower_setattr(RowType, name)
    def assign(context, builder, sig, args):  # type: ignore[no-untyped-def]
        row = sig.args[0]
        offset, kind = _field(row, name)
        place = cgutils.create_struct_proxy(row)(context, builder, value=args[0])
        there, address = _row_field(builder, place, offset)
        with builder.if_else(there, likely=True) as (then, otherwise):
            with then:
                emit_change(context, builder, kind, address, args[1], place.journal if kind.apart else None)
            with otherwise:
                _refuse(context, builder, LookupError, _nowhere(row))


_settable: set[str] = set()


def allow_fields(layout: StateLayout) -> None:
    """Register the value fields of a layout's tables for assignment; once per field name and process."""
    for member in layout.members:
        if isinstance(member, TableLayout):
            for name, _, _ in member.fields[len(member.keys) :]:
                if name not in _settable:
                    _settable.add(name)
                    _lower_row_set(name)


@infer_global(bool)
class _RowBool(AbstractTemplate):  # type: ignore[misc]
    def generic(self, args: Any, kws: Any) -> Any:
        return types.boolean(*args) if len(args) == 1 and isinstance(args[0], RowType) else None


@lower_builtin(bool, RowType)
def _row_bool(context, builder, sig, args):  # type: ignore[no-untyped-def]
    place = cgutils.create_struct_proxy(sig.args[0])(context, builder, value=args[0])
    return builder.icmp_unsigned("!=", place.address, place.address.type(0))


def _settings(kind: Any) -> dict[str, Any]:
    """The parameters of an object's declaration, which compiled code reads as constants."""
    return {name: value for name, value in kind.settings().items() if isinstance(value, int | float)}


@infer_getattr
class _ObjectAttributes(AttributeTemplate):  # type: ignore[misc]
    key = ObjectType

    def generic_resolve(self, place: ObjectType, name: str) -> types.Type | None:
        for array in place.layout.arrays:
            if array.name == name:
                return ArrayType(array, name, place.writable, place.direct)
        value = _settings(place.layout.kind).get(name)
        return None if value is None else types.float64 if isinstance(value, float) else types.int64


@lower_getattr_generic(ObjectType)
def _object_member(context, builder, place, value, name):  # type: ignore[no-untyped-def]
    array = next((one for one in place.layout.arrays if one.name == name), None)
    if array is None:
        constant = _settings(place.layout.kind)[name]
        return context.get_constant(types.float64 if isinstance(constant, float) else types.int64, constant)
    whole = cgutils.create_struct_proxy(place)(context, builder, value=value)
    part = cgutils.create_struct_proxy(ArrayType(array, name, place.writable, place.direct))(context, builder)
    part.address = builder.add(whole.address, context.get_constant(types.int64, array.offset))
    part.journal = whole.journal
    return part._getvalue()
