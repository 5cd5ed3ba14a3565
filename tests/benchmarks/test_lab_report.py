"""The tables say what was measured, and the wire carries whole frames, whatever the reader's pace."""

from __future__ import annotations

import json
import socket
import struct
import subprocess
import time
from pathlib import Path

import pytest

from benchmarks.lab.build import build_host
from benchmarks.lab.contenders import CONTENDERS, ONE_QUEUE, PCAP, PCAP_FANOUT, RING, RING_ONE
from benchmarks.lab.report import Figures, bars
from benchmarks.rounds import Spread


def figures(**changed: float) -> Figures:
    """Everybody at 100, but PF_ZEROCOPY (`ours`) and libpcap with one socket and with eight."""
    of = {RING: "ours", RING_ONE: "ours", PCAP: "one", PCAP_FANOUT: "eight"}
    calm = {(who, 1000): Spread((changed.get(of.get(who, ""), 100.0),)) for who in (*CONTENDERS, *ONE_QUEUE)}
    spreads = {(who, 60): calm[who, 1000] for who in CONTENDERS}
    return Figures(spreads, spreads, spreads, calm)


def test_bars_are_held_against_the_best_of_libpcap() -> None:
    delivered, kernel, eight, one, mixed = bars(figures(ours=500.0, one=10.0, eight=130.0))
    assert (delivered.peer, delivered.ratio) == (0.13, pytest.approx(500 / 130))
    assert (kernel.peer, kernel.ratio) == (10.0, 10.0 / 500.0)
    assert "missed" in delivered.verdict
    assert (eight.peer, one.peer, mixed.peer) == (130.0, 10.0, 10.0)
    assert "missed" in eight.verdict and "missed" in one.verdict and "missed" in mixed.verdict


def test_bars_are_met() -> None:
    assert [row.verdict for row in bars(figures(ours=400.0))] == ["met", "missed by 91.7 %"] + ["missed by 75.0 %"] * 3
    assert [row.verdict for row in bars(figures(ours=20.0))] == ["missed by 95.0 %"] + ["met"] * 4


def read_frames(wire: socket.socket, pause: float) -> list[int]:
    """Lengths of the frames of QEMU's stream, until the other end is closed."""
    octets, lengths = b"", []
    while chunk := wire.recv(50_000):
        octets += chunk
        time.sleep(pause)
    while octets:
        (length,) = struct.unpack_from("!I", octets)
        assert octets[4:6] == b"\x02\xfe"
        lengths.append(length)
        octets = octets[4 + length :]
    return lengths


@pytest.mark.parametrize("pause", [0.0, 0.01], ids=["fast", "slow"])
@pytest.mark.parametrize("size", [60, 0], ids=["60", "random"])
def test_the_wire_carries_whole_frames(tmp_path: Path, size: int, pause: float) -> None:
    ours, theirs = socket.socketpair()
    command = [str(build_host(tmp_path)["offer"]), str(size), "100000", "0.2"]
    with ours, subprocess.Popen(command, stdin=theirs.fileno(), stdout=subprocess.PIPE, text=True) as offer:
        theirs.close()
        lengths = read_frames(ours, pause)
        said = json.loads(offer.communicate()[0])
    assert said["offered"] == 20_000
    assert len(lengths) == said["taken"]
    assert set(lengths) == {60} if size else min(lengths) >= 60 and max(lengths) <= 1514
