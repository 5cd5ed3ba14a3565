"""The interface goes down, the device goes away, the supervisor is killed: errors, no oops, no pinned page."""

from __future__ import annotations

import json
from collections.abc import Callable

from ..bench import IFACE, Bench, check_right, expect
from ..choice import EVERYWHERE
from ..hosttree import ALIVE, PLUGINS, Tree

TITLE = "down/up, ring sizes, unbind, remove, another namespace, kill of the supervisor, under traffic"
# It meets what kernels changed.
ROLES = EVERYWHERE

FRAMES = 20_000
AFTER = 5_000
# Under the command.
FEW = 2_000
RELEASED = "awk 'NR > 1 { n += $9 } END { print n + 0 }' /proc/memshare"


def shake(bench: Bench) -> str:
    """Frames get lost while the queues stand, none afterwards, and readers keep their place."""
    guest = bench.guest
    bench.reader(FRAMES + AFTER)
    sender = bench.sender(0, FRAMES, 0, 4000)
    for command in ("ip link set {} down", "ip link set {} up", "ethtool -G {} rx 256", "ethtool -X {} equal 8") * 2:
        guest.run(command.format(IFACE))
        guest.run("sleep 0.2")
    # From here on nothing may be lost, whatever holds up the guest: what comes has to fit the card's rings.
    guest.run(f"ethtool -G {IFACE} rx 4096")
    bench.up()
    bench.sent(sender)
    bench.send(FRAMES, AFTER)
    found = bench.report()
    check_right(found)
    expect("frames after the last change are all there", found["last_missing"] < FRAMES, True)
    expect("frames", found["frames"] + found["missing"], FRAMES + AFTER)
    return f"{found['missing']} of {FRAMES} lost while down, 0 of {AFTER} afterwards"


def vanish(bench: Bench, away: str, back: str) -> None:
    """Eight open sockets see the device go, and nothing else happens."""
    guest = bench.guest
    bench.reader(FRAMES)
    sender = bench.sender(0, FRAMES, 0, 8000)
    guest.run("sleep 0.5")
    guest.run(away)
    expect("rings are gone", guest.run("grep -c gone /proc/memshare"), "8")
    found = bench.report()
    check_right(found)
    expect("frames came before", found["frames"] > 0, True)
    bench.silence(sender)
    guest.run(back)
    bench.until(f"[ -d /sys/class/net/{IFACE} ]")
    bench.key()
    bench.up()
    bench.drain()


def command_ends(bench: Bench, take_away: Callable[[], object]) -> None:
    """Start the command, send frames, take the card away, and wait for the end that nobody asked for."""
    tree = Tree(bench)
    # The last step of the command's start is to set the interface up.
    bench.guest.run(f"ip link set {IFACE} down")
    tree.start("run", "--iface", IFACE, "--queues", 8, "--json", *PLUGINS)
    bench.until(f"[ $(cat /sys/class/net/{IFACE}/carrier) = 1 ] 2> /dev/null || ! {ALIVE}")
    bench.send(0, FEW)
    bench.until(f"[ $({RELEASED}) = {FEW} ] || ! {ALIVE}")
    take_away()
    code, document, said = tree.end()
    expect(f"exit code; it said {said}", code, 1)
    expect(f"the line that says why, in {said}", f"{IFACE} is gone" in said, True)
    expect("frames that came before", json.loads(document)["totals"]["ledger"]["accepted"], FEW)


def vanish_under_command(bench: Bench, away: str, back: str) -> None:
    """The command ends by itself."""
    command_ends(bench, lambda: bench.guest.run(away))
    bench.guest.run(back)
    bench.until(f"[ -d /sys/class/net/{IFACE} ]")
    bench.key()
    bench.up()


def orphan(bench: Bench) -> None:
    """The supervisor and all its readers die under traffic: the pages come back."""
    bench.reader(FRAMES)
    sender = bench.sender(0, FRAMES, 0, 8000)
    bench.guest.run("sleep 0.5")
    bench.guest.run("kill -9 $(cat /tmp/report.pid)")
    # Its readers die of its death, and the sockets with the last of them.
    bench.until("[ $(wc -l < /proc/net/zerocopy) = 1 ]")
    bench.silence(sender)
    expect("pinned pages", bench.pinned(), 0)
    # What the dead left on the wire would come to the next readers.
    bench.drain()


def run(bench: Bench) -> str:
    bench.load()
    figures = shake(bench)
    driver = "/sys/bus/pci/drivers/zc82576"
    address = bench.guest.run(f"basename {driver}/0000:*")
    ways = (
        (f"echo {address} > {driver}/unbind", f"echo {address} > {driver}/bind"),
        (f"echo 1 > /sys/bus/pci/devices/{address}/remove", "echo 1 > /sys/bus/pci/rescan"),
        # Another network namespace: a socket stays where it is, so that its ring has no device any more.
        (
            f"unshare -n sleep 1000 & echo $! > /tmp/away.pid; sleep 0.3; ip link set {IFACE} netns $(cat /tmp/away.pid)",
            "kill $(cat /tmp/away.pid)",
        ),
    )
    for away, back in ways:
        vanish(bench, away, back)
        # The debug kernel runs no Python.
        if not bench.kernel.detectors:
            vanish_under_command(bench, away, back)
    orphan(bench)
    bench.unload()
    return figures
