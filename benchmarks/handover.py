"""What it costs a worker to hand a frame on."""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from typing import Any

import numpy as np

from zcframe.framework import abi
from zcframe.framework.chain.build import build_chain
from zcframe.framework.chain.handover import BOOK, HandOver, HandOverContext, Shedding, flow_places
from zcframe.framework.ring import Mirror, make_memory

from .bench import Bench
from .blocks import Blocks, make_blocks
from .rounds import Spread, in_turns
from .table import Row
from .zchain import ZcChain

# As many as a ring of the default size holds.
FRAMES = 4096
RING = 1 << 20
ROUNDS = 20
# Bytes of a frame, and the most that its hand-over may cost, ns.
BARS = {64: 25.0, 512: None, 1514: 80.0}
NEVER_FULL = 1 << 62
# As --shunt does, with no flow that is so long.
NEVER_SHED = Shedding("off", 10, 1 << 50)


def frames_of(size: int) -> Iterator[tuple[int, int, bytes]]:
    """UDP between many addresses."""
    for i in range(FRAMES):
        ends = (0x0A000000 + i % 1000).to_bytes(4, "big") + (0x0B000000 + i % 77).to_bytes(4, "big")
        ip = b"\x45\0" + (size - 14).to_bytes(2, "big") + b"\0\0\0\0\x40\x11\0\0" + ends
        frame = b"\x02" * 12 + b"\x08\0" + ip + b"\0\x35\0\x35" + (size - 34).to_bytes(2, "big") + b"\0\0"
        yield 17 * 10**17 + i * 1000, size, frame + bytes(size - len(frame))


def endless(books: np.ndarray[Any, Any], rings: Mirror, reads: np.ndarray[Any, Any]) -> HandOverContext:
    """What a chain is told of an output that always has room."""
    return HandOverContext(
        books=books.ctypes.data,
        data=rings.at(0),
        reads=reads.ctypes.data,
        mask=RING - 1,
        stride=2 * RING,
        reads_stride=abi.CACHE_LINE,
        shares=1,
        waits=1,
        snaplen=1 << 18,
        ident=0,
        table=0,
    )


class HandingChain(ZcChain):
    """A chain without plugins that hands every frame on, and never waits for its writer. shedding: by flows, too."""

    def __init__(self, blocks: Blocks, shedding: Shedding | None = None) -> None:
        output = HandOver("pcap", shedding=shedding)
        super().__init__([], blocks, [output])
        self.chain = build_chain(self.plugins, outputs=[output])
        self._books: Any = np.frombuffer(mmap.mmap(-1, BOOK), np.uint8)
        self._reads = np.full(1, NEVER_FULL, np.int64)
        self._rings = Mirror(make_memory("zc-bench-out", RING), 0, RING, 1, writable=True)
        words = endless(self._books, self._rings, self._reads)
        if shedding is not None:
            (place,) = flow_places(0, [output]).values()
            words = shedding.words(words, self.state.address(place))
        self._ctx = np.array([*self._ctx, *words], np.int64)


def _cost(bench: Bench, size: int, shedding: Shedding | None = None) -> Spread:
    """ns that a frame costs more than without the output, of rounds in turns."""
    blocks = make_blocks(frames_of(size), FRAMES)
    bare, handing = ZcChain([], blocks), HandingChain(blocks, shedding)
    in_turns(2, bare.run, handing.run)
    rounds = [in_turns(ROUNDS, bare.run, handing.run) for _ in range(bench.rounds)]
    return Spread(tuple((min(with_it) - min(without)) / FRAMES * 1e9 for without, with_it in rounds))


def handover_rows(bench: Bench) -> list[Row]:
    """ns a frame of the hand-over."""
    costs = [Row(f"handing on a frame of {n} B", "ns", _cost(bench, n), None, bar, True) for n, bar in BARS.items()]
    known = Row("handing on a frame of 64 B of a known flow", "ns", _cost(bench, 64, NEVER_SHED), None, None, True)
    return [*costs, known]
