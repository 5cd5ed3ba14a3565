"""A window onto bytes of a frame that reads 0 past its end, so that no plugin can read outside the block."""

from __future__ import annotations

import operator
from typing import Any

from numba.core import cgutils, types
from numba.extending import intrinsic, make_attribute_wrapper, models, overload, overload_method, register_model

from zcframe.framework.jit.address import below, rx_load_be16, rx_load_be32, rx_load_u8
from zcframe.framework.jit.part import FORCE


class ViewType(types.Type):
    """numba type of a view: two int64, address and length."""

    def __init__(self) -> None:
        super().__init__(name="zcframe.View")


view_type = ViewType()


@register_model(ViewType)
class _ViewModel(models.StructModel):  # type: ignore[misc]
    def __init__(self, manager: Any, fe_type: Any) -> None:
        super().__init__(manager, fe_type, [("address", types.int64), ("length", types.int64)])


make_attribute_wrapper(ViewType, "address", "_address")
make_attribute_wrapper(ViewType, "length", "_length")


@intrinsic
def make_view(typingctx, address, length):  # type: ignore[no-untyped-def]
    """View of `length` bytes at `address`."""

    def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
        view = cgutils.create_struct_proxy(view_type)(context, builder)
        view.address, view.length = args
        return view._getvalue()

    return view_type(types.int64, types.int64), codegen


@overload(len, jit_options=FORCE)
def _len(view):  # type: ignore[no-untyped-def]
    if isinstance(view, ViewType):
        return lambda view: view._length


@overload(operator.getitem, jit_options=FORCE)
def _getitem(view, index):  # type: ignore[no-untyped-def]
    if isinstance(view, ViewType) and isinstance(index, types.Integer):

        def byte(view, index):  # type: ignore[no-untyped-def]
            return rx_load_u8(view._address + index) if below(index, view._length) else 0

        return byte


@overload_method(ViewType, "u16", jit_options=FORCE)
def _u16(view, index):  # type: ignore[no-untyped-def]
    def word(view, index):  # type: ignore[no-untyped-def]
        if below(index, view._length - 1) and view._length > 1:
            return rx_load_be16(view._address + index)
        return view[index] << 8

    return word


@overload_method(ViewType, "u32", jit_options=FORCE)
def _u32(view, index):  # type: ignore[no-untyped-def]
    def word(view, index):  # type: ignore[no-untyped-def]
        if below(index, view._length - 3) and view._length > 3:
            return rx_load_be32(view._address + index)
        if not below(index, view._length):
            return 0
        return view[index] << 24 | view[index + 1] << 16 | view[index + 2] << 8 | view[index + 3]

    return word
