"""Many strings of bytes that are looked for at once: an automaton of A. Aho and M. Corasick (1975), with all its moves.

A move is one load: the next state stands at `state + class of the byte`, where states are counted in rows of the table,
and bytes that no pattern has are one class. States at which a pattern ends come last. What is not the beginning of a
pattern is passed over: a set of hashes of the first bytes of all patterns is asked, and the automaton rests.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np

from zcframe.framework.errors import DeclarationError
from zcframe.framework.jit.words import numbered
from zcframe.framework.state.declare import Built, Lookup

from .image import image
from .lines import Entry, lines_of

# Bytes of the table of moves, at most.
LARGEST: Final = 256 << 20
# Bytes of a pattern by which its beginning is told, and odd number that mixes them.
WINDOW: Final = 4
FACTOR: Final = 0x9E3779B1
# Of the set of beginnings: bits a pattern, and powers of two of bits that it has at least and at most.
SPARE, LEAST, MOST = 6, 13, 18
# In each byte, what tells upper from lower case.
CASE: Final = 0x20202020

Numbers = np.ndarray[Any, np.dtype[Any]]


class PatternsWords(NamedTuple):
    """The words of the image."""

    patterns: int
    classes: int  # of bytes, a number: the length of a row of moves
    accepting: int  # the first state at which a pattern ends,
    end: int  # and what is behind the last state
    mask: int  # of the bytes by which a beginning is told,
    fold: int  # bits that are set in them, as case does not matter,
    shift: int  # and bits that are left out of their hash
    beginnings: Any  # u8: bits
    class_of: Any  # u8[256]
    moves: Any  # u32: the state behind each state and class
    longest: Any  # i32: by state from `accepting` on, the longest pattern that ends there
    lengths: Any  # u32: of each pattern
    shorter: Any  # i32: for each pattern, the longest other one that ends where it does; -1 for none


WORDS: Final[Any] = numbered(PatternsWords)


@dataclass(frozen=True, eq=False)
class Patterns(Lookup):
    r"""Strings of bytes, of which compiled code finds all at once, at the speed of memory.

    source: a list of bytes (a str is taken as UTF-8), or a file with one on each line, in which \xNN is a byte, \\ a
    backslash, and a line that begins with # says nothing. fold: upper and lower case of ASCII letters are the same.
    In `filter`: `hit = state.name.find(view)`; `if hit:`, `hit.index` in the list, `hit.start`, `hit.end`. The hit that
    ends first is found, of those that end there the longest. `find(view, hit.end)` goes on behind it,
    `next(view, hit)` finds all, those that overlap too; `find(view, 0, state)` goes on in the next segment, if `state`
    is the `hit.state` of the last. In `report`: `merged.name[index]` is the pattern.
    """

    fold: bool = False

    def built(self) -> Built:
        entries = list(_patterns(self.source))
        patterns = [pattern.lower() if self.fold else pattern for _, pattern in entries]
        return Built(image(_automaton(patterns, entries, self.fold)), [pattern for _, pattern in entries])


def _patterns(source: Any) -> Iterator[Entry]:
    """(where, bytes) of each pattern. Raises DeclarationError."""
    if isinstance(source, str | os.PathLike):
        yield from ((where, _unescaped(where, line)) for where, line in lines_of(source))
        return
    for number, pattern in enumerate(source):
        octets = pattern.encode() if isinstance(pattern, str) else pattern
        if not isinstance(octets, bytes) or not octets:
            raise DeclarationError(f"[{number}] is {pattern!r}: bytes are needed, one or more")
        yield f"[{number}]", octets


def _unescaped(where: str, line: bytes) -> bytes:
    def octet(found: re.Match[bytes]) -> bytes:
        if found[1] is None:
            raise DeclarationError(rf"{where}: {found[0].decode(errors='replace')}: \xNN and \\ are possible")
        return b"\\" if found[1] == b"\\" else bytes.fromhex(found[1][1:].decode())

    return re.sub(rb"\\(?:(\\|x[0-9a-fA-F]{2})|.?)", octet, line)


def _classes(flat: Numbers, *, fold: bool) -> tuple[Numbers, int]:
    """(u8[256] class of each byte, number of classes); 0 is that of the bytes that no pattern has."""
    used = np.unique(flat)
    rest = int(len(used) < 256)
    class_of = np.zeros(256, np.uint8)
    class_of[used] = np.arange(len(used)) + rest
    if fold:
        class_of[ord("A") : ord("Z") + 1] = class_of[ord("a") : ord("z") + 1]
    return class_of, len(used) + rest


class _Level(NamedTuple):
    """States at one depth: from which one each is reached, and by which class. first: number of the first of them."""

    first: int
    parents: Numbers
    classes: Numbers

    @property
    def states(self) -> Numbers:
        return self.first + np.arange(len(self.parents))


def _trie(flat: Numbers, lengths: Numbers, classes: int) -> tuple[list[_Level], Numbers]:
    """(levels, state at which each pattern ends) of patterns that stand in `flat`, classes of bytes, one by one."""
    starts = np.cumsum(lengths) - lengths
    at, levels, count = np.zeros(len(lengths), np.int64), [], 1
    for depth in range(int(lengths.max(initial=0))):
        going = np.flatnonzero(lengths > depth)
        moves, same = np.unique(at[going] * classes + flat[starts[going] + depth], return_inverse=True)
        levels.append(_Level(count, moves // classes, moves % classes))
        at[going] = count + same
        count += len(moves)
        if 4 * count * classes > LARGEST:
            raise DeclarationError(
                f"{len(lengths):,} patterns need more than {LARGEST >> 20} MiB: take fewer, or shorter ones"
            )
    return levels, at


def _moves(levels: Sequence[_Level], count: int, classes: int) -> tuple[Numbers, Numbers]:
    """(i32[states, classes]: the state behind each; the longest other state that a state's bytes end with)."""
    moves, fallen = np.zeros((count, classes), np.int32), np.zeros(count, np.int32)
    for level in levels:
        states = level.states
        fallen[states] = np.where(level.parents == 0, 0, moves[fallen[level.parents], level.classes])
        moves[level.parents, level.classes] = states
        moves[states] = moves[fallen[states]]
    return moves, fallen


def _longest(levels: Sequence[_Level], fallen: Numbers, ends: Numbers) -> Numbers:
    """i32 by state: the longest pattern that ends there, -1 for none."""
    found = np.full(len(fallen), -1, np.int32)
    found[ends] = np.arange(len(ends))
    for level in levels:
        states = level.states
        found[states] = np.where(found[states] < 0, found[fallen[states]], found[states])
    return found


def _require_different(ends: Numbers, entries: Sequence[Entry]) -> None:
    _, first, same = np.unique(ends, return_index=True, return_inverse=True)
    again = np.flatnonzero(first[same] != np.arange(len(ends)))
    if len(again):
        where, pattern = entries[again[0]]
        raise DeclarationError(
            f"{where}: {pattern!r} is the same as {entries[first[same[again[0]]]][0]}: leave one out"
        )


def _beginnings(patterns: Sequence[bytes], *, fold: bool) -> tuple[Numbers, int, int]:
    """(bits, shift, mask): the set of hashes of the first bytes of all patterns."""
    size = min(WINDOW, min(map(len, patterns), default=1))
    power = min(max(len(patterns).bit_length() + SPARE, LEAST), MOST)
    padded = b"".join(pattern[:size].ljust(WINDOW, b"\0") for pattern in patterns)
    mask = (1 << 8 * size) - 1
    words = (np.frombuffer(padded, "<u4") | np.uint32(CASE if fold else 0)) & np.uint32(mask)
    shift = 32 - power
    hashes = (words * np.uint32(FACTOR)) >> np.uint32(shift)
    bits = np.zeros(1 << power, np.uint8)
    bits[hashes] = 1
    return np.packbits(bits, bitorder="little"), shift, mask


def _automaton(patterns: Sequence[bytes], entries: Sequence[Entry], fold: bool) -> PatternsWords:
    octets = np.frombuffer(b"".join(patterns), np.uint8)
    lengths = np.array([len(pattern) for pattern in patterns], np.int64)
    class_of, classes = _classes(octets, fold=fold)
    levels, ends = _trie(class_of[octets].astype(np.int64), lengths, classes)
    _require_different(ends, entries)
    count = 1 + sum(len(level.parents) for level in levels)
    moves, fallen = _moves(levels, count, classes)
    longest = _longest(levels, fallen, ends)
    order = np.argsort(longest >= 0, kind="stable")
    numbers = np.empty(count, np.uint32)
    numbers[order] = np.arange(count, dtype=np.uint32) * np.uint32(classes)
    accepting = int((longest < 0).sum())
    bits, shift, mask = _beginnings(patterns, fold=fold)
    return PatternsWords(
        patterns=len(patterns),
        classes=classes,
        accepting=accepting * classes,
        end=count * classes,
        mask=mask,
        fold=CASE if fold else 0,
        shift=shift,
        beginnings=bits,
        class_of=class_of,
        # A row more: whatever number is taken for a state, a move from it is a load from the table.
        moves=np.concatenate([numbers[moves[order]].reshape(-1), np.zeros(classes, np.uint32)]),
        longest=longest[order][accepting:],
        lengths=lengths.astype(np.uint32),
        shorter=longest[fallen[ends]],
    )
