"""The command on the kernel's own driver of the same card: what AF_PACKET and AF_XDP bring equals a file, verified."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from ..bench import Bench, expect
from ..hosttree import compile_by, load_drivers, prepare_cache, python, tree_guest
from ..packages import LabError
from .s03_run import (
    NAMES,
    PLUGINS,
    TRACE,
    check_equal,
    check_verified,
    frames,
    hashed_alike,
    kill_workers,
    prepare_capture,
)

TITLE = "zcframe run on the in-tree igb, by packet and by xdp, equals --read"

IGB = "eth0"
QUEUES = 4
KILLS = 8
# Between two frames, where workers are killed meanwhile: traffic goes on for as long as that takes.
PAUSE_S = 1e-3
PACKET = ("--backend", "packet", "--fanout", "qm")
XDP = ("--backend", "xdp")
# What the workers of both sources call.
PULLS = "; ".join(f"from zcframe.framework.sources.{name}.pull import warm_up; warm_up()" for name in ("packet", "xdp"))
# Its key is a random one: the two ends of a flow are two workers'. Where the kernel stamps no frame, as for xdp, which
# end came first is not known closer than a burst, and with it the Community ID of a ping.
WITHOUT_FIRST = [name for name in NAMES if name != "community_id"]
DOWN = f"{IGB} is down: nothing comes until somebody brings it up"
GOING = f"{IGB}: do both directions of a flow come to one queue?"


def until_said(bench: Bench, text: str) -> None:
    bench.until(f"grep -qF '{text}' /tmp/said || ! kill -0 $(cat /tmp/zcframe.pid)", 300)


def start(bench: Bench, compiled: Path, count: int, options: tuple[str, ...]) -> None:
    """Until frames may come; an interface that is down is brought up meanwhile."""
    words = ("-m", "zcframe", "run", "--iface", IGB, "--queues", QUEUES, "--json", "--verify-rss", "--count", count)
    line = python(compiled, *words, *PLUGINS, *options)
    bench.guest.run(f"{line} > /tmp/document 2> /tmp/said & echo $! > /tmp/zcframe.pid")
    until_said(bench, GOING)
    if DOWN in bench.guest.run("cat /tmp/said"):
        bench.guest.run(f"ip link set {IGB} up")
        until_said(bench, f"{IGB} is up again")
    # With a program on it, igb begins anew.
    bench.until(f"[ $(cat /sys/class/net/{IGB}/carrier) = 1 ]")


def end(bench: Bench) -> tuple[int, str, str]:
    """(exit code, document, what it said)"""
    code, _ = bench.guest.attempt("wait $(cat /tmp/zcframe.pid)", 300)
    return code, bench.guest.run("cat /tmp/document"), bench.guest.run("cat /tmp/said")


def check_run(
    bench: Bench, compiled: Path, octets: list[bytes], wanted: dict[str, Any], options: tuple[str, ...], kills: int
) -> None:
    """Totals, sizes and flows as from the file, no loss, every queue that of Toeplitz with the kernel's key."""
    start(bench, compiled, len(octets), options)
    with ThreadPoolExecutor() as pool:
        sent = pool.submit(bench.send_all, octets, PAUSE_S if kills else 0.0)
        kill_workers(bench, kills, QUEUES)
        sent.result()
    code, document, said = end(bench)
    if code or not document:
        raise LabError(f"zcframe run {' '.join(options)} said: {said}")
    found = json.loads(document)
    check_equal(found, wanted, WITHOUT_FIRST)
    ledger = found["totals"]["ledger"]
    expect(f"ledger of {options}", (ledger["arrived"], ledger["accepted"]), (len(octets), len(octets)))
    expect("restarts", sum(queue["restarts"] for queue in found["queues"]), kills)
    check_verified(found, len(octets))


def run(bench: Bench) -> str:
    octets = [frame for frame in frames(TRACE) if hashed_alike(frame)]
    capture, wanted = prepare_capture(bench, "verified", octets)
    prepare_cache(bench.cache, *PLUGINS, "--read", capture)
    compiled = compile_by(bench.cache, "-c", PULLS)
    with tree_guest(bench, compiled, "igb") as (guest, igb):
        load_drivers(guest, igb)
        # Merged frames would be fewer than were sent; short ones without their tag, igb fills up to 60 bytes again.
        guest.run(f"ethtool -K {IGB} gro off rxvlan off")
        # The kernel has a key from the first start on. Before 6.13 sockets form a group once their interface is up.
        guest.run(f"ip link set {IGB} up && ip link set {IGB} down")
        check_run(bench, compiled, octets, wanted, PACKET, kills=0)
        # Two workers a queue, which share its memory.
        guest.run(f"ethtool -L {IGB} combined {QUEUES // 2}")
        check_run(bench, compiled, octets, wanted, XDP, kills=KILLS)
        expect("kernel log", guest.trouble(), [])
    flows = wanted["plugins"]["flows"]["count"]
    return f"{len(octets)} frames, {flows} flows, queues verified by the kernel's key, {KILLS} workers killed"
