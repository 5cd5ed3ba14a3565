"""The card is pulled out of its slot with eight open sockets: errors, no oops, no pinned page."""

from __future__ import annotations

from ..bench import COMMON, IFACE, Bench, check_right, expect
from .s06_gone import command_ends

TITLE = "hot unplug under traffic, with 8 open sockets, and under the command"

FRAMES = 20_000


def unplug(bench: Bench) -> None:
    bench.guest.unplug()
    # Pressing the button gives the operator five seconds to think again.
    bench.until(f"[ ! -d /sys/class/net/{IFACE} ]")


def plug(bench: Bench) -> None:
    bench.guest.plug()
    bench.until(f"[ -d /sys/class/net/{IFACE} ]")
    bench.key()
    bench.up()


def run(bench: Bench) -> str:
    with bench.other_guest(hotplug=True, **COMMON, disk=bench.interpreter) as guest:
        bench.load()
        command_ends(bench, lambda: unplug(bench))
        plug(bench)
        bench.reader(FRAMES)
        sender = bench.sender(0, FRAMES, 0, 8000)
        guest.run("sleep 0.5")
        unplug(bench)
        expect("rings are gone", guest.run("grep -c gone /proc/memshare"), "8")
        found = bench.report()
        check_right(found)
        expect("frames came before", found["frames"] > 0, True)
        bench.silence(sender)
        expect("cards", guest.run("grep -l 0x10c9 /sys/bus/pci/devices/*/device | wc -l"), "0")
        bench.unload()
    return f"{found['frames']} frames until then"
