"""Records that become frames, one by one: on sockets whose kernel takes messages, refuses some, and is full at times."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from zcframe.framework.errors import OutputError
from zcframe.framework.nic.link.listeners import listeners
from zcframe.framework.outputs.kinds.frames import FrameSink
from zcframe.framework.outputs.sink import Pieces

FRAMES = [bytes([n]) * (14 + 7 * n % 90) for n in range(200)]


def record(frame: bytes) -> bytes:
    return struct.pack("=IIII", 1, 2, len(frame), len(frame)) + frame


def batch(sink: FrameSink, frames: list[bytes]) -> Pieces:
    """A batch in two pieces."""
    half = len(frames) // 2
    held = [np.frombuffer(b"".join(map(record, some)), np.uint8) for some in (frames[:half], frames[half:])]
    words = np.array([word for some in held for word in (some.ctypes.data, some.size)], np.int64)
    pieces = sink.pack(Pieces(words, 2, sum(some.size for some in held), len(frames)))
    pieces._held = held
    return pieces


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ends = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    for end in ends:
        end.setblocking(False)
    with ends[0], ends[1]:
        yield ends


def received(end: socket.socket) -> list[bytes]:
    found = []
    while True:
        try:
            found.append(end.recv(1 << 16))
        except BlockingIOError:
            return found


def test_a_full_kernel_is_asked_again(pair: tuple[socket.socket, socket.socket]) -> None:
    """Where it was: no frame twice, none left out."""
    out, end = pair
    sink = FrameSink("x", out.fileno())
    pieces = batch(sink, FRAMES)
    assert pieces.octets == sum(map(len, FRAMES))
    found: list[bytes] = []
    for _ in range(len(FRAMES)):
        left, done = pieces.left, sink.write(pieces)
        found += received(end)
        if done:
            break
        assert pieces.left < left
    assert found == FRAMES and pieces.left == 0
    assert (pieces.refused, pieces.down, pieces.unsent) == (0, 0, 0)


def test_what_is_too_long_is_counted_and_passed_over(pair: tuple[socket.socket, socket.socket]) -> None:
    out, end = pair
    out.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8192)
    sink = FrameSink("x", out.fileno())
    pieces = batch(sink, [b"a" * 60, b"b" * 60_000, b"c" * 60, b"d" * 60_000])
    assert sink.write(pieces)
    assert received(end) == [b"a" * 60, b"c" * 60]
    assert (pieces.refused, pieces.down, pieces.unsent) == (2, 0, 120_000)


def test_a_kernel_that_refuses_for_good_ends_the_output(pair: tuple[socket.socket, socket.socket]) -> None:
    """What it did not take of the batch is counted, and nothing more is written."""
    out, end = pair
    end.close()
    sink = FrameSink("x", out.fileno())
    pieces = batch(sink, FRAMES)
    assert sink.taken and sink.write(pieces)
    assert (pieces.refused, pieces.down) == (0, len(FRAMES))
    with pytest.raises(OutputError, match="x takes no more frames: Connection refused; was it removed?"):
        _ = sink.taken


def test_who_listens(tmp_path: Path) -> None:
    table = tmp_path / "packet"
    table.write_text(
        "sk               RefCnt Type Proto  Iface R Rmem   User   Inode\n"
        "0000000000000000 3      3    0003   7     1 0      0      1\n"
        "0000000000000000 3      3    0003   7     1 0      0      2\n"
        "0000000000000000 3      3    0003   7     0 0      0      3\n"  # not yet bound
        "0000000000000000 3      3    88cc   7     1 0      0      4\n"  # for LLDP alone
        "0000000000000000 3      3    0003   0     1 0      0      5\n"  # on every interface
        "0000000000000000 3      3    0000   0     0 0      0      6\n"
    )
    assert listeners(7, table) == (2, 1)
    assert listeners(8, table) == (0, 1)
    assert listeners(7, tmp_path / "none") == (0, 1)
