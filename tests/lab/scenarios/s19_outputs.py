"""Outputs of a capture of the card: a file, a veth, and the card itself, by its own transmit ring."""

from __future__ import annotations

import json
import socket
import threading
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from typing import Any

from ..bench import IFACE, KEY, Bench, expect
from ..choice import NEWEST
from ..hosttree import SAID, TRACE, Tree, load_drivers
from ..limit import LIMIT, Limit
from ..packages import LabError
from .s03_run import frames, hashed_alike

TITLE = "what zcframe run captures goes out by a file, a veth and the card's own transmit ring"
ROLES = (NEWEST,)

VETH, FAR = "out", "veth0"
FILE = "/run/out.pcap"
CARD, VETHS = f"iface:{IFACE}", f"iface:{VETH}"
OUTPUTS = (f"pcap:{FILE}", VETHS, f"{CARD},buffer=1")
# A number for each frame of the file: not all of it goes by the guest's terminal.
SUMS = f"import dpkt, zlib; print(*(zlib.crc32(frame) for _, frame in dpkt.pcap.UniversalReader(open('{FILE}', 'rb'))))"
# What a look at a run that goes on begins with.
TICK = '{"zcframe"'
# The longest that the guest says nothing while the host waits for frames of its.
LOOK_S = 0.2
# Registers of the card, and the bit that has it transmit.
TCTL, TDT, ENABLE = 0x400, 0xE018, 2
TX_TIMEOUT = "/sys/module/zc82576/parameters/tx_timeout"
# What a writer hands to an interface at a time, as docs/outputs.md says.
BATCH = 256


class Wire:
    """Frames that come out of the card, in their order."""

    def __init__(self, bench: Bench) -> None:
        self._process = bench.guest.process.pid
        self.frames: list[bytes] = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        # Who listened for an earlier scenario may have left its name.
        bench.guest.from_guest.unlink(missing_ok=True)
        self._socket.bind(str(bench.guest.from_guest))
        self._socket.settimeout(LOOK_S)
        self._open = True
        self._thread = threading.Thread(target=self._take)
        self._thread.start()

    def _take(self) -> None:
        while self._open:
            with suppress(TimeoutError):
                self.frames.append(self._socket.recv(1 << 16))

    def wait_until(self, condition: Callable[[], bool], what: str) -> None:
        limit = Limit(self._process, LIMIT)
        while not condition():
            if limit.over():
                raise LabError(f"not {what}: {len(self.frames)} frames came out of the card")
            time.sleep(LOOK_S)

    def close(self) -> None:
        self._open = False
        self._thread.join()
        self._socket.close()


@contextmanager
def wire(bench: Bench) -> Iterator[Wire]:
    made = Wire(bench)
    try:
        yield made
    finally:
        made.close()
        bench.guest.from_guest.unlink()


@cache
def flow(frame: bytes) -> tuple[int, int]:
    """What the card hashes alike is one flow, or several of one queue."""
    from zcframe.framework.rss.toeplitz import hash_frame

    return hash_frame(frame, bytes.fromhex(KEY.replace(":", "")), "5-tuple")


def flows(octets: list[bytes]) -> dict[tuple[int, int], list[bytes]]:
    """Frames by flow, in their order."""
    found = dict[tuple[int, int], list[bytes]]()
    for frame in octets:
        found.setdefault(flow(frame), []).append(frame)
    return found


def check_equal(name: str, found: list[bytes], wanted: list[bytes]) -> None:
    """The same frames, each as often, and in order in each flow."""
    expect(f"{name}: frames", len(found), len(wanted))
    expect(f"{name}: frames that differ", sum((Counter(found) - Counter(wanted)).values()), 0)
    expect(f"{name}: frames of each flow, in order", flows(found) == flows(wanted), True)


def captured(bench: Bench, tree: Tree, octets: list[bytes]) -> list[bytes]:
    """Frames of the file that the guest wrote, all of which are to be some of these. Raises LookupError."""
    known = {zlib.crc32(frame): frame for frame in octets}
    sums = bench.guest.run(tree.line("-c", SUMS)).split()
    return [known[int(text)] for text in sums]


def start(tree: Tree, *options: object) -> None:
    """Until frames may come."""
    outputs = [word for text in OUTPUTS for word in ("--out", text)]
    words = ("run", "--backend", "zerocopy", "--iface", IFACE, "--queues", 8, "--json", "--plugin", "sizes")
    tree.start(*words, "--stats-interval", 1, *outputs, *options)
    tree.until_said(TICK)


def rows(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The one share of each output by its target; its sum holds."""
    found = {}
    for output in document["outputs"]:
        (row,) = output["shares"]
        lost = sum(row["dropped"].values()) + sum(row["shed"].values())
        expect(f"{row['target']}: offered", row["offered"], row["written"] + row["in_flight"] + lost)
        found[row["target"]] = row
    return found


def latest(bench: Bench) -> dict[str, dict[str, Any]]:
    # The last line may not be whole yet.
    return rows(json.loads(bench.guest.run(f"grep '^{TICK}' {SAID} | tail -n 2 | head -n 1")))


def end(tree: Tree, signal: str = "") -> dict[str, Any]:
    """The document of the command."""
    code, text, said = tree.end(signal)
    if code or not text:
        raise LabError(f"zcframe run in the guest said: {said}")
    found: dict[str, Any] = json.loads(text.splitlines()[-1])
    return found


def check_all(bench: Bench, tree: Tree, octets: list[bytes]) -> None:
    """Every frame leaves by each output once, also those that were under way when enough had come."""
    count = len(octets)
    with wire(bench) as out:
        start(tree, "--count", count)
        bench.send_all(octets)
        document = end(tree)
        out.wait_until(lambda: len(out.frames) >= count, f"all of {count} frames")
    check_equal("the card", out.frames, octets)
    check_equal("the file", captured(bench, tree, octets), octets)
    ledger = document["totals"]["ledger"]
    expect("ledger", (ledger["arrived"], ledger["accepted"]), (count, count))
    for target, row in rows(document).items():
        expect(f"{target}: row", (row["offered"], row["written"], row["dropped"]), (count, count, {}))
        expect(f"{target}: bytes", row["bytes"] >= sum(map(len, octets)), True)
    taken = bench.guest.run(f"cd /sys/class/net/{FAR}/statistics; cat rx_packets rx_bytes").split()
    expect("the veth's other end", taken, [str(count), str(sum(map(len, octets)))])


class Card:
    """The registers of the card, as the guest's memory shows them; queue: that which sends, where none does yet."""

    def __init__(self, bench: Bench, queue: int | None = None) -> None:
        self._guest = bench.guest
        self._base = int(self._guest.run(f"head -n 1 /sys/class/net/{IFACE}/device/resource").split()[0], 16)
        bound = f'awk \'$1 == "{IFACE}" && $3 == "tx" {{ print $2 }}\' /proc/memshare'
        self._tail = TDT + 0x40 * (int(self._guest.run(bound)) if queue is None else queue)

    def _read(self, register: int) -> int:
        return int(self._guest.run(f"devmem {self._base + register:#x} 32"), 16)

    def _write(self, register: int, value: int) -> None:
        self._guest.run(f"devmem {self._base + register:#x} 32 {value:#x}")

    def stall(self) -> None:
        """It sends nothing any more, as one that a switch has paused, which the driver leaves alone."""
        self._guest.run(f"echo 0 > {TX_TIMEOUT}")
        self.hang()

    def hang(self) -> None:
        """It sends nothing any more, and nothing says why."""
        self._write(TCTL, self._read(TCTL) & ~ENABLE)

    def go_on(self) -> None:
        self._guest.run(f"echo 5 > {TX_TIMEOUT}")
        self._write(TCTL, self._read(TCTL) | ENABLE)
        # The emulated card looks for work when it is told of some.
        self._write(self._tail, self._read(self._tail))


def in_ring(bench: Bench) -> int:
    """Frames that the card was given to send."""
    return int(bench.guest.run("awk '$5 == \"tx\" { print $6 }' /proc/net/zerocopy"))


def check_stalled(bench: Bench, tree: Tree, octets: list[bytes]) -> str:
    """A card that does not send, and a killed writer, cost frames of that output alone; each of them is counted."""
    count, few = len(octets), octets[:100]
    with wire(bench) as out:
        start(tree)
        card = Card(bench)
        card.stall()
        bench.send_all(octets)
        out.wait_until(lambda: latest(bench)[FILE]["written"] == count, "all in the file while the card is stalled")
        expect("frames out of a stalled card", out.frames, [])
        bench.guest.run("kill -9 $(grep -lx zc-out-2 /proc/[0-9]*/comm | cut -d/ -f3)")
        card.go_on()
        out.wait_until(lambda: latest(bench)[IFACE]["in_flight"] == 0, "nothing in flight")
        card.stall()
        before = in_ring(bench)
        bench.send_all(few)
        out.wait_until(lambda: in_ring(bench) == before + len(few), f"{len(few)} in a stalled ring")
        bench.guest.run(f"ip link set {IFACE} down")
        out.wait_until(lambda: latest(bench)[IFACE]["dropped"].get("down") == len(few), f"{len(few)} back from it")
        document = end(tree, "INT")
    row = rows(document)[IFACE]
    expect("reasons", set(row["dropped"]), {"ring_full", "uncertain", "down"})
    expect("down", row["dropped"]["down"], len(few))
    expect("no more uncertain than a batch", row["dropped"]["uncertain"] <= BATCH, True)
    surplus = len(out.frames) - row["written"]
    expect("sent and not surely written", 0 <= surplus <= row["dropped"]["uncertain"], True)
    expect("frames that nobody sent", sum((Counter(out.frames) - Counter(octets)).values()), 0)
    for target, other in rows(document).items():
        if target != IFACE:
            expect(f"{target}: row", (other["written"], other["dropped"]), (count + len(few), {}))
    dropped = ", ".join(f"{reason} {frames}" for reason, frames in row["dropped"].items())
    return f"of a stalled one {row['written']}, {dropped}"


def run(bench: Bench) -> str:
    octets = [frame for frame in frames(TRACE) if hashed_alike(frame)]
    tree = Tree(bench)
    guest = bench.guest
    load_drivers(bench, "veth")
    guest.run(f"ip link add {VETH} type veth")
    for name in (VETH, FAR):
        guest.run(f"echo 1 > /proc/sys/net/ipv6/conf/{name}/disable_ipv6; ip link set {name} up")
    bench.load()
    check_all(bench, tree, octets)
    bench.up()
    figures = check_stalled(bench, tree, octets)
    guest.run(f"ip link del {VETH}")
    bench.unload()
    return f"{len(octets)} frames out of the card, a file and a veth; {figures}"
