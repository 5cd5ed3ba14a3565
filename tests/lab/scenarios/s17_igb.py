"""The command on the kernel's own driver of the same card: what AF_PACKET and AF_XDP bring equals a file, verified.

Once the kernel has the run's filter, too, and runs it.
"""

from __future__ import annotations

import json
from typing import Any

from ..bench import Bench, expect
from ..hosttree import FILTER, PID, PLUGINS, TRACE, Tree, load_drivers
from ..packages import LabError
from .s03_run import NAMES, check_equal, check_verified, expected, frames, hashed_alike, send_and_kill

TITLE = "zcframe run on the in-tree igb, by packet and by xdp, equals --read"

IGB = "eth0"
QUEUES = 4
KILLS = 8
PACKET = ("--backend", "packet", "--fanout", "qm")
XDP = ("--backend", "xdp")
# Its key is a random one: the two ends of a flow are two workers'. Where the kernel stamps no frame, as for xdp, which
# end came first is not known closer than a burst, and with it the Community ID of a ping.
WITHOUT_FIRST = [name for name in NAMES if name != "community_id"]
DOWN = f"{IGB} is down: nothing comes until somebody brings it up"
GOING = f"{IGB}: do both directions of a flow come to one queue?"


def start(bench: Bench, tree: Tree, count: int, options: tuple[str, ...]) -> None:
    """Until frames may come; an interface that is down is brought up meanwhile."""
    words = ("run", "--iface", IGB, "--queues", QUEUES, "--json", "--count", count)
    tree.start(*words, *PLUGINS, *options)
    tree.until_said(GOING)
    if DOWN in tree.said():
        bench.guest.run(f"ip link set {IGB} up")
        tree.until_said(f"{IGB} is up again")
    # With a program on it, igb begins anew.
    bench.until(f"[ $(cat /sys/class/net/{IGB}/carrier) = 1 ]")


def found_by(tree: Tree) -> dict[str, Any]:
    """The document of the command, when it has ended."""
    code, document, said = tree.end()
    if code or not document:
        raise LabError(f"zcframe run on {IGB} said: {said}")
    found: dict[str, Any] = json.loads(document)
    return found


def check_run(
    bench: Bench, tree: Tree, octets: list[bytes], wanted: dict[str, Any], options: tuple[str, ...], kills: int
) -> None:
    """Totals, sizes and flows as from the file, no loss, every queue that of Toeplitz with the kernel's key."""
    start(bench, tree, len(octets), ("--verify-rss", *options))
    if kills:
        send_and_kill(bench, octets, kills, QUEUES)
    else:
        bench.send_all(octets)
    found = found_by(tree)
    check_equal(found, wanted, WITHOUT_FIRST)
    ledger = found["totals"]["ledger"]
    expect(f"ledger of {options}", (ledger["arrived"], ledger["accepted"]), (len(octets), len(octets)))
    expect("restarts", sum(queue["restarts"] for queue in found["queues"]), kills)
    check_verified(found, len(octets))


def check_filtered(bench: Bench, tree: Tree, octets: list[bytes], wanted: dict[str, Any]) -> None:
    """A program of the kernel's on each socket refuses what does not match, and the rows are those of a file.

    Not with --verify-rss, which looks at all frames.
    """
    # What the kernel has against the program is in the log.
    start(bench, tree, len(octets), (*PACKET, *FILTER, "-v"))
    programs = bench.guest.run(f"grep -lE 'prog_type:.1$' /proc/$(cat {PID})/fdinfo/* | wc -l")
    expect(f"programs in the kernel: {tree.said()}", int(programs), QUEUES)
    bench.send_all(octets)
    found = found_by(tree)
    check_equal(found, wanted, WITHOUT_FIRST)
    rows, theirs = found["totals"]["ledger"], wanted["totals"]["ledger"]
    for name in ("arrived", "delivered", "accepted", "dropped_by"):
        expect(f"with a filter: {name}", rows[name], theirs[name])


def check_igb(bench: Bench, octets: list[bytes], wanted: dict[str, Any], matching: dict[str, Any]) -> None:
    guest, tree = bench.guest, Tree(bench)
    load_drivers(bench, "igb")
    # Merged frames would be fewer than were sent; short ones without their tag, igb fills up to 60 bytes again.
    guest.run(f"ethtool -K {IGB} gro off rxvlan off")
    # What the guest sends by itself would be captured, too.
    guest.run(f"echo 1 > /proc/sys/net/ipv6/conf/{IGB}/disable_ipv6")
    # Nobody paces the sender: a queue's share of a lot has to fit the card's ring, whatever holds up the guest.
    guest.run(f"ethtool -G {IGB} rx 4096")
    # The kernel has a key from the first start on. Before 6.13 sockets form a group once their interface is up.
    guest.run(f"ip link set {IGB} up && ip link set {IGB} down")
    check_run(bench, tree, octets, wanted, PACKET, kills=0)
    check_filtered(bench, tree, octets, matching)
    # Two workers a queue, which share its memory.
    guest.run(f"ethtool -L {IGB} combined {QUEUES // 2}")
    check_run(bench, tree, octets, wanted, XDP, kills=KILLS)
    guest.run("rmmod igb")


def run(bench: Bench) -> str:
    octets = [frame for frame in frames(TRACE) if hashed_alike(frame)]
    wanted, matching = (expected(bench, "verified", octets, *options) for options in ((), FILTER))
    # igb has as many queues as there are processors.
    with bench.guest.all_processors():
        check_igb(bench, octets, wanted, matching)
    expect("kernel log", bench.guest.trouble(), [])
    flows = wanted["plugins"]["flows"]["count"]
    refused = matching["totals"]["ledger"]["dropped_by"]["filter"]
    text = f"{len(octets)} frames, {flows} flows, queues verified by the kernel's key, {KILLS} workers killed"
    return f"{text}; {refused} refused by the filter in the kernel"
