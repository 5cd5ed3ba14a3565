"""What it costs to choose a packet's share, on decoded frames as a worker has them."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numba
import numpy as np

from zcframe.framework import abi
from zcframe.framework.jit.address import load_u32
from zcframe.framework.jit.compiler import compiled
from zcframe.framework.packet.decode import decode
from zcframe.framework.packet.value import make_packet
from zcframe.framework.share import Shares, share_table
from zcframe.framework.share.choose import share_by

from .bench import Bench
from .hashing import CAPTURED, PACKETS, RECORD_SIZE, ROUNDS_IN_MEMORY, record_starts
from .rounds import Spread, in_turns
from .table import Row

RULES = ("ip-pair", "5-tuple", "inner")
SHARES = 8


@compiled
def _decode(starts, count, desc, notes):  # type: ignore[no-untyped-def]
    for i in range(count):
        record = starts[i]
        notes[i, 0], notes[i, 1] = decode(desc, record + RECORD_SIZE, load_u32(record + CAPTURED))


def _choose_by(rule: str) -> Any:
    share_of = share_by(rule)

    @numba.njit(nogil=True)
    def choose(starts, count, passes, desc, notes, table, packets):  # type: ignore[no-untyped-def]
        """Count the packets of each share, several times over."""
        for _ in range(passes):
            for i in range(count):
                packet = make_packet(desc, starts[i] + RECORD_SIZE, notes[i, 0], notes[i, 1])
                packets[share_of(packet, 0, table)] += 1

    return choose


def _measure(rule: str, starts: Any, count: int, desc: int, notes: Any) -> Callable[[], float]:
    table, packets = share_table(Shares.parse(rule, str(SHARES))), np.zeros(256, np.int64)
    choose = _choose_by(rule)
    passes = max(1, PACKETS // count)

    def measure() -> float:
        start = time.perf_counter()
        choose(starts, count, passes, desc, notes, table.ctypes.data, packets)
        return (time.perf_counter() - start) / (passes * count) * 1e9

    return measure


def share_rows(bench: Bench) -> list[Row]:
    """ns a packet, one core, for each rule that hashes."""
    # The window is named, since it must live as long as its addresses.
    _window, starts, count = record_starts(bench)
    desc, notes = np.zeros(1, abi.DESC), np.zeros((count, 2), np.int64)
    decoder: Any = _decode
    decoder(starts, count, desc.ctypes.data, notes)
    measures = [_measure(rule, starts, count, desc.ctypes.data, notes) for rule in RULES]
    in_turns(1, *measures)
    spent = in_turns(ROUNDS_IN_MEMORY * bench.rounds, *measures)
    return [
        Row(f"share of a packet, {rule}", "ns", Spread(times), None, 10.0, True)
        for rule, times in zip(RULES, spent, strict=True)
    ]
