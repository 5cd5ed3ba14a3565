"""What it costs to choose a packet's queue: Toeplitz hash and RETA, on frames as a reader has just read them."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from zcframe.framework.jit.address import load_u32
from zcframe.framework.jit.compiler import compiled
from zcframe.framework.rss import SYMMETRIC_KEY
from zcframe.framework.rss.fields import field_mask
from zcframe.framework.rss.toeplitz import BUCKETS, rss_bucket, rss_hash, toeplitz_tables

from .bench import Bench
from .mix import PCAP_HEADER, RECORD
from .rounds import Spread, in_turns
from .table import Row

# Frames lie one behind the other in a window of the file, which the cache still has.
WINDOW = 1 << 20
# So few that a measurement is over before the scheduler looks; there are the more of them.
PACKETS = 1 << 15
ROUNDS_IN_MEMORY = 20
QUEUES = 8
CAPTURED = 8


@compiled
def _walk(window, end, starts):  # type: ignore[no-untyped-def]
    """Note where each whole record of the window begins; returns how many there are."""
    at, count = window, 0
    while at + RECORD_SIZE <= end:
        behind = at + RECORD_SIZE + load_u32(at + CAPTURED)
        if behind > end:
            break
        starts[count] = at
        at = behind
        count += 1
    return count


@compiled
def _choose(starts, count, passes, tables, fields, reta, packets):  # type: ignore[no-untyped-def]
    """Count the packets of each queue, several times over."""
    for _ in range(passes):
        for i in range(count):
            record = starts[i]
            hashed = rss_hash(record + RECORD_SIZE, load_u32(record + CAPTURED), tables, fields)
            packets[reta[rss_bucket(hashed)]] += 1


RECORD_SIZE = RECORD.itemsize


def record_starts(bench: Bench) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any], int]:
    """A window of the mix, the addresses of its records (int64), and how many there are."""
    with bench.mix().path.open("rb") as file:
        file.seek(len(PCAP_HEADER))
        window = np.frombuffer(file.read(WINDOW), np.uint8)
    begin = window.ctypes.data
    starts = np.zeros(WINDOW // RECORD_SIZE, np.int64)
    walk: Any = _walk
    return window, starts, walk(begin, begin + len(window), starts)


def hash_rows(bench: Bench) -> list[Row]:
    """ns a packet, one core."""
    _window, starts, count = record_starts(bench)
    choose: Any = _choose
    tables, reta = toeplitz_tables(SYMMETRIC_KEY), np.arange(BUCKETS + 1) % QUEUES
    packets = np.zeros(QUEUES, np.int64)
    passes = max(1, PACKETS // count)

    def measure() -> float:
        start = time.perf_counter()
        choose(starts, count, passes, tables.ctypes.data, field_mask("5-tuple"), reta, packets)
        return (time.perf_counter() - start) / (passes * count) * 1e9

    in_turns(1, measure)
    (spent,) = in_turns(ROUNDS_IN_MEMORY * bench.rounds, measure)
    return [Row("Toeplitz and RETA, a packet", "ns", Spread(spent), None, 8.0, True, aim=4.0)]
