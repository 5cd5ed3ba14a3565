"""What is asked of a view's bytes: equal, begins with, where is. The C library compares and searches."""

from __future__ import annotations

import operator
from typing import Any

from llvmlite import ir
from numba.core import types
from numba.core.errors import TypingError
from numba.extending import intrinsic, overload, overload_method

from zcframe.framework.jit.compiler import inlined
from zcframe.framework.jit.part import FORCE

from .view import ViewType, is_octets, viewed

I8P = ir.IntType(8).as_pointer()
I32 = ir.IntType(32)
I64 = ir.IntType(64)


def _function(builder: Any, name: str, result: Any, *arguments: Any) -> Any:
    """A function of the C library that reads memory, and does nothing else."""
    module = builder.module
    found = module.globals.get(name)
    if found is None:
        found = ir.Function(module, ir.FunctionType(result, arguments), name)
        for attribute in ("nounwind", "readonly"):
            found.attributes.add(attribute)
    return found


@intrinsic
def same_bytes(typingctx, a, b, length):  # type: ignore[no-untyped-def]
    """Whether so many bytes at two addresses are equal. LLVM makes loads of it where the length is a small constant."""

    def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
        compare = _function(builder, "memcmp", I32, I8P, I8P, I64)
        pointers = [builder.inttoptr(address, I8P) for address in args[:2]]
        return builder.icmp_signed("==", builder.call(compare, [*pointers, args[2]]), I32(0))

    return types.boolean(types.int64, types.int64, types.int64), codegen


@intrinsic
def _search(typingctx, at, length, wanted, size):  # type: ignore[no-untyped-def]
    """Address of the first place in [at, at + length) where `size` bytes are those at `wanted`; 0 for none."""

    def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
        search = _function(builder, "memmem", I8P, I8P, I64, I8P, I64)
        at, wanted = (builder.inttoptr(args[i], I8P) for i in (0, 2))
        return builder.ptrtoint(builder.call(search, [at, args[1], wanted, args[3]]), I64)

    return types.int64(types.int64, types.int64, types.int64, types.int64), codegen


def _require_octets(name: str, wanted: Any) -> None:
    if not is_octets(wanted):
        raise TypingError(f"zcframe: {name}() of a view takes bytes, as b'GET ', or a view")


@overload_method(ViewType, "startswith", jit_options=FORCE)
def _startswith(view, prefix):  # type: ignore[no-untyped-def]
    _require_octets("startswith", prefix)

    def starts(view, prefix):  # type: ignore[no-untyped-def]
        wanted = viewed(prefix)
        return view._length >= wanted._length and same_bytes(view._address, wanted._address, wanted._length)

    return starts


@overload_method(ViewType, "endswith", jit_options=FORCE)
def _endswith(view, suffix):  # type: ignore[no-untyped-def]
    _require_octets("endswith", suffix)

    def ends(view, suffix):  # type: ignore[no-untyped-def]
        wanted = viewed(suffix)
        more = view._length - wanted._length
        return more >= 0 and same_bytes(view._address + more, wanted._address, wanted._length)

    return ends


@overload_method(ViewType, "find", jit_options=FORCE)
def _find(view, wanted, start=0):  # type: ignore[no-untyped-def]
    _require_octets("find", wanted)

    def find(view, wanted, start=0):  # type: ignore[no-untyped-def]
        sought = viewed(wanted)
        if start < 0:
            start = max(start + view._length, 0)
        if start > view._length:
            return -1
        at = _search(view._address + start, view._length - start, sought._address, sought._length)
        return at - view._address if at != 0 else -1

    return find


@overload(operator.contains, jit_options=FORCE)
def _contains(view, wanted):  # type: ignore[no-untyped-def]
    if isinstance(view, ViewType) and is_octets(wanted):
        return lambda view, wanted: view.find(wanted) >= 0


def _are_compared(a: Any, b: Any) -> bool:
    return is_octets(a) and is_octets(b) and (isinstance(a, ViewType) or isinstance(b, ViewType))


@inlined
def _equal_octets(a, b):  # type: ignore[no-untyped-def]
    one, other = viewed(a), viewed(b)
    return one._length == other._length and same_bytes(one._address, other._address, one._length)


@overload(operator.eq, jit_options=FORCE)
def _equal(a, b):  # type: ignore[no-untyped-def]
    if _are_compared(a, b):
        return lambda a, b: _equal_octets(a, b)


@overload(operator.ne, jit_options=FORCE)
def _differ(a, b):  # type: ignore[no-untyped-def]
    if _are_compared(a, b):
        return lambda a, b: not _equal_octets(a, b)
