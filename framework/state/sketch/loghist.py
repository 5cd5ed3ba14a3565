"""A log-linear histogram, as HDR histograms are: quantiles of any distribution, within a stated part of the value."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from zcframe.framework.state.declare import Array
from zcframe.framework.state.kinds import u64

from .kind import Method, Sketch, Value, require
from .words import bit_length

LARGEST = (1 << 62) - 1


def bin_of(value: int, bits: int) -> int:
    """The bin of a value >= 0: each octave is divided into 2^bits bins; below 2^(bits + 1), each value has its own."""
    octave = max(bit_length(value) - bits - 1, 0)
    return (octave << bits) + (value >> octave)


def _add(one: Any, value: int) -> None:
    value = min(max(value, 0), LARGEST)
    if value > one.largest[0]:
        one.largest[0] = value
    if LARGEST - value > one.depth[0]:
        one.depth[0] = LARGEST - value
    one.counts[min(bin_of(value, one.bits), len(one.counts) - 1)] += 1


class LogHistValue(Value):
    """`count`, `min`, `max` are exact; `quantile(q)` is within `error` of the value of that rank; `p50`, `p99`..."""

    @property
    def count(self) -> int:
        return int(self["counts"].sum())

    @property
    def min(self) -> int:
        """The smallest value; 0 where there is none."""
        return LARGEST - int(self["depth"][0]) if self.count else 0

    @property
    def max(self) -> int:
        return int(self["largest"][0])

    def quantile(self, q: float) -> int:
        """The least value such that the part q (0 to 1) of all values is no larger; 0 where there is no value."""
        counts = self["counts"]
        if not counts.any():
            return 0
        # A product that is whole but for its rounding is whole.
        rank = max(1, math.ceil(round(q * self.count, 9)))
        low, high = self.kind.bin_bounds(int(np.searchsorted(np.cumsum(counts), rank)))
        return int(min(max((low + high) // 2, self.min), self.max))

    @property
    def p50(self) -> int:
        return self.quantile(0.5)

    @property
    def p90(self) -> int:
        return self.quantile(0.9)

    @property
    def p99(self) -> int:
        return self.quantile(0.99)

    @property
    def p999(self) -> int:
        return self.quantile(0.999)

    def bins(self) -> list[tuple[int, int, int]]:
        """(smallest value, largest value, how many) of each bin that has some, in order."""
        counts = self["counts"]
        return [(*self.kind.bin_bounds(int(at)), int(counts[at])) for at in np.flatnonzero(counts)]

    def summary(self) -> dict[str, Any]:
        names = ("count", "min", "p50", "p90", "p99", "max")
        return {name: getattr(self, name) for name in names}


@dataclass(frozen=True)
class LogHist(Sketch):
    """A histogram of whole numbers with quantiles.

    error: a quantile is off by this part of itself at most; the memory goes by 1 / error. high: values above it, up to
    2^62, are counted together, and a quantile among them is the largest value. What is below 0 counts as 0.
    In `filter`: `state.name.add(value)`, `row.name.add(value)`. In `report`: LogHistValue.
    """

    error: Any = 1 / 16
    high: Any = (1 << 40) - 1

    METHODS: ClassVar[Mapping[str, Method]] = {"add": Method(_add)}
    VALUE: ClassVar[type[Value]] = LogHistValue

    def __post_init__(self) -> None:
        require(self, "error", 1 / 4096, 1 / 4)
        require(self, "high", 1, LARGEST - 1)

    @property
    def bits(self) -> int:
        """An octave has 2^bits bins. The middle of one is off by half of its width at most."""
        return max(0, math.ceil(-math.log2(self.error)) - 1)

    def settings(self) -> dict[str, Any]:
        return {**super().settings(), "bits": self.bits}

    def arrays(self) -> Mapping[str, Array]:
        bins = bin_of(self.high, self.bits) + 2
        return {"largest": Array(u64.max, 1), "depth": Array(u64.max, 1), "counts": Array(u64, bins)}

    def bin_bounds(self, at: int) -> tuple[int, int]:
        """(smallest, largest) value of a bin; of the last one, the largest there may be."""
        octave = max((at >> self.bits) - 1, 0)
        low = at - (octave << self.bits) << octave
        if at >= bin_of(self.high, self.bits) + 1:
            return LARGEST, LARGEST
        return low, low + (1 << octave) - 1
