"""The packet source with real sockets: what a veth brings, whole, once, and in its place."""

from __future__ import annotations

import contextlib
import json
import time
from pathlib import Path

import psutil
import pytest

from tests.kit import reference
from tests.kit.checks import check_sizes
from tests.kit.command import Background, until
from tests.kit.places import BUNDLED
from zcframe.framework import abi

from .space import Space, program_of

pytestmark = pytest.mark.needs("root", "namespaces")

NEAR = ("--iface", "near", "--backend", "packet")


def test_by_pair_of_addresses(space: Space) -> None:
    """Both directions, fragments and any port of two hosts are one socket's, with any number of VLAN tags."""
    space.veth()
    found = json.loads(space.run(*program_of("pairs"), BUNDLED))
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
    found = json.loads(space.run(*program_of("direct")))
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


def kill_workers(run: Background) -> set[int]:
    """Whichever there are; returns their pids: on a busy machine one takes its time to die, and is found again."""
    killed = set()
    for worker in run.workers():
        with contextlib.suppress(psutil.NoSuchProcess):
            worker.kill()
            killed.add(worker.pid)
    return killed


def test_killed_under_load(space: Space, tmp_path: Path, packets: list[reference.Packet]) -> None:
    """Frames that the kernel holds wait for the successor; none is lost, none comes twice."""
    space.veth()
    counting = ("--plugin", "flows?top=100000", "sizes")
    with space.capture(tmp_path, *NEAR, "--queues", 2, "--ring-slots", 65536, *counting) as run:
        with space.sending(BUNDLED, pps=0) as sender:
            killed = run.kill(24, "zc-rx-", rate=10)
            sent = int(sender.communicate()[0])
        done = run.wait_for(sent).stop()
    assert done.code == 0, done.stderr
    assert sum(queue["restarts"] for queue in done.document["queues"]) == len(killed)
    assert done.ledger["arrived"] == sent
    assert done.ledger["delivered"] == sent - done.ledger["ring_full"]
    assert done.ledger["in_flight"] == 0
    if done.ledger["ring_full"] == 0:
        check_sizes(done.document["plugins"]["sizes"], reference.replayed_lengths(packets, sent))
        flows = reference.replayed_flows(packets, sent)
        assert done.document["plugins"]["flows"]["packets"] == flows.packets


# Of each worker.
MOST_KILLS = 40


def test_overloaded(space: Space, tmp_path: Path) -> None:
    """Millions a second, by way of another CPU's backlog, and workers that die: each frame is in one row."""
    space.veth()
    space.run("sh", "-c", "echo 1 > /sys/class/net/near/queues/rx-0/rps_cpus")
    sent = 3_000_000
    with space.capture(tmp_path, *NEAR, "--queues", 2, "--plugin", "sizes") as run:
        with space.start(*program_of("blast"), "near", sent) as blast:
            # No more often: a worker that dies 50 times at one packet ends the run, and one of them gets no packet.
            for _ in range(MOST_KILLS):
                if blast.poll() is None:
                    kill_workers(run)
                    time.sleep(0.2)
        done = run.wait_for(sent).stop()
    dropped = int(space.run("cat", "/sys/class/net/near/statistics/rx_dropped"))
    assert done.ledger["arrived"] == sent
    assert done.ledger["nic_drop"] == dropped
    assert done.ledger["in_flight"] == 0
    assert done.document["plugins"]["sizes"]["packets"] == done.ledger["delivered"]


def test_a_full_ring_has_a_row(space: Space, tmp_path: Path, packets: list[reference.Packet]) -> None:
    """A worker that stands still: what finds no room is counted, and what found room is delivered later."""
    space.veth()
    sent = 3 * len(packets)
    with space.capture(tmp_path, *NEAR, "--queues", 1, "--ring-slots", 64, "--plugin", "sizes") as run:
        (worker,) = run.workers()
        worker.suspend()
        space.send(BUNDLED, rounds=3, pps=0)
        run.wait_for(sent)
        worker.resume()
        until(lambda: run.ledger["in_flight"] == 0, what="the rest")
        done = run.stop()
    assert done.ledger["arrived"] == sent
    assert 0 < done.ledger["ring_full"] < sent
    assert done.ledger["delivered"] == sent - done.ledger["ring_full"]
    assert done.document["plugins"]["sizes"]["packets"] == done.ledger["delivered"]
