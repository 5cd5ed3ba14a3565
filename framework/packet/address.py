"""An IP address as one value of compiled code: two 64-bit patterns, of which IPv4's are those of ::ffff:a.b.c.d."""

from __future__ import annotations

import ipaddress
import operator
from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.core.imputils import lower_constant
from numba.extending import (
    intrinsic,
    make_attribute_wrapper,
    models,
    overload,
    register_model,
    typeof_impl,
)

from zcframe.framework.jit.compiler import inlined
from zcframe.framework.jit.part import FORCE

I64 = ir.IntType(64)
MAPPED_IPV4 = 0xFFFF << 32


class AddrType(types.Type):
    def __init__(self) -> None:
        super().__init__(name="zcframe.Addr")


addr_type = AddrType()


@register_model(AddrType)
class _AddrModel(models.StructModel):  # type: ignore[misc]
    def __init__(self, manager: Any, fe_type: Any) -> None:
        super().__init__(manager, fe_type, [("hi", types.int64), ("lo", types.int64)])


for _half in ("hi", "lo"):
    make_attribute_wrapper(AddrType, _half, _half)


def emit_addr(context: Any, builder: Any, hi: Any, lo: Any) -> Any:
    value = cgutils.create_struct_proxy(addr_type)(context, builder)
    value.hi, value.lo = hi, lo
    return value._getvalue()


@intrinsic
def make_addr(typingctx, hi, lo):  # type: ignore[no-untyped-def]
    """Address of these halves."""

    def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
        return emit_addr(context, builder, *args)

    return addr_type(types.int64, types.int64), codegen


@intrinsic
def _below(typingctx, a, b):  # type: ignore[no-untyped-def]
    """Whether the 128-bit number of one address is smaller than that of another."""

    def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
        wide = ir.IntType(128)
        numbers = []
        for value in args:
            hi, lo = (builder.zext(builder.extract_value(value, i), wide) for i in range(2))
            numbers.append(builder.or_(builder.shl(hi, wide(64)), lo))
        return builder.icmp_unsigned("<", *numbers)

    return types.boolean(addr_type, addr_type), codegen


@inlined
def _equal(a, b):  # type: ignore[no-untyped-def]
    return (a.hi ^ b.hi) | (a.lo ^ b.lo) == 0


def _overloaded(function: Any, implementation: Callable[[Any, Any], Any]) -> None:
    """Make the implementation what a function of two addresses does."""

    @overload(function, jit_options=FORCE)
    def _typed(a, b):  # type: ignore[no-untyped-def]
        return implementation if isinstance(a, AddrType) and isinstance(b, AddrType) else None


_overloaded(operator.eq, lambda a, b: _equal(a, b))
_overloaded(operator.ne, lambda a, b: not _equal(a, b))
_overloaded(operator.lt, lambda a, b: _below(a, b))
_overloaded(operator.gt, lambda a, b: _below(b, a))
_overloaded(operator.le, lambda a, b: not _below(b, a))
_overloaded(operator.ge, lambda a, b: not _below(a, b))
_overloaded(min, lambda a, b: b if _below(b, a) else a)
_overloaded(max, lambda a, b: b if _below(a, b) else a)


@typeof_impl.register(ipaddress.IPv4Address)
@typeof_impl.register(ipaddress.IPv6Address)
def _typeof(value, c):  # type: ignore[no-untyped-def]
    return addr_type


@lower_constant(AddrType)
def _lower(context, builder, kind, value):  # type: ignore[no-untyped-def]
    """A constant of the module, as ipaddress.ip_address("10.0.0.1") makes one."""
    number = int(value) | (MAPPED_IPV4 if value.version == 4 else 0)
    return emit_addr(context, builder, I64(number >> 64), I64(number & (1 << 64) - 1))
