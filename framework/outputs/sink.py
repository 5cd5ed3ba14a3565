"""Where a stream's records go: what a writer needs of a file or a FIFO."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple, Self

import numpy as np

from zcframe.framework.jit.words import Words

FOREVER: Final = (1 << 63) - 1
# Of frames in a write: no bound.
UNBOUND: Final = 1 << 62

_libc: Final = ctypes.CDLL(None, use_errno=True)
_libc.writev.restype = ctypes.c_ssize_t
_libc.writev.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_int)


class Place(NamedTuple):
    """Where a stream is: number of its file, when that was begun (ns since the epoch), how long it is."""

    number: int = 0
    opened: int = 0
    length: int = 0


class Pieces:
    """Bytes to be written, here or in shared memory. words: address and length of each piece, as writev takes them.

    frames: how many they hold. refused, down, unsent: frames that the sink could not write, since they are too long or
    too short for it, or since an interface is down; and the bytes of both.
    kinds: of rows, how many of each kind of record.
    """

    def __init__(self, words: Words, count: int, octets: int, frames: int = 0) -> None:
        self.words, self.count, self._at = words, count, 0
        self._held: object = None
        self.octets = self.left = octets
        self.frames = frames
        self.refused = self.down = self.unsent = 0
        self.kinds: Sequence[int] = ()

    @classmethod
    def of(cls, data: bytes, kinds: Sequence[int] = ()) -> Self:
        """The same of bytes of one's own."""
        held = np.frombuffer(data, np.uint8)
        made = cls(np.array([held.ctypes.data, len(data)], np.int64), 1, len(data))
        made._held, made.kinds = held, kinds
        return made

    def write(self, fd: int) -> int:
        """One writev of what is left; returns the bytes that were taken. Raises OSError."""
        at = self.words.ctypes.data + 16 * self._at
        taken = int(_libc.writev(fd, at, self.count - self._at))
        if taken < 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
        self._advance(taken)
        return taken

    def _advance(self, taken: int) -> None:
        self.left -= taken
        while taken and taken >= self.words[2 * self._at + 1]:
            taken -= int(self.words[2 * self._at + 1])
            self._at += 1
        if taken:
            self.words[2 * self._at] += taken
            self.words[2 * self._at + 1] -= taken

    @property
    def table(self) -> tuple[Words, int]:
        """Address and length of each piece, and how many there are, of what nothing was written of yet."""
        return self.words, self.count

    def joined(self) -> bytes:
        """All of it as bytes."""
        pairs = self.words[2 * self._at : 2 * self.count].reshape(-1, 2).tolist()
        return b"".join(ctypes.string_at(address, size) for address, size in pairs)


class ReaderLeft(Exception):
    """Nobody reads any more."""


class Sink:
    """Base of all sinks, in the writer's process.

    room: bytes of records for one write; frames: the most of them, where each costs a call. cuts: whether `begin` takes
    back a write in which a predecessor died. reads: 1 where `opening` is for a reader that came. greets: whether it is
    written before there is a record. note: makes a record of another one, with a text in it; None: records have no room
    for one.
    patience_s: seconds to wait for more, where small writes cost much. gathers: whether one write is cheaper than two,
    so that frames of a live capture wait for each other a little.
    """

    room = 64 * 1024
    frames = UNBOUND
    cuts = False
    reads = 0
    greets = False
    patience_s = 0.0
    gathers = False
    note: Callable[[bytes, str], bytes] | None = None

    def begin(self, place: Place, *, interrupted: bool) -> None:
        """Go on at `place`; interrupted: a predecessor died in a write behind it. Raises OSError."""

    def holds(self, frames: int) -> bool:
        """Whether the write in which a predecessor died was done. frames: how many there are behind it."""
        return False

    def bounds(self, place: Place) -> tuple[int, int]:
        """Bytes of records that may follow, and the time from which on records belong to the next file."""
        return self.room, FOREVER

    def turn(self, place: Place, stamp: int) -> Place:
        """The place of the next file, which the record of this time begins."""
        return place

    def opening(self, place: Place) -> bytes:
        """Bytes that are due before the next record: the head of a file, most of all. Raises OSError."""
        return b""

    def closing(self, place: Place, counts: Sequence[tuple[int, int]]) -> bytes:
        """Bytes that are due at the end of a file. counts: frames received and dropped by each worker's queue."""
        return b""

    def pack(self, pieces: Pieces) -> Pieces:
        """The form in which records are written."""
        return pieces

    @property
    def taken(self) -> bool:
        """Whether somebody takes what is written. Where nobody does, the frames are discarded, and counted."""
        return True

    def missed(self) -> int:
        """Frames of those written that a reader left in the pipe, since the last call."""
        return 0

    @property
    def returned(self) -> int:
        """Frames of those written that came back unsent from an interface, since it was opened."""
        return 0

    def under_way(self) -> int:
        """Frames of those written of which it is not known yet whether they come back; behind the last write."""
        return 0

    def unsent(self, frames: int) -> int:
        """Of so many frames of a write that is given up: those that nobody got whole."""
        return frames

    def write(self, pieces: Pieces) -> bool:
        """Write; whether all is written. False: call again with what is left. Raises OSError, ReaderLeft."""
        raise NotImplementedError

    def left(self) -> None:
        """The reader left in a write, which is accounted for. Raises OutputError where that ends the output."""

    def cut(self, place: Place) -> None:
        """A write behind `place` has failed: take back what was written of it."""

    def close(self) -> None:
        """Give it back."""
