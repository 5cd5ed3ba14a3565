"""tcpdump expressions: our native code against libpcap's interpreter, on the frames of a mix in memory."""

from __future__ import annotations

import ctypes
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from zcframe.framework import abi
from zcframe.framework.chain.parts import stripped_tag
from zcframe.framework.errors import LibpcapError
from zcframe.framework.filters.libpcap import compile_expression
from zcframe.framework.filters.native import predicate
from zcframe.framework.filters.program import Program
from zcframe.framework.jit.address import load_u16, load_u32
from zcframe.framework.jit.compiler import fleeting

from .bench import Bench, NotMeasured
from .blocks import Blocks, load_blocks
from .rounds import Spread, in_turns
from .table import Row

# So few, and without gaps, that the cache holds them: what is measured are the filters, not the memory.
FRAMES = 1 << 12
PASSES = 16
ROUNDS_IN_MEMORY = 5
BAR = 4.0
EXPRESSIONS = {
    "one port": "tcp port 443",
    "hosts, ports and flags": (
        "(tcp and (port 80 or port 443 or port 8080) or udp port 53) and not net 10.0.0.0/8 and ip[8] > 1"
    ),
    "ten networks": " or ".join(f"net 10.{i}.0.0/16" for i in range(10)),
}


def _dense(blocks: Blocks) -> Blocks:
    """The same frames one behind the other, each from the beginning of a cache line."""
    descriptors = blocks.descriptors.copy()
    lines = -(-descriptors["len"].astype(np.int64) // abi.CACHE_LINE)
    ends = np.cumsum(lines) * abi.CACHE_LINE
    memory = np.zeros(int(ends[-1]), np.uint8)
    descriptors["offset"] = ends - lines * abi.CACHE_LINE
    for old, new in zip(blocks.descriptors, descriptors, strict=True):
        begin, length = int(old["offset"]), int(old["len"])
        memory[int(new["offset"]) :][:length] = blocks.memory[begin : begin + length]
    return Blocks(descriptors, memory)


def _ours(program: Program, blocks: Blocks) -> Callable[[], int]:
    match: Any = predicate(program)

    @fleeting
    def run(descriptors, memory, count):  # type: ignore[no-untyped-def]
        matched = 0
        for i in range(count):
            desc = descriptors + i * abi.DESC_SIZE
            frame, wire = memory + load_u32(desc + abi.DESC_OFFSET), load_u32(desc + abi.DESC_WIRE_LEN)
            matched += match(frame, load_u16(desc + abi.DESC_LEN), wire, stripped_tag(desc))
        return matched

    taken: Any = run
    return lambda: int(taken(blocks.descriptors.ctypes.data, blocks.memory.ctypes.data, len(blocks)))


def _theirs(bench: Bench, program: Program, blocks: Blocks) -> Callable[[], int]:
    """Raises NotMeasured where gcc or libpcap's headers are missing."""
    library = ctypes.CDLL(str(bench.compile("filter.c", "-fPIC", "-shared", libraries=("-lpcap",))))
    library.run.restype = ctypes.c_uint64
    library.run.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint32, ctypes.c_char_p]
    descriptors, memory, octets = blocks.descriptors.ctypes.data, blocks.memory.ctypes.data, program.octets
    return lambda: int(library.run(descriptors, memory, len(blocks), octets))


def _seconds(run: Callable[[], int]) -> float:
    start = time.perf_counter()
    for _ in range(PASSES):
        run()
    return time.perf_counter() - start


def _row(bench: Bench, blocks: Blocks, name: str, expression: str) -> Row:
    program = compile_expression(expression, name)
    ours, theirs = _ours(program, blocks), _theirs(bench, program, blocks)
    if ours() != theirs():
        raise NotMeasured(f"{expression}: {ours()} frames match, by libpcap {theirs()}")
    spent = in_turns(ROUNDS_IN_MEMORY * bench.rounds, lambda: _seconds(ours), lambda: _seconds(theirs))
    mine, other = (Spread(values).times(1e9 / PASSES / len(blocks)) for values in spent)
    return Row(f"filter: {name}, against libpcap's interpreter", "ns", mine, other, BAR, True)


def filter_rows(bench: Bench) -> list[Row]:
    """ns a packet, one core."""
    blocks = _dense(load_blocks(bench.mix().path, FRAMES))
    try:
        return [_row(bench, blocks, name, expression) for name, expression in EXPRESSIONS.items()]
    except (NotMeasured, LibpcapError) as reason:
        return [Row("filter against libpcap's interpreter", "ns", not_measured=str(reason))]
