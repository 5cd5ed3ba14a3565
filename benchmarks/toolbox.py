"""What an operation of each embedded object costs, through the undo journal as in a chain: one core, in the cache."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final

import numpy as np

from zcframe import Bloom, CountMin, Distinct, Ewma, LogHist, Moments, Reservoir, TopK, community_id
from zcframe.framework import abi
from zcframe.framework.jit.compiler import compiled, fleeting
from zcframe.framework.packet import sha1 as _sha1  # noqa: F401 - registers community_id with numba
from zcframe.framework.packet.decode import decode
from zcframe.framework.packet.value import make_packet
from zcframe.framework.state.compiled import ObjectType, maker
from zcframe.framework.state.journal import JOURNAL_SIZE, begin
from zcframe.framework.state.layout import StateLayout, object_layout
from zcframe.framework.state.sketch.methods import allow_methods

from .bench import Bench
from .rounds import Spread, in_turns
from .table import Row

# Operations of a measurement, as packets of so many bursts; so many keys, of which a few are most.
OPERATIONS: Final = 1 << 18
BURST: Final = 64
ROUNDS_IN_MEMORY: Final = 20
KEYS: Final = 10_000

SOURCE = """
def run(address, journal, values, keys):
    found = 0
    for at in range(0, len(values), {burst}):
        begin(journal, at)
        for i in range(at, at + {burst}):
            value, key = values[i], keys[i]
            {line}
    return found
"""

# By name in the table: the object and the call. A value is a length in bytes, a key a word.
MEASURED: Final[dict[str, tuple[Any, str]]] = {
    "LogHist().add": (LogHist(), "one.add(value)"),
    "Moments().add": (Moments(), "one.add(value)"),
    "Distinct().add": (Distinct(), "one.add(key)"),
    "Distinct().add, two words": (Distinct(), "one.add(value, key)"),
    "Distinct(precision=14).add": (Distinct(precision=14), "one.add(key)"),
    "CountMin().add": (CountMin(), "one.add(value, key)"),
    "CountMin().estimate": (CountMin(), "found += one.estimate(key)"),
    "Bloom().add": (Bloom(), "one.add(key)"),
    "Bloom().has": (Bloom(), "found += one.has(key)"),
    "TopK(k=16).add": (TopK(key=("key",), k=16), "one.add(value, key)"),
    "TopK(k=64).add": (TopK(key=("key",), k=64), "one.add(value, key)"),
    "Reservoir(k=64).add": (Reservoir(fields=("at", "wire"), k=64), "one.add(i, value)"),
    "Ewma().add": (Ewma(), "one.add(i * 1000, value)"),
}


def _compiled(kind: Any, call: str) -> tuple[Any, int]:
    """(compiled function (object, journal, values, keys), bytes of an object)."""
    layout = object_layout("one", 0, kind)
    allow_methods(StateLayout((layout,), layout.size, 1, True))
    scope = {"begin": begin, "make": maker(ObjectType(layout, "one"))}
    exec(SOURCE.format(burst=BURST, line=call.replace("one.", "make(address, journal).")), scope)
    return fleeting(scope["run"]), layout.size


# Ethernet, IPv4, UDP: from 10.0.0.1, port 7, to 10.0.0.2, port 9.
FRAME: Final = bytes.fromhex("02000000000202000000000108004500001c0000000040110000 0a000001 0a000002 00070009 00080000")


@compiled
def _name_flows(desc, frame, length, count):  # type: ignore[no-untyped-def]
    found = 0
    offsets, facts = decode(desc, frame, length)
    pkt = make_packet(desc, frame, offsets, facts)
    for i in range(count):
        found ^= community_id(pkt, i & 0xFFFF)[0]
    return found


def _naming() -> Callable[[], float]:
    desc, frame = np.zeros(abi.DESC_SIZE, np.uint8), np.frombuffer(FRAME, np.uint8)
    name_flows: Any = _name_flows

    def measure() -> float:
        start = time.perf_counter()
        name_flows(desc.ctypes.data, frame.ctypes.data, len(frame), OPERATIONS)
        return (time.perf_counter() - start) / OPERATIONS * 1e9

    return measure


def toolbox_rows(bench: Bench) -> list[Row]:
    """ns an operation."""
    rng = np.random.default_rng(1)
    values = rng.choice([60, 90, 200, 600, 1514], OPERATIONS).astype(np.int64)
    keys = (rng.zipf(1.2, OPERATIONS) % KEYS).astype(np.int64)
    journal = np.zeros(JOURNAL_SIZE // 8, np.int64)

    def measurement(kind: Any, call: str) -> Any:
        run, size = _compiled(kind, call)

        def measure() -> float:
            memory = np.zeros(size // 8 + 8, np.int64)
            start = time.perf_counter()
            run(memory.ctypes.data, journal.ctypes.data, values, keys)
            return (time.perf_counter() - start) / OPERATIONS * 1e9

        return measure

    measured = [*(measurement(*each) for each in MEASURED.values()), _naming()]
    names = [*MEASURED, "community_id(pkt), IPv4"]
    in_turns(1, *measured)
    spent = in_turns(ROUNDS_IN_MEMORY * bench.rounds, *measured)
    return [Row(name, "ns", Spread(one), smaller_is_better=True) for name, one in zip(names, spent, strict=True)]
