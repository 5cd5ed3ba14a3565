"""How many different keys: exact for a few, HyperLogLog for many.

The first keys are kept as 64-bit hashes. The registers of HyperLogLog are kept from the first key on: once there are
more keys than the list holds, nothing has to be converted, and the result is the same for any order and any split.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from zcframe.framework.state.declare import Array
from zcframe.framework.state.kinds import u8, u64

from .kind import Method, Sketch, Starts, Value, Values, require
from .words import bit_length, hashed, logical


def _remember(one: Any, code: int) -> None:
    """Put the hash on the list where it is new; one more than the list holds stands for a list given up."""
    used = one.used[0]
    for i in range(min(used, one.exact)):
        if one.codes[i] == code:
            return
    if used < one.exact:
        one.codes[used] = code
    one.used[0] = used + 1


def _add(one: Any, key: Any) -> None:
    code = hashed(key)
    at = code & (len(one.registers) - 1)
    rank = 65 - one.precision - bit_length(logical(code, one.precision))
    if rank > one.registers[at]:
        one.registers[at] = rank
    if one.used[0] <= one.exact:
        _remember(one, code)


def _sigma(x: float) -> float:
    if x == 1:
        return math.inf
    y, z, before = 1.0, x, -1.0
    while z != before:
        x *= x
        before = z
        z += x * y
        y += y
    return z


def _tau(x: float) -> float:
    if x in (0, 1):
        return 0.0
    y, z, before = 1.0, 1 - x, -1.0
    while z != before:
        x = math.sqrt(x)
        before = z
        y /= 2
        z -= (1 - x) ** 2 * y
    return z / 3


def estimate(registers: np.ndarray[Any, Any], precision: int) -> float:
    """Cardinality by the registers of HyperLogLog (O. Ertl, New cardinality estimation algorithms, 2017)."""
    size, most = len(registers), 64 - precision
    tally = np.bincount(registers, minlength=most + 2)
    z = size * _tau(1 - tally[most + 1] / size)
    for rank in range(most, 0, -1):
        z = (z + float(tally[rank])) / 2
    z += size * _sigma(tally[0] / size)
    return size * size / (2 * math.log(2) * z)


class DistinctValue(Value):
    """`count` is exact up to `kind.exact` keys; above, its relative standard error is `error`."""

    @property
    def exact(self) -> bool:
        """Whether the count is exact."""
        return bool(self["used"][0] <= self.kind.exact)

    @property
    def count(self) -> int:
        if self.exact:
            return int(self["used"][0])
        return round(estimate(self["registers"], self.kind.precision))

    @property
    def error(self) -> float:
        """Relative standard error of the count: two thirds of all counts are within it, 99 % within 2.6 times of it."""
        return 0.0 if self.exact else 1.04 / math.sqrt(len(self["registers"]))

    def summary(self) -> dict[str, Any]:
        return {"count": self.count, "error": self.error}


@dataclass(frozen=True)
class Distinct(Sketch):
    """How many different keys there were.

    precision: 2^precision bytes of registers; relative standard error 1.04 / sqrt(2^precision): 3.3 % for 10, 0.8 % for
    14. exact: up to so many keys, the count is exact (but for two keys of one 64-bit hash).
    In `filter`: `state.name.add(k0, k1, ...)`, `row.name.add(k0, ...)`: a key is one word or more. In `report`:
    DistinctValue.
    """

    precision: Any = 10
    exact: Any = 32

    METHODS: ClassVar[Mapping[str, Method]] = {"add": Method(_add, keyed=True)}
    VALUE: ClassVar[type[Value]] = DistinctValue

    def __post_init__(self) -> None:
        require(self, "precision", 4, 18)
        require(self, "exact", 1, 1024)

    def arrays(self) -> Mapping[str, Array]:
        registers = Array(u8.max, 1 << self.precision)
        return {"used": Array(u64.max, 1), "codes": Array(u64.max, self.exact), "registers": registers}

    def merge(self, values: Values, starts: Starts) -> Values:
        merged = super().merge(values, starts)
        owner, codes, counts = _united(values, starts, self.exact)
        given_up = (counts > self.exact) | (merged["used"][:, 0] > self.exact)
        merged["codes"] = 0
        place = np.arange(len(owner)) - (np.cumsum(counts) - counts)[owner]
        kept = ~given_up[owner]
        merged["codes"][owner[kept], place[kept]] = codes[kept]
        merged["used"][:, 0] = np.where(given_up, self.exact + 1, counts)
        return merged


def _united(values: Values, starts: Starts, exact: int) -> tuple[Any, Any, Any]:
    """(group, hash) of each different hash on the lists of each group, in order, and how many a group has."""
    group = np.repeat(np.arange(len(starts)), np.diff(starts, append=len(values)))
    listed = np.arange(exact) < values["used"]
    owner = np.broadcast_to(group[:, None], listed.shape)[listed]
    codes = values["codes"][listed]
    order = np.lexsort((codes, owner))
    owner, codes = owner[order], codes[order]
    new = np.ones(len(owner), bool)
    new[1:] = (owner[1:] != owner[:-1]) | (codes[1:] != codes[:-1])
    return owner[new], codes[new], np.bincount(owner[new], minlength=len(starts))
