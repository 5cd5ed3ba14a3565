"""A Bloom filter: whether a key was seen before. "No" is certain; "yes" is wrong with a stated probability."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from zcframe.framework.state.declare import Array
from zcframe.framework.state.kinds import u32

from .kind import Method, Sketch, Value, power_of_two, require
from .words import hashed, mixed


def _bit(code: int, number: int, bits: int) -> int:
    """One of the bits that stand for a key."""
    return mixed(code ^ number + 1) & (bits - 1)


def _add(one: Any, key: Any) -> bool:
    """Whether the key is new."""
    code, new = hashed(key), False
    for number in range(one.hashes):
        bit = _bit(code, number, one.bits)
        cell, mask = one.cells[bit >> 5], 1 << (bit & 31)
        if cell & mask == 0:
            one.cells[bit >> 5] = cell | mask
            new = True
    return new


def _has(one: Any, key: Any) -> bool:
    code = hashed(key)
    for number in range(one.hashes):
        bit = _bit(code, number, one.bits)
        if one.cells[bit >> 5] & 1 << (bit & 31) == 0:
            return False
    return True


class BloomValue(Value):
    """`has(k0, k1, ...)`: False for no key that was added; `error` is the probability of True for another one."""

    def has(self, *key: int) -> bool:
        code, kind = hashed(key), self.kind
        bits = (_bit(code, number, kind.bits) for number in range(kind.hashes))
        return all(int(self["cells"][bit >> 5]) >> (bit & 31) & 1 for bit in bits)

    @property
    def fill(self) -> float:
        """The part of the bits that is set."""
        return int(np.unpackbits(self["cells"].view(np.uint8)).sum()) / int(self.kind.bits)

    @property
    def error(self) -> float:
        """Probability that `has` is True for a key that was never added, by how full the filter is now."""
        return self.fill ** int(self.kind.hashes)

    @property
    def count(self) -> int:
        """About how many keys were added."""
        bits, hashes = int(self.kind.bits), int(self.kind.hashes)
        return round(-bits / hashes * math.log1p(-min(self.fill, 1 - 1 / bits)))

    def summary(self) -> dict[str, Any]:
        return {"count": self.count, "error": self.error}


@dataclass(frozen=True)
class Bloom(Sketch):
    """Which keys were seen.

    capacity: keys for which the probability of a wrong "yes" is at most `error`; with more keys, it grows. For state by
    bucket, all buckets count together in the end.
    In `filter`: `state.name.add(k0, k1, ...)` is True where the key is new, `state.name.has(k0, ...)` where it is not.
    In `report`: BloomValue.
    """

    capacity: Any = 10_000
    error: Any = 0.01

    METHODS: ClassVar[Mapping[str, Method]] = {
        "add": Method(_add, keyed=True),
        "has": Method(_has, keyed=True, writes=False),
    }
    VALUE: ClassVar[type[Value]] = BloomValue

    def __post_init__(self) -> None:
        require(self, "capacity", 1, 1 << 28)
        require(self, "error", 1e-6, 0.5)

    @property
    def bits(self) -> int:
        return power_of_two(max(32, math.ceil(-self.capacity * math.log(self.error) / math.log(2) ** 2)))

    @property
    def hashes(self) -> int:
        """Bits that stand for a key."""
        return max(1, math.ceil(-math.log2(self.error)))

    def settings(self) -> dict[str, Any]:
        return {**super().settings(), "bits": self.bits, "hashes": self.hashes}

    def arrays(self) -> Mapping[str, Array]:
        return {"cells": Array(u32.bits, self.bits // 32)}
