"""Pipes that have a reader: from the supervisor, which lets readers in, to the writer, which serves them."""

from __future__ import annotations

import os
import socket
import struct
from typing import Final, NamedTuple, Protocol

from .door import bytes_in, has_reader

MESSAGE: Final = struct.Struct("=II")


class Pipe(NamedTuple):
    """A reader's pipe. number: of the reader among those of its stream, from 1. fd: the end for writing."""

    number: int
    fd: int


class Entrance(Protocol):
    """Where the readers of one stream come from, in the writer's process."""

    def resume(self, number: int, *, interrupted: bool) -> Pipe | None:
        """The pipe that a predecessor served, if its reader goes on. number: of the reader that is on record."""

    def admit(self) -> Pipe | None:
        """The pipe of another reader, if one is there."""

    def deserted(self, pipe: Pipe) -> bool:
        """Whether its reader has left."""

    def leave(self, pipe: Pipe) -> int:
        """Give a deserted pipe back; how many bytes its reader had not taken."""


class Post:
    """Pipes from the supervisor to the writer, a message each: it arrives whole, and lives longer than its reader."""

    def __init__(self) -> None:
        self._near, self._far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._near.setblocking(False)
        self._far.setblocking(False)
        self._arrived: dict[int, Pipe] = {}

    def send(self, stream: int, pipe: Pipe) -> bool:
        """Whether the message found room."""
        try:
            socket.send_fds(self._near, [MESSAGE.pack(stream, pipe.number)], [pipe.fd])
        except BlockingIOError:
            return False
        return True

    def take(self, stream: int) -> Pipe | None:
        """In the writer: the newest pipe of a stream that has come."""
        while True:
            try:
                data, fds, _, _ = socket.recv_fds(self._far, MESSAGE.size, 1)
            except BlockingIOError:
                return self._arrived.pop(stream, None)
            if not data:
                return self._arrived.pop(stream, None)
            of, number = MESSAGE.unpack(data)
            older = self._arrived.get(of)
            self._arrived[of] = Pipe(number, fds[0])
            if older is not None:
                os.close(older.fd)

    def close(self) -> None:
        self._near.close()
        self._far.close()


class OwnPipes:
    """Entrance by a FIFO that is made anew for each reader. pipe: as the supervisor knew it when it forked."""

    def __init__(self, stream: int, pipe: Pipe | None, last: int, post: Post) -> None:
        self._stream, self._pipe, self._last, self._post = stream, pipe, last, post

    def resume(self, number: int, *, interrupted: bool) -> Pipe | None:
        return self._pipe

    def admit(self) -> Pipe | None:
        pipe = self._post.take(self._stream)
        if pipe is not None and pipe.number <= self._last:
            os.close(pipe.fd)  # a message to a predecessor
            return None
        return pipe

    def deserted(self, pipe: Pipe) -> bool:
        return not has_reader(pipe.fd)

    def leave(self, pipe: Pipe) -> int:
        left = bytes_in(pipe.fd)
        os.close(pipe.fd)
        return left
