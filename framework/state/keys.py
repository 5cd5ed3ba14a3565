"""A key's fields in source text: the words that each becomes, how they are hashed, compared and stored.

A whole number is one word, an address two. A string of bytes is its address and length: where a key is looked for, it
lies in the packet still, or in state.
"""

from __future__ import annotations

from typing import NamedTuple

from zcframe.framework.jit.address import journal_load_u64, load_u8, load_u64, mul_high
from zcframe.framework.jit.compiler import inlined, outlined

from .journal import SECRETS
from .kinds import LENGTH_SIZE, Addr, Kind, Octets, text
from .layout import TableLayout


class KeyField(NamedTuple):
    """The i-th field of a key, at `offset` of a slot."""

    i: int
    offset: int
    kind: Kind

    @property
    def words(self) -> list[str]:
        """Names of the words, which are int64."""
        return [f"k{self.i}"] if self.kind.words == 1 else [f"w{self.i}", f"x{self.i}"]

    def given(self) -> list[str]:
        """Source that makes the words of the value k<i> that an author gave."""
        i, kind = self.i, self.kind
        if isinstance(kind, Octets):
            length = f"text_length(w{i}, v{i}._length, {kind.limit})"
            length = length if isinstance(kind, text) else f"min(v{i}._length, {kind.limit})"
            return [f"v{i} = viewed(k{i})", f"w{i} = v{i}._address", f"x{i} = {length}"]
        if isinstance(kind, Addr):
            return [f"w{i}, x{i} = k{i}.hi, k{i}.lo"]
        mask = "" if kind.size == 8 else f" & {(1 << 8 * kind.size) - 1}"
        return [f"k{i} = int64(k{i}){mask}"]

    def hashed(self) -> list[str]:
        """Expressions of the words that are hashed."""
        if isinstance(self.kind, Octets):
            return [f"digest(journal, {', '.join(self.words)})"]
        return self.words

    def equal(self) -> str:
        """Condition: whether the row at `at` has them."""
        offset, kind = self.offset, self.kind
        first, *more = self.words
        if isinstance(kind, Octets):
            return f"load2(at + {offset}) == {more[0]} and same_bytes(at + {offset + LENGTH_SIZE}, {first}, {more[0]})"
        if isinstance(kind, Addr):
            return f"load_be8(at + {offset}) == {first} and load_be8(at + {offset + 8}) == {more[0]}"
        return f"load{kind.size}(at + {offset}) == {first}"

    def stored(self) -> list[str]:
        """Source that stores them in the slot `free`."""
        offset, kind = self.offset, self.kind
        first, *more = self.words
        if isinstance(kind, Octets):
            place = f"free + {offset + LENGTH_SIZE}"
            return [f"store2(free + {offset}, {more[0]})", f"copy_bytes({place}, {first}, {more[0]})"]
        if isinstance(kind, Addr):
            return [f"store_be8(free + {offset}, {first})", f"store_be8(free + {offset + 8}, {more[0]})"]
        return [f"store{kind.size}(free + {offset}, {first})"]


def key_fields(layout: TableLayout) -> list[KeyField]:
    return [KeyField(i, offset, kind) for i, (_, offset, kind) in enumerate(layout.fields[: len(layout.keys)])]


def words_of_key(layout: TableLayout) -> list[str]:
    """Names of all words of a key, in order."""
    return [word for field in key_fields(layout) for word in field.words]


@inlined
def _some(at, end):  # type: ignore[no-untyped-def]
    """The next bytes before `end` as a number: eight of them, or those that are left, and 0."""
    if end - at >= 8:
        return load_u64(at)
    value, shift = 0, 0
    while at < end:
        value |= load_u8(at) << shift
        at, shift = at + 1, shift + 8
    return value


@outlined
def digest(journal, address, length):  # type: ignore[no-untyped-def]
    """64-bit hash of a string of bytes under the first secrets: pairs of words are multiplied and folded in turn."""
    first, second = journal_load_u64(journal + SECRETS), journal_load_u64(journal + SECRETS + 8)
    h, at, end = mul_high(length ^ first, second), address, address + length
    while at < end:
        h = mul_high(_some(at, end) ^ first, _some(at + 8, end) ^ h)
        at += 16
    return h
