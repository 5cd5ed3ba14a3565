"""Our compiled chain against loops in C, on the frames of a mix in memory."""

from __future__ import annotations

import ctypes
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from .bench import Bench, NotMeasured
from .blocks import Blocks, load_blocks
from .cplugins import CPlugins, check_same
from .rounds import Spread, in_turns
from .table import Row
from .zchain import ZcChain

FLOWS, SIZES, TALKERS, SYNS = 1, 2, 4, 8
THREE_PLUGINS = FLOWS | SIZES | TALKERS
FRAMES = 1 << 17  # 256 MiB of blocks
FLOW_SLOTS = 1 << 18
FEW_FRAMES = 1 << 12
# Packets of one measurement, at least; a pass takes milliseconds, so that there can be many.
PASSED = 1 << 16
ROUNDS_IN_MEMORY = 3
NATIVE = ("-O3", "-march=native")
EIGHT = (
    "flows",
    "sizes",
    "talkers",
    "dns",
    "synflood",
    "benchmarks.plugins:Protocols",
    "benchmarks.plugins:Ports",
    "benchmarks.plugins:Hops",
)


class Totals(ctypes.Structure):
    """struct totals of chain.c."""

    NAMES = ("packets", "flows", "flow_packets", "flow_bytes", "sized", "talker_bytes", "syns", "lost")
    _fields_ = [(name, ctypes.c_uint64) for name in NAMES]


class CChain:
    """chain.c compiled with a choice of plugins, and one state of it. Raises NotMeasured where gcc is missing."""

    def __init__(self, bench: Bench, plugins: int, flow_slots: int = FLOW_SLOTS) -> None:
        library = bench.compile("chain.c", "-fPIC", "-shared", f"-DZC_PLUGINS={plugins}")
        self._c = ctypes.CDLL(str(library))
        self._c.state_new.restype = ctypes.c_void_p
        self._c.state_new.argtypes = [ctypes.c_uint64]
        self._c.state_free.argtypes = [ctypes.c_void_p]
        self._c.state_read.argtypes = [ctypes.c_void_p, ctypes.POINTER(Totals)]
        self._c.run.restype = ctypes.c_uint64
        self._c.run.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint32, ctypes.c_void_p]
        self._state: Any = self._c.state_new(flow_slots)

    def run(self, blocks: Blocks) -> float:
        """Take every frame once; returns seconds."""
        descriptors, memory = blocks.descriptors.ctypes.data, blocks.memory.ctypes.data
        start = time.perf_counter()
        self._c.run(descriptors, memory, len(blocks), self._state)
        return time.perf_counter() - start

    def totals(self) -> Totals:
        totals = Totals()
        self._c.state_read(self._state, ctypes.byref(totals))
        return totals

    def close(self) -> None:
        self._c.state_free(self._state)
        self._state = None


def _three_plugins(bench: Bench) -> list[Row]:
    """Decode and three plugins, against the plain loop in C and against C that does all that the plugins do."""
    blocks = load_blocks(bench.mix().path, FRAMES)
    ours = ZcChain(["flows", "sizes", "talkers"], blocks)
    plain = CChain(bench, THREE_PLUGINS)
    same, native = CPlugins(bench, ours), CPlugins(bench, ours, *NATIVE)
    rates = _rates(bench, ours, plain, same, native)
    plain.close()
    return [
        Row("chain: flows, sizes, talkers, against gcc -O2", "Mpps", rates[0], rates[1], 0.85, aim=1.0),
        Row("chain: flows, sizes, talkers, against C of the same plugins", "Mpps", rates[0], rates[2]),
        Row("chain: flows, sizes, talkers, against the same, gcc -O3 -march=native", "Mpps", rates[0], rates[3]),
    ]


def _eight_plugins(bench: Bench) -> list[Row]:
    """Eight plugins on frames of few flows, against the same plugins in C."""
    mixed = load_blocks(bench.mix().path, FEW_FRAMES)
    ours = ZcChain(EIGHT, mixed)
    same, native = CPlugins(bench, ours), CPlugins(bench, ours, *NATIVE)
    rates = _rates(bench, ours, same, native)
    return [
        Row("chain of 8 plugins, few flows, against the same in C", "Mpps", rates[0], rates[1], 0.85, aim=1.0),
        Row("chain of 8 plugins, against the same, gcc -O3 -march=native", "Mpps", rates[0], rates[2]),
    ]


def _rates(bench: Bench, ours: ZcChain, *theirs: CChain | CPlugins) -> list[Spread]:
    """Mpps of passes in turns, ours first; the plugins in C have to count what ours do. Raises Differs."""
    passes = max(1, PASSED // ours.count)
    takers = (ours.run, *(partial(c.run, ours.blocks) for c in theirs))
    # The first pass fills tables and caches.
    measures = [partial(_several, passes, take) for take in takers]
    in_turns(1, *measures)
    seconds = in_turns(ROUNDS_IN_MEMORY * bench.rounds, *measures)
    for c in theirs:
        if isinstance(c, CPlugins):
            check_same(c, ours)
    return [Spread(values).per(passes * ours.count / 1e6) for values in seconds]


def _several(passes: int, take: Callable[[], float]) -> float:
    return sum(take() for _ in range(passes))


def chain_rows(bench: Bench) -> list[Row]:
    """Our compiled chain against loops in C, each pass of one beside a pass of the other."""
    try:
        return [*_three_plugins(bench), *_eight_plugins(bench)]
    except NotMeasured as reason:
        return [Row("chain against gcc -O2", "Mpps", not_measured=str(reason))]
