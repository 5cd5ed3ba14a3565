"""The keys that came to most: space-saving, in memory of a fixed size.

A. Metwally and others, Efficient computation of frequent and top-k elements, 2005; merged as P. Agarwal and others,
Mergeable summaries, 2012, say: less what the smallest came to, the counters are those of Misra and Gries.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import numpy as np

from zcframe.framework.state.declare import Array
from zcframe.framework.state.kinds import u64

from .kind import Method, Sketch, Starts, Value, Values, groups, require, require_names
from .words import hashed


def _place(one: Any, code: int) -> int:
    """Where the key of this hash stands; -1 for nowhere."""
    for i in range(min(one.used[0], one.k)):
        if one.codes[i] == code:
            return i
    return -1


def _least(one: Any) -> int:
    at = 0
    for i in range(1, one.k):
        if one.counts[i] < one.counts[at]:
            at = i
    return at


def _enter(one: Any, code: int, key: Any) -> Any:
    """Make room for a new key, if need be in place of the one that came to least, whose count it takes over."""
    at = one.used[0]
    if at < one.k:
        one.used[0] = at + 1
    else:
        at = _least(one)
        one.errors[at] = one.counts[at]
    one.codes[at] = code
    for i in range(len(key)):
        one.words[at * len(key) + i] = key[i]
    return at


def _add(one: Any, amount: int, key: Any) -> None:
    if amount <= 0:
        return
    code = hashed(key)
    one.total[0] += amount
    at = _place(one, code)
    if at < 0:
        at = _enter(one, code, key)
    one.counts[at] += amount


def _floors(values: Values, k: int) -> Any:
    """int64: for each sketch, what a key can have come to that is not in it."""
    least = np.where(values["used"][:, 0] == k, values["counts"].min(axis=1), 0)
    return np.where(values["merged"][:, 0], values["floor"][:, 0], least).astype(np.int64)


@dataclass(frozen=True)
class Entry:
    """A key, what it came to at most, and how much of that may be others'."""

    key: dict[str, int]
    count: int
    error: int


class TopKValue(Value):
    """`top(n)`: the keys that came to most. A key that is not among all k came to `bound` at most."""

    @property
    def total(self) -> int:
        """What all keys came to."""
        return int(self["total"][0])

    @property
    def bound(self) -> int:
        """What a key can have come to that is not here, and the largest `error` there is: total / k at most."""
        return int(_floors(np.array([self]), self.kind.k)[0])

    def top(self, most: int | None = None) -> list[Entry]:
        """Entries by count, the largest first; words are int64 as in `filter`."""
        names, used = self.kind.key, int(self["used"][0])
        words = self["words"].astype("i8").reshape(-1, len(names))[:used]
        order = np.lexsort((*words.T[::-1], ~self["counts"][:used]))[:most]
        return [
            Entry(dict(zip(names, words[at].tolist(), strict=True)), int(self["counts"][at]), int(self["errors"][at]))
            for at in order
        ]

    def summary(self) -> dict[str, Any]:
        return {"total": self.total, "bound": self.bound, "top": [asdict(entry) for entry in self.top(10)]}


@dataclass(frozen=True)
class TopK(Sketch):
    """The k keys that came to most, in about.

    key: names of its words. k: counters; what a key came to is `count - error` at least and `count` at most, and no
    `error` is larger than 1 / k of what all keys came to. A key that came to more than that is never missing. Keys are
    told apart by a 64-bit hash.
    In `filter`: `state.name.add(amount, k0, k1, ...)` (an amount below 0 counts as 0). In `report`: TopKValue.
    """

    key: tuple[str, ...]
    k: Any = 64

    METHODS: ClassVar[Mapping[str, Method]] = {"add": Method(_add, keyed=True, called=True)}
    VALUE: ClassVar[type[Value]] = TopKValue

    def __post_init__(self) -> None:
        require_names(self, "key")
        require(self, "k", 2, 4096)

    @property
    def words(self) -> tuple[str, ...]:
        return self.key

    def arrays(self) -> Mapping[str, Array]:
        # A merged one says what a key can have come to that is not in it; of others, it is the least count.
        words = {"total": 1, "used": 1, "merged": 1, "floor": 1, "counts": self.k, "errors": self.k, "codes": self.k}
        return {name: Array(u64, length) for name, length in (words | {"words": self.k * len(self.key)}).items()}

    def merge(self, values: Values, starts: Starts) -> Values:
        merged = np.zeros(len(starts), values.dtype)
        for at, group in enumerate(groups(values, starts)):
            if len(group) == 1:
                merged[at] = group[0]
            else:
                self._merge_group(merged[at], group)
        return merged

    def _merge_group(self, into: Any, group: Values) -> None:
        """What a key came to beyond the floors adds up; the largest sum of those that go lifts the floor."""
        floors = _floors(group, self.k)
        listed = np.arange(self.k) < group["used"]
        codes, first, same = np.unique(group["codes"][listed], return_index=True, return_inverse=True)
        counts, errors = (group[name].astype(np.int64) for name in ("counts", "errors"))
        sums = np.zeros((len(codes), 2), np.int64)
        np.add.at(sums, same, np.stack([counts - floors[:, None], counts - errors], axis=-1)[listed])
        above, least = sums.T
        words = group["words"].reshape(len(group), self.k, -1)[listed][first]
        order = np.lexsort((codes, -least, -above))
        kept, used = order[: self.k], min(len(order), self.k)
        into["total"], into["used"], into["merged"] = group["total"].sum(), used, 1
        into["floor"] = floors.sum() + (above[order[self.k]] if len(order) > self.k else 0)
        into["counts"][:used] = above[kept] + floors.sum()
        into["errors"][:used] = above[kept] + floors.sum() - least[kept]
        into["codes"][:used] = codes[kept]
        into["words"][: words[kept].size] = words[kept].ravel()
