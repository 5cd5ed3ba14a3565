"""The chain's loop in C, on the frames of a mix in memory."""

from __future__ import annotations

import ctypes
import time
from typing import Any

from .bench import Bench, NotMeasured
from .blocks import Blocks, load_blocks
from .table import Row
from .zchain import ZcChain

FLOWS, SIZES, TALKERS, SYNS = 1, 2, 4, 8
THREE_PLUGINS = FLOWS | SIZES | TALKERS
FRAMES = 1 << 17  # 256 MiB of blocks
FLOW_SLOTS = 1 << 18
RUNS = 15


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


def chain_rows(bench: Bench) -> list[Row]:
    """Decode and three plugins, ours against the same loop in C, each pass of one beside a pass of the other."""
    name = "chain: decode, flows, sizes, talkers, against gcc -O2"
    blocks = load_blocks(bench.mix().path, FRAMES)
    ours = ZcChain(["flows", "sizes", "talkers"], blocks)
    try:
        theirs = CChain(bench, THREE_PLUGINS)
    except NotMeasured as reason:
        return [Row(name, "Mpps", ours=FRAMES / ours.run() / 1e6, not_measured=str(reason))]
    pairs = [(ours.run(), theirs.run(blocks)) for _ in range(RUNS + 1)][1:]
    theirs.close()
    mine, other = (min(seconds) for seconds in zip(*pairs, strict=True))
    return [Row(name, "Mpps", ours=FRAMES / mine / 1e6, peer=FRAMES / other / 1e6, bar=0.8)]
