"""What the generated functions that tick are made of."""

from __future__ import annotations

from numba.core import types
from numba.core.errors import TypingError
from numba.extending import intrinsic

from zcframe.framework.chain.attempt import emit_attempt, leave, signature_of
from zcframe.framework.chain.fault import count_tick
from zcframe.framework.chain.handover import HAND, LINE, MARK
from zcframe.framework.jit.address import journal_store_u64, load_u64, work_load_u64, work_store_u64
from zcframe.framework.jit.compiler import inlined, outlined
from zcframe.framework.state.journal import ALONE, WRITE, begin

from .due import BACK_NS, NEVER

write_due = WRITE[8]


@intrinsic
def raises(typingctx, function, at, arguments):  # type: ignore[no-untyped-def]
    """Whether a function that returns nothing raises: the exception's address is then left at `at`."""
    signature = signature_of(typingctx, function, arguments)
    if signature.return_type != types.none:
        raise TypingError(f"tick returns {signature.return_type}: it returns nothing")

    def codegen(context, builder, outer, args):  # type: ignore[no-untyped-def]
        raised, address, _ = emit_attempt(context, builder, function, signature, arguments, args[2])
        leave(builder, raised, address, args[1])
        return raised

    return types.boolean(function, types.int64, arguments), codegen


@inlined
def is_due(ts, due, interval):  # type: ignore[no-untyped-def]
    """Whether a packet of this time begins another interval: also the first one, and where time goes back."""
    return ts >= due or ts < due - interval - BACK_NS


@inlined
def begin_alone(progress, journal, generation):  # type: ignore[no-untyped-def]
    """Begin the transaction of a tick without a packet: it counts until `generation` is followed by another one."""
    begin(journal, ALONE | generation)


@inlined
def keep_mark(ctx, at, line):  # type: ignore[no-untyped-def]
    """A transaction without packets: what this worker hands on later is as old as before."""
    book = ctx[at + HAND.books]
    work_store_u64(book + line + MARK, work_load_u64(book + (line ^ LINE) + MARK))


@inlined
def time_alone(ctx, at, line, now):  # type: ignore[no-untyped-def]
    """Time of what is emitted without a packet: not older than what was handed on."""
    return max(now, work_load_u64(ctx[at + HAND.books] + (line ^ LINE) + MARK))


__all__ = [
    "ALONE",
    "NEVER",
    "begin_alone",
    "count_tick",
    "is_due",
    "journal_store_u64",
    "keep_mark",
    "load_u64",
    "outlined",
    "raises",
    "time_alone",
    "write_due",
]
