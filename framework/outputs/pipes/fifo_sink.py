"""Records into a FIFO, in the writer's process: a header for each reader, and to the frame what it took."""

from __future__ import annotations

from contextlib import suppress

from zcframe.framework.outputs.sink import Pieces, Place, Sink

from .own import Entrance, Pipe
from .trail import Trail


class FifoSink(Sink):
    """A stream of each reader that comes by `entrance`. head: bytes that each gets first.

    A place's number is that of the reader, its length what went into the pipe of this one.
    """

    gathers = True
    reads = 1

    def __init__(self, entrance: Entrance, head: bytes, trail: Trail) -> None:
        self._entrance, self._head, self._trail = entrance, head, trail
        self._pipe: Pipe | None = None
        self._accepted = self._missed = 0

    def begin(self, place: Place, *, interrupted: bool) -> None:
        self._trail.resume(place.length)
        self._accepted = place.length
        self._take(self._entrance.resume(place.number, interrupted=interrupted), place.number)

    def _take(self, pipe: Pipe | None, served: int) -> None:
        """Serve a pipe from here on. served: number of the reader to which the trail belongs."""
        self._pipe = pipe
        if pipe is not None and pipe.number != served:
            self._trail.clear()
            self._accepted = 0

    @property
    def taken(self) -> bool:
        if self._pipe is not None and self._entrance.deserted(self._pipe):
            self.part()
        if self._pipe is None:
            self._take(self._entrance.admit(), 0)
        return self._pipe is not None

    def part(self) -> None:
        """The reader has left: count what it had not taken."""
        assert self._pipe is not None
        left = self._entrance.leave(self._pipe)
        self._missed += self._trail.behind(self._accepted - left)
        self._pipe = None

    def missed(self) -> int:
        frames, self._missed = self._missed, 0
        return frames

    def unsent(self, frames: int) -> int:
        return self._trail.behind(self._accepted)

    def turn(self, place: Place, stamp: int) -> Place:
        if self._pipe is None or self._pipe.number == place.number:
            return place
        return Place(self._pipe.number)

    def opening(self, place: Place) -> bytes:
        return self._head if place.length == 0 else b""

    def pack(self, pieces: Pieces) -> Pieces:
        self._trail.note(pieces.words, pieces.count, self._accepted)
        return pieces

    def write(self, pieces: Pieces) -> bool:
        """What is left where the reader leaves counts as missed, and is done with."""
        assert self._pipe is not None
        with suppress(BlockingIOError, BrokenPipeError):
            self._accepted += pieces.write(self._pipe.fd)
        if pieces.left and self._entrance.deserted(self._pipe):
            self.part()
            return True
        return not pieces.left
