"""How readers wait, and in what memory: moderated wake-ups, busy polling, rings longer than the hardware's."""

from __future__ import annotations

import itertools
import json
from typing import Any

from ..bench import IFACE, Bench, expect
from ..choice import EVERYWHERE

TITLE = "wake-ups by number and time; busy poll; kernel-made and huge buffers; 65,536 slots"
# It meets what kernels changed.
ROLES = EVERYWHERE

FRAMES = 2000
RATE = 1000
# More than the hardware ring holds, by far.
UNREAD = 30_000
HUGE_PAGES = 4
BUSY_US = 100_000
# The longest that may be set: nearly every wake-up is by number.
LATEST_US = 1_000_000
LOTS = 30
GLANCES = 100


def wait(
    bench: Bench, *, buffer: str = "own", slots: int = 4096, wake: tuple[int, int, int] = (64, 2000, 0),
    count: int = FRAMES, rate: int = 0, hold: bool = False, lot: int = 0,
) -> dict[str, Any]:  # fmt: skip
    """What `waiter` found, reading frames 0..count-1 with this wake-up setting (frames, usecs, busy_poll_us).

    lot: so many frames are sent at a time, when the ones before were read and the reader is about to sleep.
    """
    guest = bench.guest
    frames, usecs, busy = wake
    guest.begin(f"waiter {IFACE} {buffer} {slots} {frames} {usecs} {busy} {count} {int(hold)} {lot}")
    guest.expect("READY")
    for first in range(0, count, lot or count):
        if lot:
            guest.expect("DRAINED")
        bench.send(first, lot or count, rate=rate)
    code, text = guest.end()
    expect("waiter", code, 0)
    found: dict[str, Any] = json.loads(text.splitlines()[-1])
    for name, wanted in (("bad", 0), ("timeouts", 0), ("early", 0), ("read", count), ("ring_full", 0)):
        expect(f"{buffer} buffer, {slots} slots, wake {wake}: {name}", found[name], wanted)
    return found


def counted(bench: Bench) -> tuple[int, int]:
    """(interrupts, NAPI polls) of queue 0 so far."""
    row = bench.guest.run(f"grep {IFACE}-rxtx-0 /proc/interrupts").split()
    polls = bench.guest.run(f"ethtool -S {IFACE} | grep -w q0_polls").split()[1]
    return sum(map(int, itertools.takewhile(str.isdigit, row[1:]))), int(polls)


def cost(bench: Bench, busy_us: int) -> tuple[int, int]:
    """(interrupts, NAPI polls) that FRAMES frames took."""
    before = counted(bench)
    wait(bench, wake=(0, 0, busy_us), rate=RATE)
    after = counted(bench)
    return after[0] - before[0], after[1] - before[1]


def by_number(bench: Bench, number: int) -> int:
    """Wake-ups for LOTS lots of `number` frames, each sent when the reader had nothing left: one for a lot.

    Where a lot takes longer than half of the time that is set, the timer may add one.
    """
    found = wait(bench, wake=(number, LATEST_US, 0), count=LOTS * number, lot=number)
    most = LOTS + int(found["ms"] * 1000 / (LATEST_US / 2))
    expect(
        f"{found['wakeups']} wake-ups for {LOTS} lots of {number} are {most} at most", found["wakeups"] <= most, True
    )
    if number == 1:
        expect("sleeps that a wake-up ended", found["sleeps"] - found["unwoken"], found["wakeups"])
    return int(found["wakeups"])


def wakeups(bench: Bench) -> tuple[int, int]:
    """Woken for each frame, then by number and time; a lone frame is not forgotten."""
    at_once = wait(bench, wake=(0, 0, 0), rate=RATE)["wakeups"]
    moderated = wait(bench, wake=(64, 50_000, 0), rate=RATE)["wakeups"]
    expect(f"{moderated} moderated wake-ups are far fewer than {at_once}", 4 * moderated < at_once, True)
    lone = wait(bench, wake=(64, 20_000, 0), count=1)
    # It may have come before its reader slept, and then nobody has to be woken.
    expect("a reader sleeps once for a lone frame, if at all", lone["sleeps"] <= 1, True)
    expect("wake-ups of a reader that slept for a lone frame", lone["wakeups"], lone["sleeps"] - lone["unwoken"])
    return at_once, moderated


def busy(bench: Bench) -> tuple[int, int]:
    """With busy polling it is poll() that runs NAPI; where interrupts may stay off meanwhile, they do."""
    interrupts, polls = cost(bench, 0)
    _, busy_polls = cost(bench, BUSY_US)
    expect(f"{busy_polls} polls with busy polling are far more than {polls}", busy_polls > 4 * polls, True)
    for name, value in (("napi_defer_hard_irqs", 100), ("gro_flush_timeout", 2 * BUSY_US * 1000)):
        bench.guest.run(f"echo {value} > /sys/class/net/{IFACE}/{name}")
    busy_interrupts, _ = cost(bench, BUSY_US)
    few = 4 * busy_interrupts < interrupts
    expect(f"{busy_interrupts} interrupts with busy polling are far fewer than {interrupts}", few, True)
    for name in ("napi_defer_hard_irqs", "gro_flush_timeout"):
        bench.guest.run(f"echo 0 > /sys/class/net/{IFACE}/{name}")
    idle = counted(bench)[1]
    bench.guest.run(f"transmit {IFACE} 0 20 0 idle")
    idle = counted(bench)[1] - idle
    expect(f"{idle} polls of a sender that has room are far fewer than {busy_polls}", 4 * idle < busy_polls, True)
    return interrupts, busy_interrupts


def glances(bench: Bench) -> None:
    """Who asks without waiting is kept for one pass of NAPI, however long it may poll: others wait for the queue.

    The core polls once for the pass, and once more where it ends it. For a second it polls some thousand times.
    """
    before = counted(bench)[1]
    bench.guest.run(f"glance {IFACE} {GLANCES}")
    polls = counted(bench)[1] - before
    few = GLANCES <= polls <= 4 * GLANCES
    expect(f"{polls} polls for {GLANCES} glances are a few each", few, True)


def memory(bench: Bench) -> None:
    """The same frames in memory that the kernel made, in huge pages, and in a ring longer than the hardware's."""
    wait(bench, buffer="kernel")
    bench.guest.run(f"echo {HUGE_PAGES} > /proc/sys/vm/nr_hugepages")
    wait(bench, buffer="huge")
    expect(
        "huge pages are free again", bench.guest.run("grep HugePages_Free /proc/meminfo").split()[1], str(HUGE_PAGES)
    )
    long = wait(bench, slots=65_536, count=UNREAD, hold=True)
    expect("frames unread at one time", long["unread"], UNREAD)


def run(bench: Bench) -> str:
    bench.load()
    bench.guest.run(f"ethtool -G {IFACE} rx 4096; ethtool -X {IFACE} weight 1")
    bench.up()
    at_once, moderated = wakeups(bench)
    single, lots = by_number(bench, 1), by_number(bench, 64)
    idle, polled = busy(bench)
    glances(bench)
    memory(bench)
    bench.unload()
    return (
        f"{FRAMES} frames: {at_once} wake-ups at once, {moderated} moderated; {single} for {LOTS} lots of 1,"
        f" {lots} for {LOTS} of 64; {idle} interrupts, {polled} with busy poll;"
        f" {UNREAD} frames unread in one ring"
    )
