"""Readers that do not read: frames are dropped, counted as sent less received, and recovery is at once."""

from __future__ import annotations

from ..bench import Bench, check_right, expect

TITLE = "overload and recovery"

FRAMES = 20_000
AFTER = 5_000
SLOTS = 256
# At a time: a queue's share fits its ring, whatever holds up its reader.
LOT = 250


def run(bench: Bench) -> str:
    bench.load()
    bench.reader(FRAMES + AFTER, slots=SLOTS, hold=True)
    # Nobody reads until the last ring is full; what came for the others meanwhile was dropped.
    sender = bench.sender(0, FRAMES, 0, 10_000)
    bench.until(f"[ $(awk '$8 == {SLOTS}' /proc/memshare | wc -l) = 8 ]")
    bench.release()
    bench.sent(sender)
    for first in range(FRAMES, FRAMES + AFTER, LOT):
        bench.until_read()
        bench.send(first, LOT, rate=2000)
    found = bench.report()
    check_right(found)
    expect("some were dropped", found["missing"] > 0, True)
    expect("sent = received + dropped", found["frames"] + found["missing"], FRAMES + AFTER)
    expect("published = received", found["published"], found["frames"])
    expect("a full ring was delivered first", min(found["queues"]) >= SLOTS, True)
    expect("nothing was dropped once readers read", found["last_missing"] < FRAMES, True)
    bench.unload()
    return f"{found['missing']} of {FRAMES} dropped with full rings, 0 of {AFTER} afterwards"
