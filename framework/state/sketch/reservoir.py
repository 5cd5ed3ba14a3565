"""A uniform sample that does not depend on order: those with the least hashes (bottom-k)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from zcframe.framework.state.declare import Array
from zcframe.framework.state.kinds import u64

from .kind import Method, Sketch, Starts, Value, Values, groups, require, require_names
from .words import hashed, logical, mixed


def _largest(one: Any) -> int:
    """The place of the largest rank."""
    at = 0
    for i in range(1, one.k):
        if one.ranks[i] > one.ranks[at]:
            at = i
    return at


def _add(one: Any, key: Any) -> None:
    one.seen[0] += 1
    rank, used = logical(mixed(hashed(key) ^ one.seed), 1), one.used[0]
    if used == one.k and rank >= one.limit[0]:
        return
    at = used
    if used == one.k:
        at = _largest(one)
    else:
        one.used[0] = used + 1
    one.ranks[at] = rank
    for i in range(len(key)):
        one.words[at * len(key) + i] = key[i]
    if at == one.k - 1 or used == one.k:
        one.limit[0] = one.ranks[_largest(one)]


class ReservoirValue(Value):
    """`sample`: a dict by field for each of the sample; `seen`: how many it was taken from."""

    @property
    def seen(self) -> int:
        return int(self["seen"][0])

    @property
    def sample(self) -> list[dict[str, int]]:
        """Whole numbers by field, as int64 like in `filter`, in an order of no meaning that is always the same."""
        names, used = self.kind.fields, int(self["used"][0])
        words = self["words"].astype("i8").reshape(-1, len(names))[:used]
        order = np.lexsort((*words.T[::-1], self["ranks"][:used]))
        return [dict(zip(names, row.tolist(), strict=True)) for row in words[order]]

    def summary(self) -> dict[str, Any]:
        return {"seen": self.seen, "sample": self.sample}


@dataclass(frozen=True)
class Reservoir(Sketch):
    """A sample of k of the given tuples of words, each with the same probability; the same for any order and split.

    fields: names of the words. seed: another one takes another sample. Equal tuples are in the sample together or not
    at all: with `pkt.ts` among the words, packets differ.
    In `filter`: `state.name.add(w0, w1, ...)`, a word a field. In `report`: ReservoirValue.
    """

    fields: tuple[str, ...]
    k: Any = 64
    seed: Any = 0

    METHODS: ClassVar[Mapping[str, Method]] = {"add": Method(_add, keyed=True, called=True)}
    VALUE: ClassVar[type[Value]] = ReservoirValue

    def __post_init__(self) -> None:
        require_names(self, "fields")
        require(self, "k", 2, 4096)
        require(self, "seed", 0, (1 << 62) - 1)

    @property
    def words(self) -> tuple[str, ...]:
        return self.fields

    def arrays(self) -> Mapping[str, Array]:
        words = {"seen": 1, "used": 1, "limit": 1, "ranks": self.k, "words": self.k * len(self.fields)}
        return {name: Array(u64, length) for name, length in words.items()}

    def merge(self, values: Values, starts: Starts) -> Values:
        merged = np.zeros(len(starts), values.dtype)
        for into, group in zip(merged, groups(values, starts), strict=True):
            self._merge_group(into, group)
        return merged

    def _merge_group(self, into: Any, group: Values) -> None:
        listed = np.arange(self.k) < group["used"]
        ranks = group["ranks"][listed]
        words = group["words"].reshape(len(group), self.k, -1)[listed]
        order = np.lexsort((*words.T[::-1], ranks))[: self.k]
        used = len(order)
        into["seen"] = group["seen"].sum()
        into["used"] = used
        into["ranks"][:used] = ranks[order]
        into["words"][: words[order].size] = words[order].ravel()
        into["limit"] = ranks[order[-1]] if used == self.k else 0
