"""Flows as numba has them: `state.name.of(pkt)`, and what its rows answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from numba.core import cgutils, types
from numba.core.errors import TypingError
from numba.extending import intrinsic, overload_attribute, overload_method, register_model

from zcframe.framework.jit.compiler import outlined
from zcframe.framework.jit.part import FORCE
from zcframe.framework.packet.address import make_addr
from zcframe.framework.packet.flow import flow_key
from zcframe.framework.packet.value import PacketType
from zcframe.framework.packet.view import view_maker
from zcframe.framework.state.compiled import RowModel, RowType, TableType, maker, row_maker
from zcframe.framework.state.flow.columns import BEGAN_B
from zcframe.framework.state.flow.declare import KEPT, STREAM_WORDS
from zcframe.framework.state.layout import TABLE_EXPIRED, TableLayout
from zcframe.framework.state.probe import add_line
from zcframe.framework.state.table import scope_of, written_out
from zcframe.framework.state.values import octets_type

from .connection import BOTH, CLOSED, CLOSING, FORWARD, SECOND, SENT, is_over, note
from .stream import missing, position, take

make_view = view_maker(octets_type)


class FlowRowType(RowType):
    """A flow, as `of` hands it to an author; its word `new` also says who sent the packet (connection.py)."""

    def check_assigned(self, name: str, given: types.Type) -> None:
        if name in KEPT:
            raise TypingError(f"zcframe: {name} of a flow of {self.layout.name} is kept by the table: it cannot be set")
        super().check_assigned(name, given)


register_model(FlowRowType)(RowModel)


def inner(layout: TableLayout) -> TableLayout:
    """The table as it is to the functions here."""
    return replace(layout, flow=None)


def flow_maker(layout: TableLayout) -> Any:
    """Compiled function (row, word `new`) -> flow."""
    flow = FlowRowType(layout, layout.name)

    @intrinsic
    def make(typingctx, row, new):  # type: ignore[no-untyped-def]
        def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
            value = cgutils.create_struct_proxy(flow)(context, builder, value=args[0])
            value.new = args[1]
            return value._getvalue()

        return flow(row, types.int64), codegen

    return make


@intrinsic
def plain(typingctx, flow):  # type: ignore[no-untyped-def]
    """The row of a flow, as a table has it."""
    row = RowType(inner(flow.layout), flow.layout.name)

    def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
        return args[0]

    return row(flow), codegen


AGAIN = """\
base, journal = flows._address, flows._journal
write8(journal, base + {expired}, load8(base + {expired}) + 1)
{sums}
flows.delete(make_addr(a_hi, a_lo), make_addr(b_hi, b_lo), ports >> 16, ports & 0xFFFF, proto)
return flows.upsert(make_addr(a_hi, a_lo), make_addr(b_hi, b_lo), ports >> 16, ports & 0xFFFF, proto)
"""


def _again(layout: TableLayout) -> Any:
    """Compiled function: ends the flow of the row `free`, and begins another one over the same ends."""
    sums = [add_line(layout.sums_offset + offset, offset, kind) for _, offset, kind in layout.sums]
    lines = AGAIN.format(expired=TABLE_EXPIRED, sums="\n".join(sums)).splitlines()
    head = "flows, free, a_hi, a_lo, b_hi, b_lo, ports, proto"
    return outlined(written_out(head, lines, {**scope_of(layout), "make_addr": make_addr}))


def _of(layout: TableLayout) -> Callable[..., Any]:
    plain_layout, idle = inner(layout), layout.idle_ns
    make_table, make_row = maker(TableType(plain_layout, layout.name)), row_maker(plain_layout)
    make_flow, again = flow_maker(layout), _again(plain_layout)

    def of(table, pkt):  # type: ignore[no-untyped-def]
        flows = make_table(table._address, table._journal)
        ports, a_hi, a_lo, b_hi, b_lo, proto, direction = flow_key(pkt)
        side, new = direction - 1, 0
        if pkt.ip_version == 0:
            return make_flow(make_row(0, 0, table._journal), 0)
        row = flows.upsert(make_addr(a_hi, a_lo), make_addr(b_hi, b_lo), ports >> 16, ports & 0xFFFF, proto)
        if row:
            new = 1 if row.new else 0
            if new == 0 and is_over(row, pkt, side, idle):
                row, new = again(flows, row._address, a_hi, a_lo, b_hi, b_lo, ports, proto), 1
            new = note(row, pkt, side, new)
        return make_flow(row, new)

    return of


@overload_method(TableType, "of", jit_options=FORCE)
def _typed_of(table, pkt):  # type: ignore[no-untyped-def]
    layout = table.layout
    if layout.flow is None:
        return None
    if not table.writable:
        raise TypingError(f"prefetch cannot call {layout.name}.of(), nor can ahead: it is no part of the transaction")
    _require_packet(f"{layout.name}.of()", pkt)
    return _of(layout)


def _require_packet(verb: str, given: Any) -> None:
    if not isinstance(given, PacketType):
        raise TypingError(f"zcframe: {verb} takes pkt")


def _answer(name: str, function: Callable[[Any], Any]) -> None:
    """Make the function of a flow its attribute."""
    overload_attribute(FlowRowType, name, jit_options=FORCE)(lambda flow: function)


def _end_answers(name: str, one: str, other: str) -> None:
    """Make an attribute of the end that began, or of the other one, of what the key has in its own order."""
    scope: dict[str, Any] = {"plain": plain, "BEGAN_B": BEGAN_B}
    text = f"row.{other} if row._marks & BEGAN_B else row.{one}"
    exec(f"def end(flow):\n    row = plain(flow)\n    return {text}\n", scope)
    _answer(name, scope["end"])


for _one, _other in (("src", "dst"), ("sport", "dport")):
    _end_answers(_one, _one, _other)
    _end_answers(_other, _other, _one)

_answer("forward", lambda flow: flow._new & FORWARD != 0)
_answer("established", lambda flow: plain(flow)._marks & BOTH * SENT == BOTH * SENT)
_answer("closing", lambda flow: plain(flow).state >= CLOSING)
_answer("closed", lambda flow: plain(flow).state == CLOSED)


def _require_stream(layout: TableLayout, verb: str) -> None:
    if not layout.flow.stream:  # type: ignore[union-attr]
        raise TypingError(f"zcframe: {verb} of {layout.name}: no bytes are kept: declare Flows(..., stream=4096)")


@overload_attribute(FlowRowType, "gap", jit_options=FORCE)
def _gap(flow):  # type: ignore[no-untyped-def]
    _require_stream(flow.layout, "gap")
    return lambda flow: missing(plain(flow)._stream, 1 if flow._new & SECOND else 0)


@overload_method(FlowRowType, "stream", jit_options=FORCE)
def _stream(flow, pkt):  # type: ignore[no-untyped-def]
    layout = flow.layout
    _require_stream(layout, "stream()")
    _require_packet(f"stream() of a flow of {layout.name}", pkt)
    limit = layout.flow.stream
    offset = next(offset for name, offset, _ in layout.fields if name == "_bytes")

    def stream(flow, pkt):  # type: ignore[no-untyped-def]
        row, side, data = plain(flow), 1 if flow._new & SECOND else 0, pkt.payload
        words, buffer = row._stream, row._address + offset
        end = side * STREAM_WORDS
        if pkt.is_fragment == 0 and data._length > 0 and words[end] < limit:
            take(words, side, position(row, pkt, side), data._address, data._length, buffer, limit)
        return make_view(buffer + side * limit, words[end])

    return stream
