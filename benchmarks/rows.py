"""What it costs a worker to emit a record, and a writer to make a line of it."""

from __future__ import annotations

import mmap
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from zcframe import PASS, Records, addr, plugin, text, u16, u64
from zcframe.framework import abi
from zcframe.framework.chain.bound import BoundPlugin
from zcframe.framework.chain.build import build_chain
from zcframe.framework.chain.handover import BOOK, ROWS, HandOver
from zcframe.framework.outputs.output import OutputSpec
from zcframe.framework.outputs.rows.csv_lines import Csv
from zcframe.framework.outputs.rows.json_lines import Json
from zcframe.framework.outputs.rows.kind import record_kinds
from zcframe.framework.outputs.rows.output import Rows
from zcframe.framework.outputs.sink import Pieces
from zcframe.framework.outputs.taken import RowsTaken
from zcframe.framework.ring import Mirror, make_memory

from .bench import Bench
from .blocks import Blocks, make_blocks
from .handover import FRAMES, NEVER_FULL, RING, ROUNDS, endless, frames_of
from .rounds import Spread, in_turns
from .table import Row
from .zchain import ZcChain


@plugin(name="rows", per="worker")
class Numbers:
    """A record of numbers for each packet."""

    log = Records(ts=u64, port=u16)

    @staticmethod
    def filter(pkt, state, params):  # type: ignore[no-untyped-def]
        state.log.emit(ts=pkt.ts, port=pkt.dport)
        return PASS


@plugin(name="rows", per="worker")
class Requests:
    """A record as of a request, with 20 bytes of text, for each packet."""

    log = Records(ts=u64, src=addr, port=u16, method=text(8), path=text(2048))

    @staticmethod
    def filter(pkt, state, params):  # type: ignore[no-untyped-def]
        state.log.emit(ts=pkt.ts, src=pkt.src, port=pkt.dport, method=b"GET", path=b"/index.html?q=abc")
        return PASS


@plugin(name="rows", per="worker")
class Silent:
    """What the others do beside emitting."""

    @staticmethod
    def filter(pkt, state, params):  # type: ignore[no-untyped-def]
        return PASS


class EmittingChain(ZcChain):
    """A chain whose records find room always. asked: whether somebody reads them."""

    def __init__(self, name: str, blocks: Blocks, *, asked: bool = True) -> None:
        output = HandOver(ROWS)
        super().__init__([f"{__name__}:{name}"], blocks, [output])
        self.chain = build_chain(self.plugins, outputs=[output])
        self._books: Any = np.frombuffer(mmap.mmap(-1, BOOK + abi.PAGE_SIZE), np.uint8)
        self._reads = np.full(1, NEVER_FULL, np.int64)
        self.rings = Mirror(make_memory("zc-bench-rows", RING), 0, RING, 1, writable=True)
        words = endless(self._books, self.rings, self._reads)
        self._ctx = np.array([*self._ctx, *RowsTaken(1, [0], asked).words(words)], np.int64)


def _cost(bench: Bench, name: str, *, asked: bool = True) -> Spread:
    """ns that a packet costs more than with a plugin that emits nothing, of rounds in turns."""
    blocks = make_blocks(frames_of(64), FRAMES)
    bare, emitting = ZcChain([f"{__name__}:Silent"], blocks), EmittingChain(name, blocks, asked=asked)
    in_turns(2, bare.run, emitting.run)
    rounds = [in_turns(ROUNDS, bare.run, emitting.run) for _ in range(bench.rounds)]
    return Spread(tuple((min(with_it) - min(without)) / FRAMES * 1e9 for without, with_it in rounds))


def _line_cost(bench: Bench, cls: type[Rows]) -> Spread:
    """ns of CPU that a writer takes for a line of Requests."""
    chain = EmittingChain("Requests", make_blocks(frames_of(64), FRAMES))
    chain.run()
    size = record_size(chain.plugins[0])
    output = cls(OutputSpec("", "-", {}, ""), (), 0, record_kinds(chain.plugins), [0])
    form: Callable[[Pieces], Pieces] | None = output._form
    assert form is not None
    pieces = Pieces(np.array([chain.rings.at(0), FRAMES * size], np.int64), 1, FRAMES * size, FRAMES)
    costs = []
    for _ in range(bench.rounds):
        began = time.process_time()
        form(pieces)
        costs.append((time.process_time() - began) / FRAMES * 1e9)
    return Spread(tuple(costs))


def record_size(found: BoundPlugin) -> int:
    """Bytes of a record of Requests."""
    return found.layout.records[0].fixed + 20 + 7 & ~7


def row_rows(bench: Bench) -> list[Row]:
    """ns of a record, in the worker and in the writer."""
    return [
        Row("emitting a record of two numbers", "ns", _cost(bench, "Numbers"), None, None, True),
        Row("emitting a record with an address and two texts", "ns", _cost(bench, "Requests"), None, None, True),
        Row("the same where there is no --rows", "ns", _cost(bench, "Requests", asked=False), None, None, True),
        Row("a line of JSON of it, in the writer", "ns", _line_cost(bench, Json), None, None, True),
        Row("a line of CSV of it, in the writer", "ns", _line_cost(bench, Csv), None, None, True),
    ]
