"""Both directions of a tap on two interfaces: one output has them in the order in which they were sent."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from tests.kit import reference
from tests.kit.checks import check_flows
from tests.kit.places import BUNDLED

from .programs.directions import direction
from .space import SENT_PPS, Space, program_of

pytestmark = pytest.mark.needs("root", "namespaces", "tshark")

TAP = ("--iface", "near0", "near1", "--backend")
PACKET, XDP = ("packet", "--queues", 2, "--ring-slots", 32768), ("xdp", "--queues", 1)
BACKENDS = pytest.mark.parametrize("backend", [PACKET, XDP], ids=["packet", "xdp"])


def records(path: Path) -> list[tuple[int, bytes]]:
    """Times in nanoseconds, and frames."""
    return [(packet.ts, packet.frame) for packet in reference.read(path).packets]


def inversions(times: list[int]) -> int:
    """Records behind a younger one."""
    latest, found = 0, 0
    for moment in times:
        found += moment < latest
        latest = max(latest, moment)
    return found


def pair(frame: bytes) -> frozenset[bytes]:
    found = reference.headers(frame)
    return frozenset((found.src, found.dst)) if found is not None else frozenset()


@pytest.fixture
def tap(space: Space) -> Space:
    for side in (0, 1):
        space.veth(names=(f"near{side}", f"far{side}"))
    return space


def captured(tap: Space, folder: Path, sent: int, backend: tuple[object, ...], *words: object) -> Any:
    with tap.capture(folder, *TAP, *backend, "--plugin", "flows?top=100000", *words) as run:
        assert tap.run(*program_of("directions"), BUNDLED, 1, SENT_PPS, "far0", "far1") == str(sent)
        done = run.wait_for(sent).stop()
    assert done.code == 0, done.stderr
    assert done.ledger["accepted"] == sent
    return done.document


@BACKENDS
def test_both_directions_meet_in_order(
    tap: Space, tmp_path: Path, packets: list[reference.Packet], backend: tuple[object, ...]
) -> None:
    frames = [packet.frame for packet in packets]
    whole, shares = tmp_path / "all.pcapng", [tmp_path / f"s{share}.pcap" for share in (0, 1)]
    outs = (f"pcapng:{whole}", f"pcap:{tmp_path}/s{{}}.pcap,shares=2")
    before = time.time_ns()
    document = captured(tap, tmp_path, len(frames), backend, "--out", *outs)
    all_rows = [row for output in document["outputs"] for row in output["shares"]]
    assert [row["offered"] - row["written"] for row in all_rows] == [0, 0, 0]
    for path, row in zip((whole, *shares), all_rows, strict=True):
        found = records(path)
        # What came later than the merge waits for is told, to the frame; all else is in order.
        assert inversions([moment for moment, _ in found]) == row["late"]
    in_order = sorted(records(whole))
    assert before < in_order[0][0] and in_order[-1][0] < time.time_ns()
    assert [frame for _, frame in in_order] == frames
    merged = sorted(record for path in shares for record in records(path))
    assert merged == in_order
    if all_rows[0]["late"] == 0:
        assert records(whole) == in_order
    # Both directions of two hosts are in one share, and each record names the interface that it came by.
    pairs = [{pair(frame) for _, frame in records(path)} for path in shares]
    assert len(pairs[0]) > 5 < len(pairs[1]) and not pairs[0] & pairs[1]
    words = ["tshark", "-n", "-r", str(whole), "-T", "fields", "-e", "frame.interface_name"]
    names = subprocess.run(words, capture_output=True, text=True, check=True).stdout.splitlines()
    assert [name.partition("/")[0] for name in names] == [f"near{direction(frame)}" for _, frame in records(whole)]
    rows = {(row["iface"], row["queue"]) for row in document["queues"]}
    assert rows == {(f"near{side}", queue) for side in (0, 1) for queue in range(2 if backend is PACKET else 1)}


@BACKENDS
def test_a_conversation_of_two_interfaces_is_one_flow_in_the_end(
    tap: Space, tmp_path: Path, packets: list[reference.Packet], backend: tuple[object, ...]
) -> None:
    """Its directions lie in two workers' state until they are merged."""
    out = tmp_path / "all.pcap"
    report = captured(tap, tmp_path, len(packets), backend, "--out", f"pcap:{out}")["plugins"]["flows"]
    check_flows(report, reference.flows(sorted(reference.read(out).packets, key=lambda packet: packet.ts)))
