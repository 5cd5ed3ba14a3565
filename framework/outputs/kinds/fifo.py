"""`fifo:PATTERN`: pcap through named pipes, a stream for each share, for Suricata, tcpdump, tshark and others.

The supervisor opens a FIFO for writing and keeps it open to the end, so that a reader never sees the end of a stream
because a writer died. A FIFO whose reader left is emptied, and its next reader gets a header of its own.
"""

from __future__ import annotations

import errno
import fcntl
import os
import select
import stat
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from zcframe.framework.errors import OutputError
from zcframe.framework.outputs.output import Input, Output, OutputSpec, Streams
from zcframe.framework.outputs.sink import Pieces, Place, ReaderLeft, Sink

from .pcap import pcap_head

PIPE_BYTES: Final = 1 << 20
TAKEN_OUT: Final = 1 << 16


def has_reader(fd: int) -> bool:
    """Whether somebody has the pipe open for reading."""
    poller = select.poll()
    poller.register(fd, select.POLLOUT)
    return not any(events & select.POLLERR for _, events in poller.poll(0))


def open_for_writing(path: str) -> int:
    """The FIFO's end for writing, non-blocking, whether it has a reader or not. Raises OSError."""
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        fd = os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    finally:
        os.close(reader)
    with suppress(OSError):
        fcntl.fcntl(fd, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
    return fd


class FifoSink(Sink):
    """A FIFO. head: bytes that each reader gets first."""

    reads = 1

    def __init__(self, path: str, fd: int, head: bytes) -> None:
        self._path, self._fd, self._head = path, fd, head
        self._read = self._fresh = False

    def begin(self, place: Place, *, interrupted: bool) -> None:
        # A reader that a predecessor served, and that has been given its header, goes on reading.
        self._read = place.length > 0 and not interrupted and has_reader(self._fd)

    @property
    def taken(self) -> bool:
        read = has_reader(self._fd)
        if self._read and not read:
            self.left()
        self._fresh = self._fresh or (read and not self._read)
        self._read = read
        return read

    def opening(self, place: Place) -> bytes:
        fresh, self._fresh = self._fresh, False
        return self._head if fresh else b""

    def write(self, pieces: Pieces) -> bool:
        try:
            pieces.write(self._fd)
        except BlockingIOError:
            if not has_reader(self._fd):
                raise ReaderLeft from None
        except BrokenPipeError as error:
            raise ReaderLeft from error
        return not pieces.left

    def left(self) -> None:
        """Take out what the reader had not taken: the next one must not begin in the middle of a record."""
        self._read = False
        with suppress(OSError):
            fd = os.open(self._path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            try:
                while os.read(fd, TAKEN_OUT):
                    pass
            finally:
                os.close(fd)


class Fifo(Output):
    """Named pipes: those that are there, or new ones, which are removed at the end."""

    def __init__(self, spec: OutputSpec, streams: Streams, inputs: Sequence[Input], number: int) -> None:
        super().__init__(spec, streams, inputs, number)
        self._fds: list[int] = []
        self._made: list[str] = []

    def open(self) -> None:
        for path in self.targets():
            self._make(path)
            try:
                self._fds.append(open_for_writing(path))
            except OSError as error:
                raise OutputError(f"--out {self.spec.text}: {path}: {error.strerror}") from error

    def _make(self, path: str) -> None:
        try:
            os.mkfifo(path, 0o600)
            self._made.append(path)
        except FileExistsError:
            if not stat.S_ISFIFO(os.stat(path).st_mode):
                raise self.refuse(f"{path} is there and is no FIFO: remove it, or name another") from None
        except OSError as error:
            reason = "no permission" if error.errno in (errno.EACCES, errno.EPERM) else error.strerror
            raise OutputError(f"--out {self.spec.text}: {path} cannot be made: {reason}") from error

    def sink(self, stream: int) -> Sink:
        return FifoSink(self.target_of(stream), self._fds[stream], pcap_head(self.snaplen))

    def absent(self) -> Sequence[str]:
        return [path for path, fd in zip(self.targets(), self._fds, strict=True) if not has_reader(fd)]

    def renew(self, stream: int) -> None:
        """End the stream, which may stop in the middle of a record, and begin another one under the same name."""
        path = self.target_of(stream)
        if path not in self._made:
            raise OutputError("the writer was killed in a write to a FIFO that it did not make: its stream ends there")
        os.close(self._fds[stream])
        os.unlink(path)
        os.mkfifo(path, 0o600)
        self._fds[stream] = open_for_writing(path)

    def let_go(self) -> None:
        for fd in self._fds:
            os.close(fd)
        self._fds = []

    def close(self) -> None:
        self.let_go()
        for path in self._made:
            with suppress(OSError):
                os.unlink(path)
        self._made = []
