"""Readers that do not read: frames are dropped, counted as sent less received, and recovery is at once."""

from __future__ import annotations

import time

from ..bench import Bench, check_right, expect

TITLE = "overload and recovery"

FRAMES = 20_000
AFTER = 5_000
SLOTS = 256
HOLD_MS = 3000


def run(bench: Bench) -> str:
    bench.load()
    bench.reader(FRAMES + AFTER, slots=SLOTS, hold_ms=HOLD_MS, quiet_ms=6000)
    # Faster than they wake up: every ring is full for most of the time.
    bench.send(0, FRAMES, rate=10_000)
    time.sleep(HOLD_MS / 1000 + 1)
    bench.send(FRAMES, AFTER, rate=2000)
    found = bench.report()
    check_right(found)
    expect("some were dropped", found["missing"] > 0, True)
    expect("sent = received + dropped", found["frames"] + found["missing"], FRAMES + AFTER)
    expect("published = received", found["published"], found["frames"])
    expect("a full ring was delivered first", min(found["queues"]) >= SLOTS, True)
    expect("nothing was dropped once readers read", found["last_missing"] < FRAMES, True)
    bench.unload()
    return f"{found['missing']} of {FRAMES} dropped with full rings, 0 of {AFTER} afterwards"
