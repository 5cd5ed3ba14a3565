"""A lookup in memory: words, then the arrays that some of them say the places of; all lookups of a plugin in one piece.

    piece    u64 for each lookup: its offset | the lookups
    lookup   the words of its kind, u64 each | its arrays

Places are offsets, those of arrays from the lookup's beginning, so that the same bytes are right wherever they lie. A
piece is a memfd that nobody can write any more, mapped before workers are forked.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final

import numpy as np

from zcframe.framework.abi import CACHE_LINE
from zcframe.framework.ring.mapping import F_ADD_SEALS, Mapping, make_memory

F_SEAL_WRITE: Final = 0x8
WORD: Final = 8

Octets = np.ndarray[Any, np.dtype[np.uint8]]


def _aligned(offset: int) -> int:
    return -(-offset // CACHE_LINE) * CACHE_LINE


def image(words: Sequence[Any]) -> Octets:
    """The bytes of a lookup. words: numbers, and numpy arrays, each of which becomes the word of its place."""
    at, places = _aligned(WORD * len(words)), []
    for word in words:
        places.append(at if isinstance(word, np.ndarray) else word)
        at = _aligned(at + word.nbytes) if isinstance(word, np.ndarray) else at
    octets: Octets = np.zeros(at, np.uint8)
    octets[: WORD * len(words)].view(np.int64)[:] = places
    for word, place in zip(words, places, strict=True):
        if isinstance(word, np.ndarray):
            octets[place : place + word.nbytes] = np.ascontiguousarray(word).reshape(-1).view(np.uint8)
    return octets


class Piece:
    """The lookups of a plugin in shared memory, which is unmapped with this object. `address` is for compiled code.

    Raises RingError where memory does not suffice.
    """

    def __init__(self, images: Sequence[Octets]) -> None:
        offsets = [_aligned(WORD * len(images))]
        for one in images:
            offsets.append(_aligned(offsets[-1] + len(one)))
        self.size = offsets.pop()
        fd = make_memory("zc-lookups", self.size)
        try:
            os.pwrite(fd, np.array(offsets, np.int64).data, 0)
            for one, offset in zip(images, offsets, strict=True):
                _write(fd, one, offset)
            fcntl.fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE)
            self._mapping = Mapping(fd, self.size, writable=False)
        finally:
            os.close(fd)
        self.address = self._mapping.address

    @property
    def place(self) -> range:
        """Addresses of it."""
        return self._mapping.place

    def __del__(self) -> None:
        with suppress(AttributeError):
            self._mapping.close()


def _write(fd: int, octets: Octets, offset: int) -> None:
    """pwrite(2) takes 2 GiB at a time at most."""
    while len(octets):
        written = os.pwrite(fd, octets.data, offset)
        octets, offset = octets[written:], offset + written
