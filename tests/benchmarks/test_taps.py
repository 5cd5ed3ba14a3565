"""The bench of taps: both sides put the same frames into the tap."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from benchmarks.bench import Bench
from benchmarks.taps import COUNT_OF_FRAMES, ETH_P_ALL, NAME, Filled, bare_loop, private_network, read_tap, records
from zcframe.framework.outputs.kinds.tap import TapSink

pytestmark = pytest.mark.needs("root", "namespaces", "gcc")
SIZE = 64
SO_RCVBUFFORCE = 33


def received(reader: socket.socket) -> list[bytes]:
    found = []
    while True:
        try:
            found.append(reader.recv(2048))
        except BlockingIOError:
            return found


def test_both_sides_write_the_same(tmp_path: Path) -> None:
    with private_network(), read_tap() as (fd, index), socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as reader:
        reader.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 64 << 20)
        reader.setblocking(False)
        reader.bind((NAME, ETH_P_ALL))
        ours = Filled(records(SIZE), TapSink(NAME, index, fd))
        ours.write()
        mine = received(reader)
        assert bare_loop(Bench(tmp_path, 1), fd, ours.data, SIZE)() == COUNT_OF_FRAMES
        theirs = received(reader)
    assert len(mine) == COUNT_OF_FRAMES
    assert mine == theirs
