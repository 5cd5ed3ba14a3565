"""A window onto bytes of a frame, or of state, that reads 0 past its end: no plugin can read outside of it.

A view is two words, address and length: to cut one costs no copy. What is compared or looked for may also be a bytes
constant.
"""

from __future__ import annotations

import operator
from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.core.errors import TypingError
from numba.core.imputils import RefType, iternext_impl, lower_builtin, lower_cast
from numba.core.types import IterableType
from numba.core.types.common import SimpleIteratorType
from numba.core.types.containers import Bytes
from numba.core.types.misc import EphemeralPointer, SliceType
from numba.extending import intrinsic, make_attribute_wrapper, models, overload, overload_method, register_model

from zcframe.framework.jit.address import below
from zcframe.framework.jit.emit.address import emit_load
from zcframe.framework.jit.part import FORCE

# Memory that views are of, as LLVM's alias analysis knows it (jit/address.py).
FRAMES = "rx"
STATE = "state"
CONSTANTS = ""


class ViewType(IterableType):
    """numba type of a view: two int64, address and length. region: the memory that it is of."""

    def __init__(self, region: str = FRAMES) -> None:
        self.region = region
        super().__init__(name="zcframe.View" if region == FRAMES else f"zcframe.View({region or 'constants'})")

    @property
    def iterator_type(self) -> Any:
        return ViewIterType(self.region)


class ViewIterType(SimpleIteratorType):
    """numba type of a loop over a view: address of the next byte, and the end."""

    def __init__(self, region: str) -> None:
        self.region = region
        super().__init__(name=f"zcframe.ViewIter({region})", yield_type=types.int64)


view_type = ViewType()
constant_type = ViewType(CONSTANTS)


@register_model(ViewType)
class _ViewModel(models.StructModel):  # type: ignore[misc]
    def __init__(self, manager: Any, fe_type: Any) -> None:
        super().__init__(manager, fe_type, [("address", types.int64), ("length", types.int64)])


@register_model(ViewIterType)
class _ViewIterModel(models.StructModel):  # type: ignore[misc]
    def __init__(self, manager: Any, fe_type: Any) -> None:
        # The loop moves on in place.
        super().__init__(manager, fe_type, [("at", EphemeralPointer(types.int64)), ("end", types.int64)])


make_attribute_wrapper(ViewType, "address", "_address")
make_attribute_wrapper(ViewType, "length", "_length")


def emit_view(context: Any, builder: Any, kind: ViewType, address: Any, length: Any) -> Any:
    view = cgutils.create_struct_proxy(kind)(context, builder)
    view.address, view.length = address, length
    return view._getvalue()


def view_maker(kind: ViewType) -> Any:
    """Compiled function (address, length) -> view of this type."""

    @intrinsic
    def make(typingctx, address, length):  # type: ignore[no-untyped-def]
        def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
            return emit_view(context, builder, kind, *args)

        return kind(types.int64, types.int64), codegen

    return make


make_view = view_maker(view_type)


@intrinsic
def cut(typingctx, view, start, length):  # type: ignore[no-untyped-def]
    """View of `length` bytes of a view from `start` on, which must lie in it."""

    def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
        address = builder.add(builder.extract_value(args[0], 0), args[1])
        return emit_view(context, builder, view, address, args[2])

    return view(view, types.int64, types.int64), codegen


def _make_word(bits: int, *, big_endian: bool) -> Any:
    @intrinsic
    def word(typingctx, view, index):  # type: ignore[no-untyped-def]
        def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
            address = builder.add(builder.extract_value(args[0], 0), args[1])
            return emit_load(builder, address, bits, big_endian=big_endian, region=view.region)

        return types.int64(view, types.int64), codegen

    return word


_byte = _make_word(8, big_endian=False)


@overload(len, jit_options=FORCE)
def _len(view):  # type: ignore[no-untyped-def]
    if isinstance(view, ViewType):
        return lambda view: view._length


@overload(bool, jit_options=FORCE)
def _bool(view):  # type: ignore[no-untyped-def]
    if isinstance(view, ViewType):
        return lambda view: view._length != 0


@overload(operator.getitem, jit_options=FORCE)
def _getitem(view, index):  # type: ignore[no-untyped-def]
    if not isinstance(view, ViewType):
        return None
    if isinstance(index, types.Integer):
        return lambda view, index: _byte(view, index) if below(index, view._length) else 0
    if not isinstance(index, SliceType):
        return None
    if index.has_step:
        raise TypingError("zcframe: a slice of a view has no step: write [start:stop]")

    def part(view, index):  # type: ignore[no-untyped-def]
        length = view._length
        start, stop = index.start, index.stop
        start = min(max(start + length, 0) if start < 0 else start, length)
        stop = min(max(stop + length, 0) if stop < 0 else stop, length)
        return cut(view, start, max(stop - start, 0))

    return part


def _word_verb(name: str, size: int, *, big_endian: bool) -> None:
    """Register view.NAME(i): a number of `size` bytes, of which those past the end are 0."""
    whole = _make_word(8 * size, big_endian=big_endian)

    def word(view, index):  # type: ignore[no-untyped-def]
        if below(index, view._length - size + 1) and view._length >= size:
            return whole(view, index)
        value, left = 0, view._length - index if below(index, view._length) else 0
        for i in range(size):
            octet = _byte(view, index + i) if i < left else 0
            value |= octet << (8 * (size - 1 - i) if big_endian else 8 * i)
        return value

    @overload_method(ViewType, name, jit_options=FORCE)
    def _verb(view, index):  # type: ignore[no-untyped-def]
        return word


for _size in (2, 4, 8):
    _word_verb(f"u{8 * _size}", _size, big_endian=True)
    _word_verb(f"u{8 * _size}le", _size, big_endian=False)


@lower_builtin("getiter", ViewType)
def _getiter(context, builder, sig, args):  # type: ignore[no-untyped-def]
    address, length = (builder.extract_value(args[0], i) for i in range(2))
    loop = cgutils.create_struct_proxy(sig.return_type)(context, builder)
    loop.at = cgutils.alloca_once_value(builder, address)
    loop.end = builder.add(address, length)
    return loop._getvalue()


@lower_builtin("iternext", ViewIterType)
@iternext_impl(RefType.UNTRACKED)
def _iternext(context, builder, sig, args, result):  # type: ignore[no-untyped-def]
    (kind,) = sig.args
    loop = cgutils.create_struct_proxy(kind)(context, builder, value=args[0])
    at = builder.load(loop.at)
    more = builder.icmp_unsigned("<", at, loop.end)
    result.set_valid(more)
    with builder.if_then(more):
        result.yield_(emit_load(builder, at, 8, region=kind.region))
        builder.store(builder.add(at, at.type(1)), loop.at)


@lower_cast(ViewType, ViewType)
def _recast(context, builder, fromty, toty, value):  # type: ignore[no-untyped-def]
    """The same bytes: a type says no more than what LLVM may assume."""
    return value


@lower_cast(Bytes, ViewType)
def _constant(context, builder, fromty, toty, value):  # type: ignore[no-untyped-def]
    octets = cgutils.create_struct_proxy(fromty)(context, builder, value=value)
    address = builder.ptrtoint(octets.data, ir.IntType(64))
    return emit_view(context, builder, toty, address, octets.nitems)


@intrinsic
def viewed(typingctx, octets):  # type: ignore[no-untyped-def]
    """The view that it is, or that of a bytes constant."""
    kind = octets if isinstance(octets, ViewType) else constant_type

    def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
        return context.cast(builder, args[0], octets, kind)

    return kind(octets), codegen


def is_octets(kind: types.Type) -> bool:
    """Whether values of a numba type are views, or bytes constants."""
    return isinstance(kind, ViewType | Bytes)
