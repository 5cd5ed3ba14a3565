"""Frames that an interface takes and sends later: those that come back, and what is still there at the end."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from zcframe.framework.outputs.kinds.frames import FrameSink
from zcframe.framework.outputs.writer.account import COUNT, Account, account_size
from zcframe.framework.outputs.writer.gaps import Gaps
from zcframe.framework.outputs.writer.merge import Merge
from zcframe.framework.outputs.writer.stream import Stream
from zcframe.framework.ring import Mapping, make_memory

from .test_outputs import Ring

# Bytes of a frame.
SIZE = 8


class Card(FrameSink):
    """Gives frames back, and keeps some. end: what it has sent."""

    def __init__(self) -> None:
        self._out, self.end = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        for one in (self._out, self.end):
            one.setblocking(False)
        super().__init__("card", self._out.fileno())
        self.back = self.kept = 0

    def fill_soon(self) -> None:
        """Have the kernel take few frames at a time."""
        self._out.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)

    @property
    def returned(self) -> int:
        return self.back

    def under_way(self) -> int:
        return self.kept

    def close(self) -> None:
        self._out.close()
        self.end.close()


@pytest.fixture
def card() -> Iterator[Card]:
    made = Card()
    yield made
    made.close()


@pytest.fixture
def account() -> Account:
    size = account_size(1)
    return Account(Mapping(make_memory("zc-test-account", size), size, writable=True), 0, 1)


def stream(card: Card, account: Account, worker: Ring) -> Stream:
    """A writer that takes over."""
    made = Stream(Merge([worker.row(0)], ng=False, live=False), [0], account, card, list, Gaps([]))
    made.begin()
    return made


def counts(account: Account) -> dict[str, int]:
    """Frames by what became of them; none is left out."""
    words = account.read()
    names = ("written", "down", "uncertain", "returned")
    return {name: int(words[getattr(COUNT, name)]) for name in names if words[getattr(COUNT, name)]}


def test_frames_that_come_back_were_not_written(card: Card, account: Account) -> None:
    """Each counts once, whoever writes: the interface keeps count, and the account how much of it is settled."""
    worker = Ring()
    worker.hand_on(*range(20))
    one = stream(card, account, worker)
    while one.turn(ended=False):
        pass
    assert counts(account) == {"written": 20}
    card.back = 3
    one.turn(ended=False)
    assert counts(account) == {"written": 17, "down": 3, "returned": 3}
    card.back = 5
    two = stream(card, account, worker)
    two.turn(ended=False)
    two.turn(ended=False)
    assert counts(account) == {"written": 15, "down": 5, "returned": 5}


def test_the_end_waits_for_what_is_under_way(card: Card, account: Account) -> None:
    """Only then it is known what comes back."""
    worker = Ring()
    worker.hand_on(*range(20))
    one = stream(card, account, worker)
    card.kept = 4
    while one.turn(ended=True):
        assert not one.finished
    assert counts(account) == {"written": 20}
    card.kept, card.back = 0, 1
    while not one.finished:
        one.turn(ended=True)
    assert counts(account) == {"written": 19, "down": 1, "returned": 1}


def test_an_end_at_once_says_what_nobody_knows(card: Card, account: Account) -> None:
    """What a full kernel had not taken of a batch is not written; what it keeps is uncertain."""
    worker = Ring()
    worker.hand_on(*range(200))
    one = stream(card, account, worker)
    card.fill_soon()
    while one.turn(ended=True):
        assert not one.finished
    card.kept = 2
    one.cut_short()
    taken = 0
    while not one_more(card):
        taken += 1
    assert 2 < taken < 200
    assert counts(account) == {"written": taken - 2, "uncertain": 2}
    assert int(account.read()[COUNT.octets]) == SIZE * taken


def one_more(card: Card) -> bool:
    """Whether no frame is left to read."""
    try:
        return not card.end.recv(1 << 16)
    except BlockingIOError:
        return True
