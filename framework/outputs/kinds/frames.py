"""Records become frames on an interface, one by one; compiled.

Of each record only the frame is written, by a call of its own. What the kernel does not take of a batch is counted by
cause, so that the account of a batch that is done is exact.
"""

from __future__ import annotations

import errno
import os
import time
from typing import Final

import numpy as np
from numba.core import types

from zcframe.framework.errors import OutputError
from zcframe.framework.jit.address import load_u32
from zcframe.framework.jit.calls import last_error, write_to
from zcframe.framework.jit.compiler import Job, compiled
from zcframe.framework.outputs.sink import Pieces, Sink

# Header of a record of pcap, and the place in it of how much of the frame was captured.
HEADER: Final = 16
CAPTURED: Final = 8
# Frames of one batch: a killed writer leaves so many uncertain at most, and what a batch costs beside them is small.
BATCH: Final = 256
# Room for so many, however long they are.
BATCH_BYTES: Final = 1 << 19
# How often it is looked whether somebody reads.
LOOK_S: Final = 0.05
# Words of a tally.
REFUSED, DOWN, UNSENT, PASSED = 0, 1, 2, 3
WORDS: Final = 4
# The kernel takes no more for now.
FULL: Final = frozenset((errno.EAGAIN, errno.ENOBUFS, errno.ENOMEM))
NO_FD: Final = -1
EINTR, EINVAL, EMSGSIZE = errno.EINTR, errno.EINVAL, errno.EMSGSIZE
EIO, ENETDOWN, EBADF = errno.EIO, errno.ENETDOWN, errno.EBADF


@compiled
def put(fd, words, count, tally):  # type: ignore[no-untyped-def]
    """Write the frame of each record in `count` pieces, and move the pieces' words past it; 0, or an errno.

    tally: int64[4], to which frames are added that are too long or too short, those for an interface that is down (for
    an fd of -1 all are), the bytes of both, and all frames, these and those that were written.
    """
    for i in range(count):
        at, end = words[2 * i], words[2 * i] + words[2 * i + 1]
        while at < end:
            length = load_u32(at + CAPTURED)
            if write_to(fd, at + HEADER, length) < 0:
                error = last_error()
                if error == EINTR:
                    continue
                if error == EINVAL or error == EMSGSIZE:
                    tally[REFUSED] += 1
                elif error == EIO or error == ENETDOWN or error == EBADF:
                    tally[DOWN] += 1
                else:
                    words[2 * i], words[2 * i + 1] = at, end - at
                    return error
                tally[UNSENT] += length
            tally[PASSED] += 1
            at += HEADER + length
        words[2 * i], words[2 * i + 1] = at, 0
    return 0


class FrameSink(Sink):
    """Writes frames to a descriptor. name: of its interface.

    When the kernel refuses for good, the rest of the batch counts as `down`, and the next one raises OutputError.
    """

    room, frames = BATCH_BYTES, BATCH

    def __init__(self, name: str, fd: int) -> None:
        self._name, self._fd = name, fd
        self._tally = np.zeros(WORDS, np.int64)
        self._error = 0
        self._next_look, self._read = 0.0, False

    def read(self) -> bool:
        """Whether somebody takes the frames."""
        return True

    @property
    def taken(self) -> bool:
        if self._error:
            raise OutputError(f"{self._name} takes no more frames: {os.strerror(self._error)}; was it removed?")
        now = time.monotonic()
        if now >= self._next_look:
            self._next_look, self._read = now + LOOK_S, self.read()
        return self._read

    def pack(self, pieces: Pieces) -> Pieces:
        """The same, without the headers of records in what is counted."""
        return Pieces(pieces.words, pieces.count, pieces.octets - HEADER * pieces.frames, pieces.frames)

    def write(self, pieces: Pieces) -> bool:
        error = put(self._fd, pieces.words, pieces.count, self._tally)
        full = error in FULL
        if error and not full:
            self._error = error
            put(NO_FD, pieces.words, pieces.count, self._tally)
        pieces.refused, pieces.down, pieces.unsent, passed = map(int, self._tally)
        pieces.left = int(pieces.words[1 : 2 * pieces.count : 2].sum()) - HEADER * (pieces.frames - passed)
        if not full:
            self._tally[:] = 0
        return not full

    def unsent(self, frames: int) -> int:
        return frames - int(self._tally[PASSED])


def entry_points() -> tuple[Job, ...]:
    words = types.Array(types.int64, 1, "C")
    return (Job("zcframe", put, (types.int64, words, types.int64, words)),)
