"""AF_XDP on veth and lo, in network namespaces: what is sent is what is found, and the stack gets its traffic back."""

from __future__ import annotations

import json
import signal
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.kit import reference
from tests.kit.checks import check_books, check_lossless, check_sizes, check_tally, octets_of
from tests.kit.command import Background, until
from tests.kit.places import ANALYZERS, BUNDLED

from .space import Space, program_of

pytestmark = pytest.mark.needs("root", "namespaces")

TALLY = ANALYZERS / "tally.py"
COUNTING = ("--plugin", "flows?top=1000000&active=0", f"{TALLY}:Tally", "sizes")
XDP = ("--backend", "xdp", "--iface")


def end(run: Background) -> dict[str, Any]:
    done = run.stop(signal.SIGINT)
    assert done.code == 0, done.stderr
    return done.document


def check_first(document: dict[str, Any], packets: list[reference.Packet], count: int) -> None:
    """The first `count` packets of the trace, sent again and again, are in every plugin's state exactly once."""
    lengths = reference.replayed_lengths(packets, count)
    expected = reference.replayed_flows(packets, count)
    check_lossless(document, count, octets_of(lengths))
    check_tally(document["plugins"]["tally"], lengths)
    check_sizes(document["plugins"]["sizes"], lengths)
    found = document["plugins"]["flows"]
    # How many flows there are depends on the order in which queues were emptied: a connection is opened again and again.
    assert (found["packets"], found["bytes"]) == (expected.packets, expected.bytes)


# --- what is sent is what is found


@pytest.mark.parametrize(
    ("queues", "workers"), [(4, 4), (1, 4), (2, 3)], ids=["one each", "four on one", "three on two"]
)
def test_queues_are_dealt_out_to_workers(space: Space, tmp_path: Path, queues: int, workers: int) -> None:
    space.veth(queues)
    with space.capture(tmp_path, *XDP, "near", "--queues", workers, *COUNTING) as run:
        document = end(run)
    assert [row["queue"] for row in document["queues"]] == [worker % queues for worker in range(workers)]
    assert [row["worker"] for row in document["queues"]] == list(range(workers))
    assert document["source"]["backend"] == "xdp"
    assert "in the driver, with one copy" in run.stderr


def test_generic_mode_on_the_loopback(space: Space, tmp_path: Path, packets: list[reference.Packet]) -> None:
    space.ip("link set lo mtu 1500 up")
    with space.capture(tmp_path, *XDP, "lo", "--queues", 2, *COUNTING) as run:
        space.send(BUNDLED, ifname="lo")
        document = end(run)
    check_first(document, packets, len(packets))
    assert "generic mode" in run.stderr


def test_frames_that_fill_a_page(space: Space, tmp_path: Path) -> None:
    """With a larger MTU a chunk is a page."""
    space.veth(1, mtu=3400)
    jumbo = tmp_path / "jumbo.pcap"
    frames = [bytes(12) + b"\x08\x06" + bytes([n]) * (3400 - n) for n in range(100)]
    head = bytes.fromhex("d4c3b2a1020004000000000000000000ffff000001000000")
    jumbo.write_bytes(head + b"".join(bytes(8) + len(f).to_bytes(4, "little") * 2 + f for f in frames))
    with space.capture(tmp_path, *XDP, "near", "--queues", 1, *COUNTING) as run:
        space.send(jumbo, rounds=7)
        document = end(run)
    assert check_books(document)["bytes"] == 7 * sum(map(len, frames))


def test_both_ends_of_a_link_as_one_capture(space: Space, tmp_path: Path, packets: list[reference.Packet]) -> None:
    space.veth(1)
    with space.capture(tmp_path, *XDP, "near", "far", "--queues", 2, *COUNTING) as run:
        space.send(BUNDLED, ifname="far")
        space.send(BUNDLED, ifname="near")
        document = end(run)
    check_first(document, packets, 2 * len(packets))
    by_name = Counter[str]()
    for row in document["queues"]:
        by_name[row["iface"]] += row["packets"]
    assert by_name == {"near": len(packets), "far": len(packets)}


# --- what the driver tells


@pytest.fixture
def telling(space: Space, tells_tags: bool) -> str:
    """The near end of a veth whose driver tells tags."""
    if not tells_tags:
        pytest.skip("this kernel's veth tells no tags")
    space.veth(1)
    return "near"


def test_what_comes_from_the_card_is_said(space: Space, telling: str, tmp_path: Path) -> None:
    """Not the time, since veth has no clock, nor the hash: that is the stack's own."""
    with space.capture(tmp_path, *XDP, telling, "--queues", 3) as run:
        end(run)
    assert "with one copy; from the card, where it tells them: VLAN tags\n" in run.stderr
    assert "rxvlan" not in run.stderr
    space.run("mount", "--bind", "/dev/null", "/sys/kernel/btf/vmlinux")
    with space.capture(tmp_path, *XDP, telling, "--queues", 3) as run:
        end(run)
    assert "in the driver, with one copy\n" in run.stderr


def test_the_driver_writes_in_front_of_each_frame(space: Space, telling: str, tmp_path: Path) -> None:
    """No time, hashes of ports and of none, and the tag where it came beside the frame."""
    udp = bytes(12) + bytes.fromhex("0800 45000024000000004011 0000 0a000001 0a000002 0035 1234 0010 0000") + bytes(8)
    arp = bytes(12) + b"\x08\x06" + bytes(46)
    tagged = udp[:12] + bytes.fromhex("88a8 6123") + udp[12:]
    file = tmp_path / "few.pcap"
    head = bytes.fromhex("d4c3b2a1020004000000000000000000ffff000001000000")
    frames = (udp, udp, arp, tagged)
    file.write_bytes(head + b"".join(bytes(8) + len(f).to_bytes(4, "little") * 2 + f for f in frames))
    with (
        space.start(*program_of("untag"), "far") as untagging,
        space.start(*program_of("records"), telling, 4) as printing,
    ):
        for program in (untagging, printing):
            assert program.stdout is not None
            assert program.stdout.readline() == "ready\n"
        space.send(file)
        rows = list(map(json.loads, printing.communicate()[0].splitlines()))
    assert [row[0] - 0x7A636D00 for row in rows] == [3, 3, 3, 7]
    assert [row[1] for row in rows] == [0, 0, 0, 0]
    # What was hashed, of XDP_RSS_TYPE_*: ports of any protocol, or nobody knows what.
    assert [row[3] for row in rows] == [8, 8, 0, 8]
    assert rows[0][2] == rows[1][2] > 8
    assert rows[3][4:] == ["88a8", 0x6123]


# --- loss


@pytest.mark.parametrize(("sends", "receives"), [("far", "near"), ("lo", "lo")], ids=["native", "generic"])
def test_every_frame_that_a_slow_worker_misses_is_counted(
    space: Space, tmp_path: Path, sends: str, receives: str
) -> None:
    """What the sender's own counter has not lost has arrived, and is delivered or has found no room."""
    space.veth(1)
    space.ip("link set lo mtu 1500 up")
    slow = ("--plugin", f"{TALLY}:Slow?rounds=300000")
    with space.capture(tmp_path, *XDP, receives, "--queues", 1, "--ring-slots", 64, *slow) as run:
        with space.sending(BUNDLED, pps=0, ifname=sends) as sender:
            run.overflow()
            sent = int(sender.communicate()[0])
        document = end(run)
    ledger = check_books(document)["ledger"]
    assert ledger["ring_full"] > 0
    assert ledger["arrived"] == sent - space.link(sends)["stats64"]["tx"]["dropped"]
    assert ledger["in_flight"] == 0
    # What lo's backlog had no room for is counted for lo as a whole.
    assert ledger["at_least"] == bool(ledger["nic_drop"])


@pytest.mark.parametrize(("queues", "workers"), [(2, 2), (1, 2)], ids=["one each", "two on one"])
def test_stopped_in_the_middle_of_traffic(space: Space, tmp_path: Path, queues: int, workers: int) -> None:
    """What comes after the order passes to the stack; what came before is taken, to the last frame."""
    space.veth(queues)
    options = ("near", "--queues", workers)
    with space.capture(tmp_path, *XDP, *options, *COUNTING) as run, space.sending(BUNDLED, pps=0) as sender:
        run.flowing()
        document = end(run)
        before = space.link("near")["stats64"]["rx"]["packets"]
        until(lambda: space.link("near")["stats64"]["rx"]["packets"] > before, 5, "traffic goes on")
        sender.communicate()
    ledger = check_books(document)["ledger"]
    assert ledger["arrived"] > 0
    assert ledger["in_flight"] == 0


# --- deaths


# A worker's receive ring of 8,192 frames lasts for two seconds: a successor is there by then on the slowest machine.
BRIDGED_PPS = 4_000
DEATHS = 30


@pytest.mark.parametrize(("queues", "workers"), [(2, 2), (1, 3)], ids=["one each", "three on one"])
def test_workers_killed_in_traffic(
    space: Space, tmp_path: Path, packets: list[reference.Packet], queues: int, workers: int
) -> None:
    """At a rate that lets rings bridge the time until a successor is there: every frame counts once."""
    space.veth(queues)
    with space.capture(tmp_path, *XDP, "near", "--queues", workers, *COUNTING) as run:
        with space.sending(BUNDLED, pps=BRIDGED_PPS) as sender:
            killed = run.kill(DEATHS, "zc-rx-", rate=20, seed=workers)
            sent = int(sender.communicate()[0])
        document = end(run)
    assert document["totals"]["restarts"] == len(killed)
    assert (space.link("far")["stats64"]["tx"]["dropped"], document["totals"]["ledger"]["ring_full"]) == (0, 0)
    check_first(document, packets, sent)


@pytest.mark.parametrize(("queues", "workers"), [(2, 2), (1, 3)], ids=["one each", "three on one"])
def test_workers_killed_under_overload(space: Space, tmp_path: Path, queues: int, workers: int) -> None:
    """Small rings overflow before a successor is there: each frame is found once, or counted as lost once."""
    space.veth(queues)
    options = ("--queues", workers, "--ring-slots", 64)
    with space.capture(tmp_path, *XDP, "near", *options, *COUNTING) as run:
        with space.sending(BUNDLED, pps=0) as sender:
            run.kill(DEATHS, "zc-rx-", rate=20, seed=workers)
            run.overflow()
            sent = int(sender.communicate()[0])
        document = end(run)
    totals = check_books(document)
    assert totals["ledger"]["arrived"] == sent - space.link("far")["stats64"]["tx"]["dropped"]
    assert totals["ledger"]["ring_full"] > 0
    assert document["plugins"]["tally"]["counts"] == [totals["packets"], totals["bytes"], totals["packets"], 0]


def heard(space: Space, ifname: str) -> int:
    """How many frames of a trace sent once come through to the stack."""
    listen = (
        "import socket, sys; s = socket.socket(17, 3, socket.htons(3)); s.setsockopt(1, 33, 1 << 24);"
        f" s.bind(({ifname!r}, 3)); print('ready', flush=True); sys.stdin.read(); s.setblocking(False); n = 0\n"
        "try:\n    while True: n += s.recvfrom(9)[1][2] != 4\nexcept BlockingIOError: print(n)"
    )
    with space.start(sys.executable, "-c", listen) as listener:
        assert listener.stdout is not None
        assert listener.stdout.readline() == "ready\n"
        space.send(BUNDLED)
        return int(listener.communicate()[0])


def test_the_stack_gets_nothing_during_a_run_and_everything_after_it(
    space: Space, tmp_path: Path, packets: list[reference.Packet]
) -> None:
    space.veth(2)
    with space.capture(tmp_path, *XDP, "near", "--queues", 2) as run:
        assert "xdp" in space.link("near")
        assert space.link("near")["promiscuity"] == 1
        assert heard(space, "near") == 0
        end(run)
    assert "xdp" not in space.link("near")
    assert space.link("near")["promiscuity"] == 0
    assert heard(space, "near") == len(packets)


def test_a_killed_supervisor_leaves_no_program_and_the_next_run_starts_at_once(
    space: Space, tmp_path: Path, packets: list[reference.Packet]
) -> None:
    space.veth(2)
    with space.capture(tmp_path, *XDP, "near", "--queues", 4) as run:
        workers = run.workers()
        assert len(workers) == 4
        run.signal(signal.SIGKILL)
        psutil.wait_procs(workers, 5)
    until(lambda: "xdp" not in space.link("near"), 5, "the program is gone")
    assert heard(space, "near") == len(packets)
    with space.capture(tmp_path, *XDP, "near", "--queues", 4) as run:
        run.signal(signal.SIGKILL)
        run.process.wait()
        again = space.capture(tmp_path, *XDP, "near", "--queues", 4, *COUNTING)
    with again:
        space.send(BUNDLED)
        check_first(end(again), packets, len(packets))
