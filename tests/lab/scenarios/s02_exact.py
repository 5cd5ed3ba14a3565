"""Eight queues, every size: every byte, hash, queue and order right, none lost."""

from __future__ import annotations

from ..bench import IFACE, Bench, check_exact, expect
from ..choice import EVERYWHERE

TITLE = "8 queues, 50,000 frames of 60 to 1514 B, byte-exact, none lost"
# It meets what kernels changed.
ROLES = EVERYWHERE

SIZES = (60, 124, 252, 508, 1020, 1514, 0)
FRAMES = 50_000


def run(bench: Bench) -> str:
    bench.load()
    # Nobody paces the sender: a queue's share of a round has to fit the card's ring, whatever holds up the guest.
    bench.guest.run(f"ethtool -G {IFACE} rx 4096")
    each = FRAMES // len(SIZES)
    spread = [0] * 8
    wakeups = 0
    for size in SIZES:
        count = FRAMES - each * (len(SIZES) - 1) if size == 0 else each
        bench.reader(count, size=size)
        bench.send(0, count, size)
        found = bench.report()
        check_exact(found, count)
        spread = [a + b for a, b in zip(spread, found["queues"], strict=True)]
        wakeups += found["wakeups"]
    expect("every queue had frames", all(spread), True)
    bench.unload()
    return f"{sum(spread)} frames, queues {min(spread)} to {max(spread)}, {sum(spread) / wakeups:.1f} frames a wake-up"
