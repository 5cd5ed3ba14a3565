"""Readers are killed under traffic; each successor goes on at `read`."""

from __future__ import annotations

from ..bench import Bench, check_exact, expect

TITLE = "kill -9 of readers under traffic, 50 times"

FRAMES = 60_000
KILLS = 50


def run(bench: Bench) -> str:
    bench.load()
    bench.reader(FRAMES, kills=KILLS)
    bench.send(0, FRAMES, rate=8000)
    found = bench.report()
    expect("kills", found["kills"], KILLS)
    # A reader that dies between its note and its release leaves one frame to be seen again.
    check_exact(found, FRAMES, doubled=KILLS)
    expect("restarts are timed", found["restart_ms"] > 0, True)
    bench.unload()
    again, longest = found["doubled"], found["restart_ms"]
    return f"{FRAMES} frames, none lost, {again} in a dead reader's hand, restart {longest:.0f} ms at most"
