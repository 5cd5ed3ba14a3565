"""The first bytes that an end of a flow sent, put in order: what came twice is taken once, and a gap is not passed.

Of each direction a row has these words (declare.py):

    end       bytes from the first one on that are there
    islands   begin << 16 | end of pieces behind a gap, in order, ISLANDS at most; 0 for none

Bytes that are there are never written over: the first to come are kept, as most hosts do. So the bytes need no journal.
If a burst is taken back, its words are, and what it wrote means nothing.
"""

from __future__ import annotations

from zcframe.framework.jit.address import copy_bytes, order_stores
from zcframe.framework.jit.compiler import inlined, outlined
from zcframe.framework.state.flow.declare import ISLANDS, STREAM_WORDS

from .connection import KNOWN, MASK, SYN, flags_of, is_tcp

WRAP = 1 << 32
NOWHERE = -WRAP


@inlined
def position(row, pkt, side):  # type: ignore[no-untyped-def]
    """Where the packet's payload belongs in its direction's stream; below 0 for what lies before its beginning."""
    seq, flags = row._seq_b if side else row._seq_a, flags_of(pkt)
    if not is_tcp(pkt):
        return seq - pkt.payload_wirelen
    if flags == 0 or row._marks & KNOWN << side == 0:
        return NOWHERE
    at = (pkt.tcp_seq + (1 if flags & SYN else 0) - seq) & MASK
    return at if at < WRAP >> 1 else at - WRAP


@inlined
def _has_room(words, first, end, lo, hi):  # type: ignore[no-untyped-def]
    """Whether the piece [lo, hi) joins what is there, or may be an island of its own."""
    if lo == end or words[first + ISLANDS - 1] == 0:
        return True
    for i in range(ISLANDS):
        island = words[first + i]
        if island & 0xFFFF >= lo and island >> 16 <= hi:
            return True
    return False


@inlined
def _copy_missing(words, first, lo, hi, into, out):  # type: ignore[no-untyped-def]
    """Copy those bytes of the piece that are not there. into, out: addresses of byte 0."""
    for i in range(ISLANDS):
        island = words[first + i]
        if island == 0 or lo >= hi:
            break
        begin = min(island >> 16, hi)
        if lo < begin:
            copy_bytes(into + lo, out + lo, begin - lo)
        lo = max(lo, island & 0xFFFF)
    if lo < hi:
        copy_bytes(into + lo, out + lo, hi - lo)


@inlined
def _join(words, first, lo, hi):  # type: ignore[no-untyped-def]
    """Put the piece among the islands, with those that it touches: (begin, end) of all of it, and how many are left."""
    left = 0
    for i in range(ISLANDS):
        island = words[first + i]
        if island == 0:
            break
        words[first + i] = 0
        if island & 0xFFFF < lo or island >> 16 > hi:
            words[first + left] = island
            left += 1
        else:
            lo, hi = min(lo, island >> 16), max(hi, island & 0xFFFF)
    return lo, hi, left


@inlined
def _insert(words, first, left, island):  # type: ignore[no-untyped-def]
    """Put an island among the `left` others, in order."""
    at = left
    while at > 0 and words[first + at - 1] > island:
        words[first + at] = words[first + at - 1]
        at -= 1
    words[first + at] = island


@outlined
def take(words, side, at, address, length, buffer, limit):  # type: ignore[no-untyped-def]
    """Put `length` bytes at `address` where they belong, from position `at` on. buffer: of both directions."""
    place = side * STREAM_WORDS
    first, end = place + 1, words[place]
    lo, hi = max(at, end), min(at + length, limit)
    if lo >= hi or not _has_room(words, first, end, lo, hi):
        return
    _copy_missing(words, first, lo, hi, buffer + side * limit, address - at)
    order_stores()
    begin, behind, left = _join(words, first, lo, hi)
    if begin == end:
        words[place] = behind
    else:
        _insert(words, first, left, begin << 16 | behind)


@inlined
def missing(words, side):  # type: ignore[no-untyped-def]
    """Bytes that are missing in front of the first island; 0 where there is none."""
    place = side * STREAM_WORDS
    return (words[place + 1] >> 16) - words[place] if words[place + 1] else 0
