"""Resets of the function, a sleep of the machine, a card that sends no more: the rings go on."""

from __future__ import annotations

from collections.abc import Callable

from ..bench import IFACE, Bench, check_right, expect
from .s19_outputs import TX_TIMEOUT, Card

TITLE = "function reset, suspend, transmit watchdog, lost link: rings go on with what was configured"

FRAMES = 8_000
AFTER = 3_000
# Devices and their power states go down and come up again; the machine itself does not sleep.
SLEEP = "cd /sys/power && echo 0 > /sys/module/suspend/parameters/pm_test_delay && echo platform > pm_test && echo mem > state"
UNSENT = "status 0x20"


def epochs(bench: Bench) -> list[int]:
    """How often each receive ring was started."""
    rows = bench.guest.run("cat /proc/memshare").splitlines()[1:]
    return [int(row.split()[6]) for row in rows]


def through(bench: Bench, what: str, happen: Callable[[], object]) -> str:
    """It happens under traffic: frames are lost meanwhile, none afterwards; key, table and places of readers stay."""
    bench.reader(FRAMES + AFTER)
    before = epochs(bench)
    sender = bench.sender(0, FRAMES, 0, 4000)
    bench.guest.run("sleep 0.5")
    happen()
    bench.until(f"[ $(cat /sys/class/net/{IFACE}/carrier) = 1 ]")
    expect(f"{what}: rings run", bench.guest.run("grep -c running /proc/memshare"), "8")
    expect(
        f"{what}: all were started again",
        [new > old for old, new in zip(before, epochs(bench), strict=True)],
        [True] * 8,
    )
    bench.sent(sender)
    bench.send(FRAMES, AFTER)
    found = bench.report()
    check_right(found)
    expect(f"{what}: frames afterwards are all there", found["last_missing"] < FRAMES, True)
    expect(f"{what}: frames", found["frames"] + found["missing"], FRAMES + AFTER)
    return f"{what} {found['missing']} of {FRAMES}"


def carrier(bench: Bench, up: bool) -> None:
    bench.until(f"[ $(cat /sys/class/net/{IFACE}/carrier) = {int(up)} ]")


def sends(bench: Bench) -> tuple[bool, bool]:
    """Whether frames go out, and whether they come back unsent."""
    code, text = bench.guest.attempt(f"transmit {IFACE} 0 256 60 ring")
    return not code, UNSENT in text


def hang(bench: Bench) -> None:
    """What a card that hangs holds comes back unsent; then it sends again."""
    bench.guest.run(f"echo 2 > {TX_TIMEOUT}")
    Card(bench, queue=0).hang()
    expect("a card that hangs: sent, unsent", sends(bench), (False, True))
    carrier(bench, up=True)
    expect("behind its reset: sent, unsent", sends(bench), (True, False))
    bench.guest.run(f"echo 5 > {TX_TIMEOUT}")


def unlink(bench: Bench) -> None:
    """Without a link, frames come back at once: none is sent when it is old."""
    bench.guest.monitor("set_link card off")
    carrier(bench, up=False)
    expect("without a link: sent, unsent", sends(bench), (False, True))
    bench.guest.monitor("set_link card on")
    carrier(bench, up=True)
    expect("with the link again: sent, unsent", sends(bench), (True, False))


def run(bench: Bench) -> str:
    with bench.other_guest() as guest:
        bench.load(up=False)
        guest.run(f"ethtool -G {IFACE} rx 4096")
        bench.up()
        device = guest.run(f"readlink -f /sys/class/net/{IFACE}/device")
        figures = [
            through(bench, "reset", lambda: guest.run(f"echo 1 > {device}/reset")),
            through(bench, "suspend", lambda: guest.run(SLEEP)),
        ]
        hang(bench)
        unlink(bench)
        bench.unload()
    return f"lost meanwhile: {', '.join(figures)}; none afterwards"
