"""`state.NAME.emit(FIELD=value, ...)`, as numba takes it: a function is written out for each kind of record."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any, Final

from llvmlite import ir
from numba.core import types
from numba.core.errors import TypingError
from numba.core.imputils import lower_builtin
from numba.core.types.misc import VarArg
from numba.core.typing.templates import AttributeTemplate, Signature, bound_function, signature
from numba.extending import infer_getattr

from zcframe.framework.chain.handover import WORDS
from zcframe.framework.jit.address import (
    copy_bytes,
    journal_load_u64,
    swap_bytes,
    work_store_u8,
    work_store_u16,
    work_store_u32,
    work_store_u64,
)
from zcframe.framework.jit.compiler import outlined
from zcframe.framework.jit.part import call_part
from zcframe.framework.state.compiled import RecordsType
from zcframe.framework.state.journal import NOW, ROWS
from zcframe.framework.state.kinds import Addr, Kind, Octets, text
from zcframe.framework.state.records import RecordsLayout
from zcframe.framework.state.values import compiled_type, takes, text_length

from .desk import DESK, claim

STORES: Final = {1: work_store_u8, 2: work_store_u16, 4: work_store_u32, 8: work_store_u64}
SCOPE: Final[dict[str, Any]] = {
    "__name__": __name__,
    "claim": claim,
    "copy_bytes": copy_bytes,
    "journal_load_u64": journal_load_u64,
    "swapped": swap_bytes,
    "text_length": text_length,
    "NOW": NOW,
    "BASE": ROWS + DESK.base * 8,
    "OUTPUTS": ROWS + DESK.outputs * 8,
    "FIRST": ROWS + DESK.desk * 8,
    "NEXT": WORDS * 8,
    **{f"store{size}": store for size, store in STORES.items()},
}

TEMPLATE: Final = """\
def emit(journal, {arguments}):
    number, ts = journal_load_u64(journal + BASE) + {index}, journal_load_u64(journal + NOW)
    words, size, cut = journal_load_u64(journal + FIRST), {fixed}, 0
{lengths}
    for _ in range(journal_load_u64(journal + OUTPUTS)):
        at = claim(journal, words, number, ts, size + 7 & ~7, cut)
        if at != 0:
            end = at + {fixed}
{stores}
        words += NEXT
"""

LENGTH: Final = """\
    n{i} = max({cut}, 0)
    size += n{i}
    cut |= f{i}._length > {limit}
"""


def _length(i: int, kind: Octets) -> str:
    """Statements that find the length of field i."""
    plain = f"min(f{i}._length, {kind.limit})"
    cut = f"text_length(f{i}._address, f{i}._length, {kind.limit})" if isinstance(kind, text) else plain
    return LENGTH.format(i=i, limit=kind.limit, cut=cut)


def _stores(i: int, kind: Kind, offset: int) -> list[str]:
    """Statements that put field i into the record at `at`."""
    place = f"at + {offset}"
    if isinstance(kind, Octets):
        return [f"store2({place}, n{i})", f"copy_bytes(end, f{i}._address, n{i})", f"end += n{i}"]
    if isinstance(kind, Addr):
        return [f"store8({place}, swapped(f{i}.hi))", f"store8({place} + 8, swapped(f{i}.lo))"]
    return [f"store{kind.size}({place}, f{i})"]


def _emitter(layout: RecordsLayout) -> Any:
    """Compiled function (journal, value of each field): puts a record together."""
    kinds = [kind for _, kind in layout.fields]
    lengths = "".join(_length(i, kind) for i, kind in enumerate(kinds) if isinstance(kind, Octets))
    stores = [line for i, kind in enumerate(kinds) for line in _stores(i, kind, layout.offsets[i])]
    source = TEMPLATE.format(
        arguments=", ".join(f"f{i}" for i in range(len(kinds))),
        index=layout.index,
        fixed=layout.fixed,
        lengths=lengths,
        stores="\n".join(f"            {line}" for line in stores),
    )
    scope = dict(SCOPE)
    exec(source, scope)
    return outlined(scope["emit"])


def in_order(layout: RecordsLayout, args: Sequence[types.Type], kws: dict[str, types.Type]) -> list[types.Type]:
    """The type of each field's value. Raises TypingError where one is missing, or is no field's."""
    names, verb = [name for name, _ in layout.fields], f"zcframe: {layout.name}.emit()"
    if args:
        raise TypingError(f"{verb} takes its values by name: {', '.join(f'{name}=...' for name in names)}")
    for name in kws:
        if name not in names:
            raise TypingError(f"{verb} has no field {name}: its fields are {', '.join(names)}")
    for name, kind in layout.fields:
        if name not in kws:
            raise TypingError(f"{verb} needs a value for {name}: its fields are {', '.join(names)}")
        if reason := takes(kind, kws[name]):
            raise TypingError(f"{verb} has {name} as {kind.name}: {reason}")
    return [compiled_type(kind) for _, kind in layout.fields]


@infer_getattr
class _RecordsAttributes(AttributeTemplate):  # type: ignore[misc]
    key = RecordsType

    @bound_function("zcframe.emit")  # type: ignore[untyped-decorator]
    def resolve_emit(self, records: RecordsType, args: Any, kws: Any) -> Signature:
        layout = records.layout
        if not records.writable:
            raise TypingError(f"prefetch cannot emit {layout.name}, nor can ahead: it is no part of the transaction")
        taken = in_order(layout, args, dict(kws))
        kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
        pysig = inspect.Signature([inspect.Parameter(name, kind) for name, _ in layout.fields])
        return signature(types.none, *taken, recvr=records).replace(pysig=pysig)


def _plain(builder: Any, given: types.Type, value: Any) -> tuple[types.Type, Any]:
    """(type, value) of a field as the function takes it: of a float its bits."""
    return (types.int64, builder.bitcast(value, ir.IntType(64))) if given == types.float64 else (given, value)


@lower_builtin("zcframe.emit", RecordsType, VarArg(types.Any))
def _emit(context, builder, sig, args):  # type: ignore[no-untyped-def]
    records, *given = sig.args
    plain = [_plain(builder, kind, value) for kind, value in zip(given, args[1:], strict=True)]
    part = types.void(types.int64, *(kind for kind, _ in plain))
    journal = builder.extract_value(args[0], 1)
    call_part(context, builder, _emitter(records.layout), part, [journal, *(value for _, value in plain)])
    return context.get_dummy_value()
