"""Calls of an author's functions that may raise: what comes back is a value, or where numba keeps the exception.

numba's own `try` forgets which exception it caught. Here the status that each compiled function returns is asked.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import types
from numba.core.errors import TypingError
from numba.core.types.containers import BaseTuple
from numba.core.typing.templates import Signature
from numba.extending import intrinsic

from .plugin import DROP, PASS, Verdict

I64 = ir.IntType(64)

# Outcomes of a filter, as numbers. The third one: it raised.
PASSED, DROPPED, FAULTED = int(PASS), int(DROP), 2


def is_verdict(returned: types.Type) -> bool:
    return isinstance(returned, types.IntEnumMember) and returned.instance_class is Verdict


def signature_of(typing: Any, function: Any, arguments: BaseTuple) -> Signature:
    """The signature by which a compiled function takes the values of a tuple."""
    return typing.resolve_function_type(function, tuple(arguments.types), {})


def emit_attempt(
    context: Any, builder: Any, function: Any, signature: Signature, arguments: BaseTuple, packed: Any
) -> tuple[Any, Any, Any]:
    """Build a call: (whether it raised, address of what numba keeps of the exception or 0, what it returned)."""
    compiled = function.dispatcher.overloads[signature.args]
    context.active_code_library.add_linking_library(compiled.library)
    values = [
        context.cast(builder, builder.extract_value(packed, i), given, taken)
        for i, (given, taken) in enumerate(zip(arguments.types, signature.args, strict=True))
    ]
    status, value = context.call_internal_no_propagate(builder, compiled.fndesc, signature, values)
    address = builder.ptrtoint(status.excinfoptr, I64)
    return status.is_error, builder.select(status.is_user_exc, address, I64(0)), value


def leave(builder: Any, raised: Any, address: Any, at: Any) -> None:
    """Build the store of an exception's address, where there is one."""
    with builder.if_then(raised, likely=False):
        builder.store(address, builder.inttoptr(at, I64.as_pointer()))


@intrinsic
def attempt(typingctx, function, at, arguments):  # type: ignore[no-untyped-def]
    """PASSED or DROPPED as a filter says; FAULTED where it raises: the exception's address is then left at `at`."""
    signature = signature_of(typingctx, function, arguments)
    if not is_verdict(signature.return_type):
        raise TypingError(f"filter returns {signature.return_type}: PASS or DROP is needed")

    def codegen(context, builder, outer, args):  # type: ignore[no-untyped-def]
        raised, address, value = emit_attempt(context, builder, function, signature, arguments, args[2])
        leave(builder, raised, address, args[1])
        dropped = builder.icmp_signed("==", value, value.type(int(DROP)))
        verdict = builder.select(dropped, I64(DROPPED), I64(PASSED))
        return builder.select(raised, I64(FAULTED), verdict)

    return types.int64(function, types.int64, arguments), codegen
