"""Measurements in turns, round by round: what disturbs the machine for a while disturbs all of them."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Spread:
    """Several runs of one measurement."""

    values: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    @property
    def least(self) -> float:
        return min(self.values)

    @property
    def most(self) -> float:
        return max(self.values)

    def per(self, amount: float) -> Spread:
        """`amount` over each value: a rate from seconds."""
        return Spread(tuple(amount / value for value in self.values))

    def times(self, factor: float) -> Spread:
        return Spread(tuple(value * factor for value in self.values))

    def over(self, other: Spread) -> Spread:
        """Each value over the other's value of the same round."""
        return Spread(tuple(a / b for a, b in zip(self.values, other.values, strict=True)))


def in_turns(rounds: int, *measures: Callable[[], T]) -> list[tuple[T, ...]]:
    """What each of `measures` returned, round by round: they are called in turns, every second round backwards."""
    found: list[list[T]] = [[] for _ in measures]
    for number in range(rounds):
        order = range(len(measures))
        for k in order if number % 2 == 0 else reversed(order):
            found[k].append(measures[k]())
    return [tuple(values) for values in found]
