"""A count-min sketch: how much each of any number of keys came to, never too little, in memory of a fixed size.

G. Cormode, S. Muthukrishnan, An improved data stream summary, 2005. Counters add up, so that any split gives the same.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from zcframe.framework.state.declare import Array
from zcframe.framework.state.kinds import u64

from .kind import Method, Sketch, Value, power_of_two, require
from .words import hashed, mixed


def _at(code: int, row: int, width: int) -> int:
    """Where a key's counter of a row stands."""
    return row * width + (mixed(code ^ row + 1) & (width - 1))


def _add(one: Any, amount: int, key: Any) -> None:
    code, amount = hashed(key), max(amount, 0)
    one.total[0] += amount
    for row in range(one.depth):
        one.counts[_at(code, row, one.columns)] += amount


def _estimate(one: Any, key: Any) -> Any:
    code = hashed(key)
    least = one.counts[_at(code, 0, one.columns)]
    for row in range(1, one.depth):
        least = min(least, one.counts[_at(code, row, one.columns)])
    return least


class CountMinValue(Value):
    """`estimate(k0, k1, ...)`: what a key came to, or at most `error` more with a probability of 1 - e^-depth."""

    @property
    def total(self) -> int:
        """What all keys came to."""
        return int(self["total"][0])

    @property
    def error(self) -> float:
        """e / width of the total."""
        return math.e / float(self.kind.columns) * self.total

    def estimate(self, *key: int) -> int:
        kind = self.kind
        code = hashed(key)
        return min(int(self["counts"][_at(code, row, kind.columns)]) for row in range(kind.depth))

    def summary(self) -> dict[str, Any]:
        return {"total": self.total, "error": self.error}


@dataclass(frozen=True)
class CountMin(Sketch):
    """What each of many keys came to, at least: an estimate is never too small.

    width: counters a row, rounded up to a power of two; an estimate is too large by more than e / width of the total
    with a probability of e^-depth at most. depth: rows.
    In `filter`: `state.name.add(amount, k0, k1, ...)` (an amount below 0 counts as 0), `state.name.estimate(k0, ...)`.
    In `report`: CountMinValue.
    """

    width: Any = 2048
    depth: Any = 4

    METHODS: ClassVar[Mapping[str, Method]] = {
        "add": Method(_add, keyed=True),
        "estimate": Method(_estimate, keyed=True, writes=False),
    }
    VALUE: ClassVar[type[Value]] = CountMinValue

    def __post_init__(self) -> None:
        require(self, "width", 2, 1 << 24)
        require(self, "depth", 1, 16)

    @property
    def columns(self) -> int:
        """Counters a row."""
        return power_of_two(self.width)

    def settings(self) -> dict[str, Any]:
        return {**super().settings(), "columns": self.columns}

    def arrays(self) -> Mapping[str, Array]:
        return {"total": Array(u64, 1), "counts": Array(u64, self.columns * self.depth)}
