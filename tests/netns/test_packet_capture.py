"""The packet source with real sockets: what a veth brings, whole, once, and in its place."""

from __future__ import annotations

import json
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from space import SENDER, Capture, Space, until, zcframe

from zcframe.framework import abi

pytestmark = pytest.mark.needs("root", "namespaces")

BUNDLED = Path(__file__).resolve().parents[2] / "framework" / "sources" / "trace" / "bundled.pcapng"
BLAST = Path(__file__).with_name("blast.py")
BUCKETS = Path(__file__).resolve().parents[1] / "e2e" / "analyzers" / "packets.py"
PLUGINS = ("--plugin", "flows?top=100000", "sizes", f"{BUCKETS}:Buckets")


@pytest.fixture
def space() -> Iterator[Space]:
    made = Space()
    yield made
    made.close()


@pytest.fixture(scope="module")
def replayed() -> dict[str, Any]:
    """What the software NIC makes of the bundled trace."""
    return zcframe("run", "--json", "--read", BUNDLED, *PLUGINS).document


def flows_of(document: dict[str, Any]) -> list[Any]:
    """Every flow, without times: these are the sender's here, the capture's there."""
    rows = [{k: v for k, v in row.items() if not k.endswith("_ns")} for row in document["plugins"]["flows"]["top"]]
    return sorted(rows, key=str)


def buckets_of(document: dict[str, Any]) -> list[int]:
    """Frames of each bucket, whichever workers saw them."""
    workers = document["plugins"]["buckets"]["workers"]
    return [sum(counts) for counts in zip(*workers, strict=True)]


@pytest.mark.parametrize("fanout", ["hash", "qm", "ip-pair"])
def test_the_same_as_replayed(space: Space, tmp_path: Path, replayed: dict[str, Any], fanout: str) -> None:
    """Totals, every flow and every size, VLAN and QinQ, fragments and IPv6 included."""
    space.veth("numtxqueues 3 numrxqueues 3")
    sent = replayed["totals"]["packets"]
    arguments = ("--iface", "near", "--backend", "packet", "--queues", 3, "--fanout", fanout, *PLUGINS)
    with Capture(space, tmp_path, *arguments) as capture:
        space.send("far", BUNDLED)
        done = capture.wait_for(sent).finish()
    assert done.code == 0, done.stderr
    assert done.ledger["delivered"] == done.ledger["arrived"] == sent
    assert done.document["totals"]["bytes"] == replayed["totals"]["bytes"]
    assert done.document["plugins"]["sizes"] == replayed["plugins"]["sizes"]
    assert flows_of(done.document) == flows_of(replayed)
    assert buckets_of(done.document) == buckets_of(replayed)
    assert all(queue["packets"] for queue in done.document["queues"])


TAP = """
import fcntl, os, struct
for queue, frames in enumerate((5, 7, 11)):
    globals()[f"fd{queue}"] = fd = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(fd, 0x400454CA, struct.pack("16sH22x", b"mq0", 0x0002 | 0x1000 | 0x0100))
for fd, frames in ((fd0, 5), (fd1, 7), (fd2, 11)):
    for _ in range(frames):
        os.write(fd, bytes.fromhex("02" * 12 + "88b5") + bytes(86))
"""


def test_by_receive_queue(space: Space, tmp_path: Path) -> None:
    """Queue q of the interface is worker q's."""
    space.ip("tuntap add mq0 mode tap multi_queue")
    space.run("sh", "-c", "echo 1 > /proc/sys/net/ipv6/conf/mq0/disable_ipv6")
    space.ip("link set mq0 up")
    arguments = ("--iface", "mq0", "--backend", "packet", "--queues", 3, "--fanout", "qm", "--plugin", "sizes")
    with Capture(space, tmp_path, *arguments) as capture:
        space.run(sys.executable, "-c", TAP)
        done = capture.wait_for(23).finish()
    assert [queue["packets"] for queue in done.document["queues"]] == [5, 7, 11]


DIRECT = Path(__file__).with_name("direct.py")
PAIRS = Path(__file__).with_name("pairs.py")


def test_by_pair_of_addresses(space: Space) -> None:
    """Both directions, fragments and any port of two hosts are one socket's, with any number of VLAN tags."""
    space.veth()
    found = json.loads(space.run(sys.executable, PAIRS, BUNDLED))
    sockets_of: dict[str, set[int]] = {}
    for socket, pairs in enumerate(found):
        for pair in pairs:
            sockets_of.setdefault(pair, set()).add(socket)
    assert len(sockets_of) > 50
    assert all(len(sockets) == 1 for sockets in sockets_of.values())
    assert all(len(pairs) > len(sockets_of) / 10 for pairs in found)


def test_without_a_supervisor(space: Space) -> None:
    """What the source tells, when it wakes nobody, and every field of a descriptor, tags taken by the kernel included."""
    space.veth()
    before = time.time_ns()
    found = json.loads(space.run(sys.executable, DIRECT))
    assert found["told"][0].startswith("near went down") and found["told"][-1] == "near is up again"
    assert found["quiet"]
    assert found["ended"] == ["near stopped"]
    assert found["domain"] == 2
    assert all(before < row.pop("timestamp") < time.time_ns() for row in found["described"])
    offsets = [row.pop("offset") for row in found["described"]]
    assert sorted(set(offsets)) == offsets
    same = {"rss_hash": 0, "rss_type": 0, "flag_access": abi.ACCESS_READABLE, "port": 3}
    assert found["described"] == [
        {"wire_len": 60, "len": 60, "vlan_tci": 0, "vlan_tpid": 0, "status": 0, **same},
        {"wire_len": 104, "len": 100, "vlan_tci": 0x6005, "vlan_tpid": 0x8100, "status": abi.STATUS_VLAN, **same},
        {"wire_len": 108, "len": 104, "vlan_tci": 7, "vlan_tpid": 0x88A8, "status": abi.STATUS_VLAN, **same},
    ]


def test_killed_under_load(space: Space, tmp_path: Path, replayed: dict[str, Any]) -> None:
    """Frames that the kernel holds wait for the successor; none is lost, none comes twice."""
    space.veth()
    loops, kills = 150, 0
    sent = loops * replayed["totals"]["packets"]
    arguments = ("--iface", "near", "--backend", "packet", "--queues", 2, "--ring-slots", 65536, *PLUGINS)
    with Capture(space, tmp_path, *arguments) as capture:
        sender = space.start(sys.executable, SENDER, "far", BUNDLED, loops, 0)
        while sender.poll() is None:
            for worker in capture.workers():
                worker.send_signal(signal.SIGKILL)
                kills += 1
            time.sleep(0.2)
        done = capture.wait_for(sent).finish()
    assert done.code == 0, done.stderr
    assert kills > 4
    assert sum(queue["restarts"] for queue in done.document["queues"]) == kills
    assert done.ledger["arrived"] == sent
    assert done.ledger["delivered"] == sent - done.ledger["ring_full"]
    assert done.ledger["in_flight"] == 0
    if done.ledger["ring_full"] == 0:
        assert done.document["plugins"]["sizes"]["packets"] == sent
        assert done.document["plugins"]["sizes"]["bytes"] == loops * replayed["totals"]["bytes"]
        assert done.document["plugins"]["flows"]["count"] == replayed["plugins"]["flows"]["count"]


def test_overloaded(space: Space, tmp_path: Path) -> None:
    """Millions a second, by way of another CPU's backlog, and workers that die: each frame is in one row."""
    space.veth()
    space.run("sh", "-c", "echo 1 > /sys/class/net/near/queues/rx-0/rps_cpus")
    sent = 3_000_000
    arguments = ("--iface", "near", "--backend", "packet", "--queues", 2, "--plugin", "sizes")
    with Capture(space, tmp_path, *arguments) as capture:
        blast = space.start(sys.executable, BLAST, "near", sent)
        while blast.poll() is None:
            for worker in capture.workers():
                worker.send_signal(signal.SIGKILL)
            time.sleep(0.2)
        done = capture.wait_for(sent).finish()
    dropped = int(space.run("cat", "/sys/class/net/near/statistics/rx_dropped"))
    assert done.ledger["arrived"] == sent
    assert done.ledger["nic_drop"] == dropped
    assert done.ledger["in_flight"] == 0
    assert done.document["plugins"]["sizes"]["packets"] == done.ledger["delivered"]


def test_a_full_ring_has_a_row(space: Space, tmp_path: Path, replayed: dict[str, Any]) -> None:
    """A worker that stands still: what finds no room is counted, and what found room is delivered later."""
    space.veth()
    sent = 3 * replayed["totals"]["packets"]
    arguments = ("--iface", "near", "--backend", "packet", "--queues", 1, "--ring-slots", 64, *PLUGINS)
    with Capture(space, tmp_path, *arguments) as capture:
        (worker,) = capture.workers()
        worker.suspend()
        space.send("far", BUNDLED, loops=3)
        capture.wait_for(sent)
        worker.resume()
        until(lambda: list(capture.ticks())[-1]["totals"]["ledger"]["in_flight"] == 0, "the rest")
        done = capture.finish()
    assert done.ledger["arrived"] == sent
    assert 0 < done.ledger["ring_full"] < sent
    assert done.ledger["delivered"] == sent - done.ledger["ring_full"]
    assert done.document["plugins"]["sizes"]["packets"] == done.ledger["delivered"]
