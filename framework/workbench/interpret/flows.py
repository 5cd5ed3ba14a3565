"""A table of flows, and its rows: what they answer comes of the compiled functions of a run."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any, Final

import numpy as np
from numba.core import types

from zcframe.framework.jit.compiler import fleeting, precompile
from zcframe.framework.packet.plain import Address, View
from zcframe.framework.state.compiled import TableType, maker, row_maker
from zcframe.framework.state.flow.declare import ASKED
from zcframe.framework.state.layout import TableLayout
from zcframe.framework.state.tracking.verbs import FlowRowType, flow_maker, inner

from .memory import Memory
from .packet import INNER, READ, SCOPE, Packet
from .table import InterpretedRow, InterpretedTable, Search
from .typed import refusing

WORD: Final = (1 << 64) - 1
# What a flow answers, as whole numbers, in the order of what `of` leaves behind address and word `new`.
NUMBERS: Final = ("sport", "dport", "forward", "established", "closing", "closed")
ENDS: Final = ("src", "dst")
HALVES: Final = [f"{end}.{half}" for end in ENDS for half in ("hi", "lo")]
OF: Final = [
    "f = make_table(at, journal).of(pkt)",
    "out[0], out[1] = f._address, f._new",
    "if f:",
    *(f"    out[{place}] = f.{name}" for place, name in enumerate((*NUMBERS, *HALVES), 2)),
]
STREAM: Final = [
    "f = make_flow(make_row(at, 0, journal), new)",
    "data = f.stream(pkt)",
    "out[0], out[1] = data._address, data._length",
]
GAP: Final = ["f = make_flow(make_row(at, 0, journal), new)", "out[0] = f.gap"]


class FlowSearch(Search):
    """What a table of flows is asked, each compiled when it is called first."""

    def __init__(self, layout: TableLayout) -> None:
        super().__init__(layout)
        self.flow, self._out = FlowRowType(layout, layout.name), np.zeros(16, np.int64)
        self._asked: dict[tuple[str, int], Callable[..., None]] = {}
        self._scope = SCOPE | {
            "make_table": maker(TableType(layout, layout.name)),
            "make_row": row_maker(inner(layout)),
            "make_flow": flow_maker(layout),
        }

    def _compiled(self, lines: list[str]) -> Callable[..., None]:
        """Compiled function (address of a descriptor, of the blocks, of a place in state, journal, word `new`, out)."""
        scope = dict(self._scope)
        exec(READ.format(more="at, journal, new, ") + "".join(f"    {line}\n" for line in lines), scope)
        read: Any = fleeting(scope["read"])
        with refusing():
            precompile(read, *[types.int64] * 5, types.Array(types.int64, 1, "C"))
        return read  # type: ignore[no-any-return]

    def ask(self, lines: list[str], pkt: Packet, at: int, journal: int, new: int = 0) -> list[int]:
        """What these lines leave of the packet and a place in state."""
        desc, blocks, depth = pkt._place
        question = lines[-1], depth
        if question not in self._asked:
            self._asked[question] = self._compiled([INNER] * depth + lines)
        self._asked[question](desc, blocks, at, journal, new, self._out)
        return self._out.tolist()


class InterpretedFlow(InterpretedRow):
    """A flow; false where there is none. answers: by name, what it says of the packet that it was asked for."""

    def __init__(self, search: FlowSearch, memory: Memory, pkt: Packet, found: list[int]) -> None:
        address, word = found[:2]
        at = address - memory.address if address else 0
        super().__init__(search.flow, memory, at, new=bool(word & 1))
        answers: dict[str, Any] = dict(zip(NUMBERS, found[2:], strict=False))
        halves = found[2 + len(NUMBERS) :]
        for end, high, low in zip(ENDS, halves[::2], halves[1::2], strict=False):
            answers[end] = Address((high & WORD) << 64 | low & WORD)
        self.__dict__.update(_search=search, _word=word, _pkt=pkt, _answers=answers)

    def _ask(self, lines: list[str], pkt: Packet) -> list[int]:
        at, search = self._memory.address + self._at, self._search
        assert isinstance(search, FlowSearch)
        return search.ask(lines, pkt, at, self._memory.journal.address, self._word)

    def stream(self, pkt: Packet) -> View:
        self._require("last_ns")
        address, length = self._ask(STREAM, pkt)[:2]
        return View(ctypes.string_at(address, length))

    def __getattr__(self, name: str) -> Any:
        if name not in (*ASKED, *self._answers):
            return super().__getattr__(name)
        self._require("last_ns")
        return self._ask(GAP, self._pkt)[0] if name == "gap" else self._answers[name]


class InterpretedFlows(InterpretedTable):
    """state.NAME of Flows."""

    _search: FlowSearch

    def of(self, pkt: Packet) -> InterpretedFlow:
        at = self._memory.address + self._search.layout.offset
        found = self._search.ask(OF, pkt, at, self._memory.journal.address)
        return InterpretedFlow(self._search, self._memory, pkt, found)
