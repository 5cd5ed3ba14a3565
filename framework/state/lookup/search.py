"""Searches in lookups, compiled."""

from __future__ import annotations

from zcframe.framework.jit.address import below, load_u8, load_u32, load_u64, seldom, shift_right
from zcframe.framework.jit.compiler import inlined, kept_outlined

from .patterns import FACTOR, WINDOW
from .patterns import WORDS as PATTERNS
from .prefixes import NESTED, SIGN
from .prefixes import WORDS as PREFIXES

LOWEST = -int(SIGN)
FOUR = 0xFFFF
LOW = 0xFFFFFFFF


@inlined
def _begins(address, beginnings, fold, mask, shift):  # type: ignore[no-untyped-def]
    """Whether a pattern may begin at an address, of which WINDOW bytes are read."""
    code = shift_right(((load_u32(address) | fold) & mask) * FACTOR & LOW, shift)
    return load_u8(beginnings + (code >> 3)) >> (code & 7) & 1


@inlined
def _moved(moves, class_of, address, state):  # type: ignore[no-untyped-def]
    """The state behind one more byte."""
    return load_u32(moves + (state + load_u8(class_of + load_u8(address))) * 4)


@kept_outlined
def find_pattern(at, address, length, start, state):  # type: ignore[no-untyped-def]
    """(index, end, state) of the first hit in [start, length) of the bytes at an address, or (-1, length, state).

    at: address of the lookup. state: as an earlier search left it; 0 at first.
    """
    accepting, class_of = load_u64(at + PATTERNS.accepting * 8), at + load_u64(at + PATTERNS.class_of * 8)
    moves, beginnings = at + load_u64(at + PATTERNS.moves * 8), at + load_u64(at + PATTERNS.beginnings * 8)
    fold, mask, shift = (
        load_u64(at + PATTERNS.fold * 8),
        load_u64(at + PATTERNS.mask * 8),
        load_u64(at + PATTERNS.shift * 8),
    )
    # Whatever a plugin takes for a state.
    state = state if below(state, load_u64(at + PATTERNS.end * 8)) else 0
    i = min(max(start + length, 0) if start < 0 else start, length)
    whole = length - WINDOW
    while i < length:
        if state == 0:
            while i <= whole and not _begins(address + i, beginnings, fold, mask, shift):
                i += 1
        state = _moved(moves, class_of, address + i, state)
        i += 1
        # In neither the first state nor one at which a pattern ends.
        while i < length and below(state - 1, accepting - 1):
            state = _moved(moves, class_of, address + i, state)
            i += 1
        if seldom(state >= accepting):
            classes, longest = load_u64(at + PATTERNS.classes * 8), at + load_u64(at + PATTERNS.longest * 8)
            return load_u32(longest + (state - accepting) // classes * 4), i, state
    return -1, length, state


@inlined
def shorter_pattern(at, index):  # type: ignore[no-untyped-def]
    """The longest other pattern that ends where a hit ends; -1 for none."""
    found = load_u32(at + load_u64(at + PATTERNS.shorter * 8) + index * 4)
    return -1 if found == LOW else found


@inlined
def pattern_length(at, index):  # type: ignore[no-untyped-def]
    return load_u32(at + load_u64(at + PATTERNS.lengths * 8) + index * 4)


@inlined
def _last_below(starts, first, count, key):  # type: ignore[no-untyped-def]
    """Number of the last of `count` pieces from `first` on that begins at a number or before it; the first one does."""
    while count > 1:
        half = count >> 1
        first += half if load_u64(starts + (first + half) * 8) <= key else 0
        count -= half
    return first


@inlined
def _piece(at, words, key):  # type: ignore[no-untyped-def]
    """Number of the value of the piece with a number. words: of the family, see PrefixesWords."""
    first, shift, cells = load_u64(words), load_u64(words + 8), load_u64(words + 16)
    index, starts, values = at + load_u64(words + 24), at + load_u64(words + 32), at + load_u64(words + 40)
    if key < first:
        return load_u32(values)
    cell = shift_right(key - first, shift)
    cell = cell if below(cell, cells) else cells - 1
    begin = load_u32(index + cell * 4)
    piece = _last_below(starts, begin - 1, load_u32(index + cell * 4 + 4) - begin + 1, key)
    return load_u32(values + piece * 4)


@kept_outlined
def find_number(at, hi, lo):  # type: ignore[no-untyped-def]
    """Number of the value of the longest prefix that an address has; 0 for none. at: address of the lookup."""
    if hi == 0 and shift_right(lo, 32) == FOUR:
        found = _piece(at, at + PREFIXES.four_first * 8, (lo & LOW) + LOWEST)
    else:
        found = _piece(at, at + PREFIXES.six_first * 8, hi ^ LOWEST)
        if seldom(found & NESTED != 0):
            places = at + load_u64(at + PREFIXES.nested * 8) + (found & ~NESTED) * 4
            starts, values = (
                at + load_u64(at + PREFIXES.nested_starts * 8),
                at + load_u64(at + PREFIXES.nested_values * 8),
            )
            first = load_u32(places)
            piece = _last_below(starts, first, load_u32(places + 4) - first, lo ^ LOWEST)
            found = load_u32(values + piece * 4)
    return found


@inlined
def find_prefix(at, hi, lo):  # type: ignore[no-untyped-def]
    """The word of that value, or of the default."""
    return load_u64(at + load_u64(at + PREFIXES.values * 8) + find_number(at, hi, lo) * 8)
