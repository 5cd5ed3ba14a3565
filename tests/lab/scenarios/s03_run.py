"""The whole command in the guest: what it counts equals what it counts on the host, from a file."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from ..bench import IFACE, KEY, Bench, expect
from ..hosttree import ALIVE, PLUGINS, TRACE, TREE, Tree
from ..packages import LabError

TITLE = "zcframe run --iface zc0 --queues 8 on a real trace equals --read"

QUEUES = 8
KILLS = 50
# Of 2 MiB each: 8 rings of 4096 blocks and some to spare.
HUGE_PAGES = 40
# What the emulated card makes of a shorter frame.
SHORTEST = 60
QINQ = bytes.fromhex("88a8")
MICROSECOND = 0xA1B2C3D4
ETHERNET = 1
# What is compared of a flow.
NAMES = ("proto", "packets", "bytes", "tcp_flags", "one_sided", "community_id")


def frames(capture: Path) -> list[bytes]:
    """The frames as they come out of the card: padded."""
    import dpkt

    with capture.open("rb") as file:
        return [bytes(data).ljust(SHORTEST, b"\0") for _, data in dpkt.pcapng.Reader(file)]


def write_pcap(path: Path, octets: list[bytes]) -> None:
    head = struct.pack("<IHHiIII", MICROSECOND, 2, 4, 0, 0, 65535, ETHERNET)
    records = (struct.pack("<IIII", 0, n, len(data), len(data)) + data for n, data in enumerate(octets))
    path.write_bytes(head + b"".join(records))


def on_host(capture: Path, *options: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "zcframe", "run", "--json", *PLUGINS, "--read", str(capture), *options]
    done = subprocess.run(command, cwd=TREE, capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _flows(report: dict[str, Any], names: Sequence[str]) -> list[tuple[Any, ...]]:
    """Every flow by these names, and none of its times: those are of the arrival."""
    ends = (sorted([(row["src"], row["sport"]), (row["dst"], row["dport"])]) for row in report["top"])
    return sorted((*end, *(row[name] for name in names)) for end, row in zip(ends, report["top"], strict=True))


def check_equal(found: dict[str, Any], wanted: dict[str, Any], names: Sequence[str] = NAMES) -> None:
    for name in ("packets", "bytes"):
        expect(name, found["totals"][name], wanted["totals"][name])
    expect("sizes", found["plugins"]["sizes"], wanted["plugins"]["sizes"])
    ours, theirs = found["plugins"]["flows"], wanted["plugins"]["flows"]
    for name in ("count", "packets", "bytes", "lost"):
        expect(f"flows' {name}", ours[name], theirs[name])
    expect("flows that differ", sorted(set(_flows(ours, names)) ^ set(_flows(theirs, names))), [])


def check_ledgers(found: dict[str, Any], sent: int, kills: int) -> None:
    """Each queue's ledger closes, without loss, and all of them together hold what was sent."""
    for queue in found["queues"]:
        ledger = queue["ledger"]
        expect(f"queue {queue['queue']}: arrived", ledger["arrived"], ledger["delivered"])
        expect(f"queue {queue['queue']}: delivered", ledger["delivered"], ledger["accepted"])
        expect(f"queue {queue['queue']}: restarts", queue["restarts"], len(range(queue["queue"], kills, QUEUES)))
        expect(f"queue {queue['queue']}: restarts are timed", queue["restart_ms"] > 0, kills > 0)
    expect("arrived", found["totals"]["ledger"]["arrived"], sent)


def check_verified(found: dict[str, Any], sent: int) -> None:
    """Every frame's queue, and the card's hash where there is one, were those of the software Toeplitz."""
    verified = found["rss"]["verified"]
    expect("verified", verified, {"frames": sent, "wrong_hash": 0, "wrong_queue": 0, "example": ""})


def send_and_kill(bench: Bench, octets: list[bytes], kills: int, queues: int = QUEUES) -> None:
    """Frames onto the wire in even lots; with each a worker is killed by kill -9, queue after queue."""
    lots = [octets[kill * len(octets) // kills : (kill + 1) * len(octets) // kills] for kill in range(kills)]
    with ThreadPoolExecutor() as pool:
        for kill, lot in enumerate(lots):
            sent = pool.submit(bench.send_all, lot)
            found = f"grep -lx zc-rx-{kill % queues} /proc/[0-9]*/comm 2> /dev/null"
            # The one before may not be replaced yet.
            bench.guest.run(f"until p=$({found}); do sleep 0.02; done; kill -9 $(echo $p | cut -d/ -f3)")
            sent.result()


def in_guest(
    bench: Bench, tree: Tree, octets: list[bytes], *options: str, kills: int = 0, cold: bool = False
) -> dict[str, Any]:
    """The document of the command in the guest, to which these frames were sent."""
    words = ("run", "--iface", IFACE, "--queues", QUEUES, "--json", "--count", len(octets), *PLUGINS, *options)
    tree.start(*words, cold=cold)
    bench.until(f"[ $(cat /sys/class/net/{IFACE}/carrier) = 1 ] 2> /dev/null || ! {ALIVE}")
    if kills:
        send_and_kill(bench, octets, kills)
    else:
        bench.send_all(octets)
    code, text, said = tree.end()
    if code or not text:
        raise LabError(f"zcframe run in the guest said: {said}")
    found: dict[str, Any] = json.loads(text)
    return found


def check_put_back(bench: Bench) -> None:
    """The card spreads by the key that it had, and is down, as it was."""
    shown = bench.guest.run(f"ethtool -x {IFACE}")
    expect("the key is the one before", KEY in shown, True)
    expect("interface is up", "UP" in bench.guest.run(f"ip link show {IFACE}").partition("<")[2].split(">")[0], False)


def check_run(bench: Bench, found: dict[str, Any], wanted: dict[str, Any], kills: int) -> None:
    check_equal(found, wanted)
    check_ledgers(found, wanted["totals"]["packets"], kills)
    check_put_back(bench)


def hashed_alike(frame: bytes) -> bool:
    """The emulated card hashes what lies behind two VLAN tags, which the real one does not look through."""
    return frame[12:14] != QINQ


def expected(bench: Bench, name: str, octets: list[bytes], *options: str) -> dict[str, Any]:
    """What the command says on the host of a capture file of these frames."""
    capture = bench.own / f"{name}-{bench.kernel.series}.pcap"
    write_pcap(capture, octets)
    return on_host(capture, *options)


def run(bench: Bench) -> str:
    octets = frames(TRACE)
    alike = [frame for frame in octets if hashed_alike(frame)]
    wanted, wanted_alike = expected(bench, "padded", octets), expected(bench, "verified", alike)
    tree = Tree(bench)
    bench.load(up=False)
    # As a user starts it; everything else in the lab is a child of an interpreter that has imported zcframe.
    found = in_guest(bench, tree, alike, "--verify-rss", cold=True)
    check_run(bench, found, wanted_alike, kills=0)
    check_verified(found, len(alike))
    bench.guest.run(f"echo {HUGE_PAGES} > /proc/sys/vm/nr_hugepages")
    found = in_guest(bench, tree, octets, "--hugepages", kills=KILLS)
    bench.guest.run("echo 0 > /proc/sys/vm/nr_hugepages")
    check_run(bench, found, wanted, kills=KILLS)
    bench.unload()
    spread = [queue["packets"] for queue in found["queues"]]
    flows = found["plugins"]["flows"]["count"]
    longest = max(queue["restart_ms"] for queue in found["queues"])
    again = f"again with {KILLS} workers killed, restart {longest:.0f} ms at most, User Buffers in huge pages"
    return f"{len(octets)} frames, {flows} flows, {len(alike)} hashes verified, queues {min(spread)} to {max(spread)}; {again}"
