"""The keys that came to most: space-saving, in memory of a fixed size.

A. Metwally and others, Efficient computation of frequent and top-k elements, 2005; merged as P. Agarwal and others,
Mergeable summaries, 2012, say: less what the smallest came to, the counters are those of Misra and Gries.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Final

import numpy as np

from zcframe.framework.errors import DeclarationError
from zcframe.framework.state.addresses import address_of
from zcframe.framework.state.declare import Array
from zcframe.framework.state.kinds import Addr, Kind, Scalar, text, u64

from .kind import WORD, Method, Sketch, Starts, Value, Values, groups, require, require_names, words_in
from .words import WORD as ALL
from .words import hashed

# Values and words of a key, at most.
MOST_NAMES: Final = 7
MOST_WORDS: Final = 16


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
    """A key, what it came to at most, and how much of that may be others'. key: by name, an address or str, or int."""

    key: dict[str, Any]
    count: int
    error: int


def _require_kinds(kinds: Mapping[str, Any]) -> None:
    for name, kind in kinds.items():
        if not isinstance(kind, Addr | text) and not (isinstance(kind, Scalar) and kind.is_whole):
            raise DeclarationError(f"TopK has whole numbers, addr and text(n) in its key, {name} is {kind!r}")
    if len(kinds) > MOST_NAMES or sum(map(words_in, kinds.values())) > MOST_WORDS:
        raise DeclarationError(f"TopK has a key of up to {MOST_NAMES} values and {WORD * MOST_WORDS} bytes")


def _value(kind: Kind, words: Sequence[int]) -> Any:
    """A value of a key as Python has it: an address, a str, an int."""
    octets = b"".join((word & ALL).to_bytes(WORD, "big" if isinstance(kind, Addr) else "little") for word in words)
    if isinstance(kind, Addr):
        return address_of(octets)
    return octets.rstrip(b"\0").decode(errors="backslashreplace") if isinstance(kind, text) else words[0]


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
        used = int(self["used"][0])
        words = self["words"].astype("i8").reshape(-1, self.kind.count)[:used]
        order = np.lexsort((*words.T[::-1], ~self["counts"][:used]))[:most]
        return [
            Entry(self.kind.named(words[at].tolist()), int(self["counts"][at]), int(self["errors"][at])) for at in order
        ]

    def summary(self) -> dict[str, Any]:
        return {"total": self.total, "bound": self.bound, "top": [asdict(entry) for entry in self.top(10)]}


@dataclass(frozen=True)
class TopK(Sketch):
    """The k keys that came to most, in about.

    key: names of its words, or kinds by name, as {"host": addr, "path": text(64)}: whole numbers, addr and text(n), 128
    bytes in all. k: counters; what a key came to is `count - error` at least and `count` at most, and no `error` is
    larger than 1 / k of what all keys came to. A key that came to more than that is never missing. Keys are told apart
    by a 64-bit hash.
    In `filter`: `state.name.add(amount, k0, k1, ...)` (an amount below 0 counts as 0). In `report`: TopKValue.
    """

    key: Any
    k: Any = 64

    METHODS: ClassVar[Mapping[str, Method]] = {"add": Method(_add, keyed=True, called=True)}
    VALUE: ClassVar[type[Value]] = TopKValue

    def __post_init__(self) -> None:
        if isinstance(self.key, Mapping):
            # What identifies a declaration can be hashed.
            object.__setattr__(self, "key", tuple(self.key.items()))
        if self.kinds:
            _require_kinds(self.kinds)
        else:
            require_names(self, "key")
        require(self, "k", 2, 4096)

    @property
    def kinds(self) -> Mapping[str, Kind]:
        typed = isinstance(self.key, tuple) and self.key and all(isinstance(one, tuple) for one in self.key)
        return dict(self.key) if typed else {}

    @property
    def words(self) -> tuple[str, ...]:
        return () if self.kinds else self.key

    @property
    def count(self) -> int:
        """Words of a key."""
        return sum(map(words_in, self.kinds.values())) if self.kinds else len(self.key)

    def named(self, words: Sequence[int]) -> dict[str, Any]:
        """The values of a key by name."""
        if not self.kinds:
            return dict(zip(self.key, words, strict=True))
        rest = iter(words)
        return {name: _value(kind, [next(rest) for _ in range(words_in(kind))]) for name, kind in self.kinds.items()}

    def arrays(self) -> Mapping[str, Array]:
        # A merged one says what a key can have come to that is not in it; of others, it is the least count.
        words = {"total": 1, "used": 1, "merged": 1, "floor": 1, "counts": self.k, "errors": self.k, "codes": self.k}
        return {name: Array(u64, length) for name, length in (words | {"words": self.k * self.count}).items()}

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
