"""When compiled code yields its CPU and when it sleeps, while it waits for another process."""

from __future__ import annotations

import numpy as np
import pytest

from zcframe.framework.jit.compiler import compiled
from zcframe.framework.jit.waiting import WAITING_WORDS, WARY_WAITS, wait, waited

YIELDS = 5
HOUR_NS = 3_600_000_000_000
# No system call is as fast.
INSTANT_NS = 1


@compiled
def waits(waiting, count, patience, slept):  # type: ignore[no-untyped-def]
    """Wait `count` times in a row; slept: uint8, 1 for each wait that slept."""
    for number in range(count):
        slept[number] = wait(waiting, YIELDS, patience, 1)


@compiled
def note_arrival(waiting):  # type: ignore[no-untyped-def]
    waited(waiting)


class Waiter:
    def __init__(self, patience: int) -> None:
        self._words, self._patience = np.zeros(WAITING_WORDS, np.int64), patience

    def waits(self, count: int) -> list[int]:
        slept = np.zeros(count, np.uint8)
        waits(self._words.ctypes.data, count, self._patience, slept)
        return slept.tolist()

    def came(self) -> None:
        note_arrival(self._words.ctypes.data)


def test_it_yields_so_often_and_then_sleeps() -> None:
    waiter = Waiter(HOUR_NS)
    for _ in range(3):
        assert waiter.waits(YIELDS + 3) == [0] * YIELDS + [1] * 3
        waiter.came()


def test_without_patience_it_sleeps() -> None:
    assert Waiter(0).waits(4) == [1] * 4


@pytest.mark.parametrize("rounds", [1, 2])
def test_where_yields_are_long_it_sleeps_for_a_while(rounds: int) -> None:
    """Two long ones in a row may be chance; the third is not. Later it tries again."""
    waiter = Waiter(INSTANT_NS)
    for _ in range(rounds):
        assert waiter.waits(3 + WARY_WAITS) == [0] * 3 + [1] * WARY_WAITS
        waiter.came()
    assert waiter.waits(1) == [0]
