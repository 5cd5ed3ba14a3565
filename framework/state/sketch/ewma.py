"""Means and rates of the last moments, on packet time: what is older counts for less, by e^(-age / seconds).

Sums decay; mean and rate are made of them in the end, so that sums of several shards are brought to the same time, and
add up. A packet that comes late counts for less at once, so that order makes no difference but that of rounding.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from zcframe.framework.state.declare import Array
from zcframe.framework.state.kinds import u64

from .kind import Method, Sketch, Starts, Value, Values, require
from .words import float_of, word_of


def _weight(one: Any, age: int) -> float:
    return math.exp(-age / (one.seconds * 1e9))


def _add(one: Any, now: int, value: int) -> None:
    last = one.last[0]
    weight, kept = 1.0, 1.0
    if now >= last:
        kept = _weight(one, now - last)
        one.last[0] = now
    else:
        weight = _weight(one, last - now)
    one.events[0] = word_of(float_of(one.events[0]) * kept + weight)
    one.values[0] = word_of(float_of(one.values[0]) * kept + weight * value)


class EwmaValue(Value):
    """`mean` of the values, `rate` in values a second, `events` a second: as of `last`, the latest time in ns."""

    @property
    def last(self) -> int:
        return int(self["last"][0])

    @property
    def mean(self) -> float:
        """Of the values, the latest of which count most; 0 where there is none."""
        events = float(self["events"].view("f8")[0])
        return float(self["values"].view("f8")[0]) / events if events else 0.0

    @property
    def rate(self) -> float:
        return self.rate_at(self.last)

    def rate_at(self, now: int) -> float:
        """Sum of the values a second at a time `now`, in ns, that is not before `last`."""
        return float(self["values"].view("f8")[0]) * self._decay(now)

    @property
    def events(self) -> float:
        return float(self["events"].view("f8")[0]) * self._decay(self.last)

    def _decay(self, now: int) -> float:
        seconds = float(self.kind.seconds)
        return math.exp(-max(now - self.last, 0) / (seconds * 1e9)) / seconds

    def summary(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in ("last", "mean", "rate", "events")}


@dataclass(frozen=True)
class Ewma(Sketch):
    """Exponentially weighted mean and rate of whole numbers, on packet time.

    seconds: what is so old counts for 1/e. A steady stream of events is told at its true rate after some times that.
    Floats: two orders or splits of the same values differ by rounding, some 1e-9 of the result.
    In `filter`: `state.name.add(pkt.ts, value)`, `row.name.add(pkt.ts, value)`. In `report`: EwmaValue.
    """

    seconds: Any = 10.0

    METHODS: ClassVar[Mapping[str, Method]] = {"add": Method(_add)}
    VALUE: ClassVar[type[Value]] = EwmaValue

    def __post_init__(self) -> None:
        require(self, "seconds", 1e-6, 1e9)

    def arrays(self) -> Mapping[str, Array]:
        return {"last": Array(u64.max, 1), "events": Array(u64, 1), "values": Array(u64, 1)}

    def merge(self, values: Values, starts: Starts) -> Values:
        merged = values[starts].copy()
        last = np.maximum.reduceat(values["last"], starts, axis=0)
        sizes = np.diff(starts, append=len(values))
        age = np.repeat(last, sizes, axis=0) - values["last"]
        weight = np.exp(-age.astype(np.float64) / (self.seconds * 1e9))
        merged["last"] = last
        for name in ("events", "values"):
            sums = np.add.reduceat(values[name].view(np.float64) * weight, starts, axis=0)
            merged[name] = sums.view(np.uint64)
        return merged
