"""Compiled entry points that compiled code calls by their address, so that neither is compiled with the other."""

from __future__ import annotations

from typing import Any, Final

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from .compiler import precompile

WORDS: Final = types.Array(types.int64, 1, "C")
I64: Final = ir.IntType(64)


def address_of(function: Any) -> int:
    """Address of the machine code of an entry point (words) -> int64, which raises nothing; valid in forks, too."""
    precompile(function, WORDS)
    result = function.overloads[(WORDS,)]
    return int(result.library.get_pointer_to_function(result.fndesc.llvm_func_name))


@intrinsic
def call_at(typingctx, address, words):  # type: ignore[no-untyped-def]
    """What the entry point at an address returns for these words."""

    def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
        convention = context.call_conv
        kind = convention.get_function_type(types.int64, (WORDS,))
        function = builder.inttoptr(args[0], ir.PointerType(kind))
        _, value = convention.call_function(builder, function, types.int64, (WORDS,), [args[1]])
        return value

    return types.int64(types.int64, WORDS), codegen
