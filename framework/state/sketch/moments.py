"""Count, sum and sum of squares as whole numbers: mean and variance without a rounding error, in any order."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from zcframe.framework.state.declare import Array
from zcframe.framework.state.kinds import u64

from .kind import Method, Sketch, Value
from .words import logical, product_high, wrapped_product

# Sums are kept in words of LIMB bits each, which add up without carrying for 2^40 values.
LIMB = 24
MASK = (1 << LIMB) - 1
MOST = 1 << 47


def _add(one: Any, value: int) -> None:
    value = min(max(value, -MOST), MOST)
    low, high = wrapped_product(value, value), product_high(value, value)
    one.count[0] += 1
    one.sums[0] += value & MASK
    one.sums[1] += value >> LIMB
    one.squares[0] += low & MASK
    one.squares[1] += low >> LIMB & MASK
    one.squares[2] += (logical(low, 2 * LIMB) | high << 16) & MASK
    one.squares[3] += high >> 8
    if value + MOST > one.height[0]:
        one.height[0] = value + MOST
    if MOST - value > one.depth[0]:
        one.depth[0] = MOST - value


class MomentsValue(Value):
    """`count`, `sum`, `squares`, `min`, `max` are exact whole numbers; the others are floats, rounded once."""

    @property
    def count(self) -> int:
        return int(self["count"][0])

    @property
    def sum(self) -> int:
        low, high = (int(word) for word in self["sums"].astype("i8"))
        return low + (high << LIMB)

    @property
    def squares(self) -> int:
        """Sum of the squares."""
        return sum(int(word) << LIMB * at for at, word in enumerate(self["squares"]))

    @property
    def min(self) -> int:
        """The smallest value; 0 where there is none."""
        return MOST - int(self["depth"][0]) if self.count else 0

    @property
    def max(self) -> int:
        """The largest value; 0 where there is none."""
        return int(self["height"][0]) - MOST if self.count else 0

    @property
    def mean(self) -> float:
        return self.sum / self.count if self.count else 0.0

    @property
    def variance(self) -> float:
        """Of the values themselves, as numpy.var: divided by their count."""
        count = self.count
        return (count * self.squares - self.sum**2) / count**2 if count else 0.0

    @property
    def std(self) -> float:
        """Standard deviation."""
        return math.sqrt(self.variance)

    @property
    def jitter(self) -> float:
        """Standard deviation as a part of the mean (coefficient of variation): 0 for what is as regular as a clock."""
        return self.std / abs(self.mean) if self.sum else 0.0

    def summary(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in ("count", "min", "mean", "max", "std")}


@dataclass(frozen=True)
class Moments(Sketch):
    """Count, mean, variance, least and largest of whole numbers, exact up to 2^40 values.

    Values are from -2^47 to 2^47 (in ns, 39 hours); what is beyond counts as that.
    In `filter`: `state.name.add(value)`, `row.name.add(value)`. In `report`: MomentsValue.
    """

    METHODS: ClassVar[Mapping[str, Method]] = {"add": Method(_add)}
    VALUE: ClassVar[type[Value]] = MomentsValue

    def arrays(self) -> Mapping[str, Array]:
        words = {"count": 1, "sums": 2, "squares": 4}
        return {name: Array(u64, length) for name, length in words.items()} | {
            name: Array(u64.max, 1) for name in ("height", "depth")
        }
