"""Messages between a host and the process of its run: whole, in shared memory where they are large, never in the way."""

from __future__ import annotations

import array
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.kit import runs
from zcframe.framework.cli.hosted.reporter import Reporter
from zcframe.framework.cli.hosted.voice import Voice
from zcframe.framework.library.channel import INLINE, Channel
from zcframe.framework.library.message import Counted, Line, Progress, Started


@dataclass
class Pair:
    here: Channel
    there: Channel


@pytest.fixture
def pair() -> Iterator[Pair]:
    one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    found = Pair(Channel(one), Channel(other))
    yield found
    found.here.close()
    found.there.close()


def _descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def _fill(channel: Channel) -> int:
    """Messages until there is no room."""
    count = 0
    while channel.send(Started(), wait=False):
        count += 1
    return count


@pytest.mark.parametrize("message", ["a", {"b": [1, None]}, "x" * INLINE, b"y" * 3_000_000, list(range(10_000))])
def test_what_is_sent_is_received(pair: Pair, message: Any) -> None:
    before = _descriptors()
    for _ in range(3):
        assert pair.here.send(message)
    assert [pair.there.receive() for _ in range(3)] == [message] * 3
    assert _descriptors() == before


def test_arrays_are_mapped_and_the_receiver_s_own(pair: Pair) -> None:
    rows = np.zeros(70_000, [("key", "u1"), ("value", "u8"), ("pair", "u4", 2)])
    rows["value"] = np.arange(len(rows))
    sent = {"rows": rows, "few": np.arange(3, dtype="u2"), "none": np.zeros(0), "words": array.array("i", [1])}
    pair.here.send(sent)
    found = pair.there.receive()
    assert (found["rows"] == rows).all() and found["rows"].dtype == rows.dtype
    assert found["few"].tolist() == [0, 1, 2] and len(found["none"]) == 0
    assert any("zcframe-message" in line for line in Path("/proc/self/maps").read_text().splitlines())
    found["rows"]["value"][:] = 7
    assert rows["value"][8] == 8
    del found
    assert not any("zcframe-message" in line for line in Path("/proc/self/maps").read_text().splitlines())


def test_the_end_of_the_other_is_an_end(pair: Pair) -> None:
    pair.here.send("last")
    pair.here.close()
    assert pair.there.receive() == "last"
    with pytest.raises(EOFError):
        pair.there.receive()
    with pytest.raises(BrokenPipeError):
        pair.there.send("nobody")


def test_who_does_not_listen_holds_nobody_up(pair: Pair) -> None:
    assert pair.here.taken
    count = _fill(pair.here)
    assert count > 10 and not pair.here.taken
    before = _descriptors()
    assert not pair.here.send(b"x" * 100_000, wait=False)
    assert _descriptors() == before
    print("lost", file=Voice(pair.here, "stdout"))
    for _ in range(count):
        assert pair.there.receive() == Started()
    assert pair.here.taken


def test_an_answer_waits_for_room_and_progress_does_not(pair: Pair) -> None:
    reporter, snapshot = Reporter(pair.here, progress=True), runs.snapshot(progress=(3, 9))
    reporter.tick(snapshot)
    count = _fill(pair.here)
    reporter.asked(snapshot)
    reporter.tick(snapshot)
    assert pair.there.receive() == Progress(3, 9, snapshot.totals.packets, snapshot.elapsed_s)
    for _ in range(count):
        assert pair.there.receive() == Started()
    reporter.tick(snapshot)
    answer = pair.there.receive()
    assert isinstance(answer, Counted) and '"flows"' in answer.document
    reporter.tick(snapshot)
    assert isinstance(pair.there.receive(), Progress)
    assert pair.here.taken


def test_a_state_that_cannot_be_handed_over_leaves_the_rest(pair: Pair) -> None:
    reporter = Reporter(pair.here, progress=False)
    reporter.finished(runs.result(states={"mine": lambda: 1}))
    answer = pair.there.receive()
    assert answer.states == {} and "cannot be handed over" in answer.warnings[-1]


def test_lines_are_whole(pair: Pair) -> None:
    voice = Voice(pair.here, "stderr")
    for piece in ("half a ", "line\nand", " another\n\nrest"):
        voice.write(piece)
    found = [pair.there.receive() for _ in range(3)]
    assert found == [Line(text, "stderr") for text in ("half a line", "and another", "")]
    assert pair.here.taken
