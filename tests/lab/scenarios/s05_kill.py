"""Readers are killed under traffic; each successor goes on at `read`, and may note anew what the dead one had noted."""

from __future__ import annotations

from ..bench import IFACE, Bench, check_exact, expect

TITLE = "kill -9 of readers under traffic, 50 times"

FRAMES = 60_000
# Room for all that a queue gets, however slow the host is: what is lost then was lost by a kill.
SLOTS = 16_384
KILLS = 50


def run(bench: Bench) -> str:
    bench.load()
    bench.guest.run(f"ethtool -G {IFACE} rx 4096")
    bench.up()
    bench.reader(FRAMES, slots=SLOTS, kills=KILLS)
    bench.send(0, FRAMES, rate=8000)
    found = bench.report()
    expect("kills", found["kills"], KILLS)
    check_exact(found, FRAMES)
    # Eight die anywhere, the next eight between note and release: 26 anywhere of 50, 24 there.
    expect("the dead left frames that they had noted", found["again"] >= KILLS // 16 * 8, True)
    expect("restarts are timed", found["restart_ms"] > 0, True)
    bench.unload()
    again, longest = found["again"], found["restart_ms"]
    return (
        f"{FRAMES} frames, none lost, none twice, {again} of them noted by a reader and by its successor,"
        f" restart {longest:.0f} ms at most"
    )
