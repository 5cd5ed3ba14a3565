"""Where the last records that went into a pipe end, so that it is known which of them a reader had not taken.

    head u64 | ends u64[CAPACITY], a ring

`head` counts the ends that were noted. They lie in memory that a writer's successor has, too: what was noted of a write
that was not committed is taken back by `resume`.
"""

from __future__ import annotations

import mmap
from typing import Final

import numpy as np
from numba.core import types

from zcframe.framework.jit.address import load_u32, load_u64, release_u64, store_u64
from zcframe.framework.jit.compiler import Job, compiled
from zcframe.framework.jit.words import Words

# More records than a pipe of 1 MiB can hold.
CAPACITY: Final = 1 << 16
ENDS: Final = 8
TRAIL_BYTES: Final = ENDS + 8 * CAPACITY
RECORD_HEAD: Final = 16


@compiled
def note(base, words, pieces, end, ng):  # type: ignore[no-untyped-def]
    """Note the end of each record in these pieces. ng: whether they are blocks of pcapng.

    base: address of the trail. words, pieces: address and length of each, and how many there are. end: where the first
    one begins.
    """
    head = load_u64(base)
    for piece in range(pieces):
        at = words[2 * piece]
        last = at + words[2 * piece + 1]
        while at < last:
            size = load_u32(at + 4) if ng else RECORD_HEAD + load_u32(at + 8)
            at, end = at + size, end + size
            store_u64(base + ENDS + (head & CAPACITY - 1) * 8, end)
            head += 1
    release_u64(base, head)


def entry_points() -> tuple[Job, ...]:
    """What every writer calls."""
    word, words = types.int64, types.Array(types.int64, 1, "C")
    return (Job("zcframe", note, (word, words, word, word, types.boolean)),)


class Trail:
    """The trail in such memory. Positions count bytes of the stream of one reader. ng: of blocks of pcapng."""

    def __init__(self, memory: mmap.mmap, *, ng: bool = False) -> None:
        self._ng = ng
        self._words: Words = np.frombuffer(memory, np.int64)
        self._ends = self._words[1:]

    def clear(self) -> None:
        """Another stream begins."""
        self._words[0] = 0

    def resume(self, length: int) -> None:
        """Go on behind what was committed."""
        head = int(self._words[0])
        while head and self._ends[head - 1 & CAPACITY - 1] > length:
            head -= 1
        self._words[0] = head

    def note(self, words: Words, pieces: int, begin: int) -> None:
        """Note records that are about to be written at position `begin`; see `note`."""
        note(self._words.ctypes.data, words, pieces, begin, self._ng)

    def behind(self, position: int) -> int:
        """How many records end behind a position."""
        head = int(self._words[0])
        noted = self._ends if head > CAPACITY else self._ends[:head]
        return int((noted > position).sum())
