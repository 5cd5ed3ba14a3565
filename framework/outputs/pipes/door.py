"""A FIFO by its name, held open for writing: a new one, or one that somebody else made.

Of a new one each reader gets the pipe for itself: once a reader is there, another FIFO takes the name. So the next
reader finds nothing of its predecessor's, however quickly it comes, and what a reader had not taken is known.
"""

from __future__ import annotations

import fcntl
import os
import select
import stat
import struct
import termios
from contextlib import suppress
from pathlib import Path
from typing import Final

PIPE_BYTES: Final = 1 << 20


def has_reader(fd: int) -> bool:
    """Whether somebody has the pipe open for reading."""
    poller = select.poll()
    poller.register(fd, select.POLLOUT)
    return not any(events & select.POLLERR for _, events in poller.poll(0))


def bytes_in(fd: int) -> int:
    """Bytes that lie in the pipe. Raises OSError."""
    return int(struct.unpack("=i", fcntl.ioctl(fd, termios.FIONREAD, bytes(4)))[0])


def _open_for_writing(path: str) -> int:
    """The FIFO's end for writing, non-blocking, whether it has a reader or not. Raises OSError."""
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        fd = os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    finally:
        os.close(reader)
    with suppress(OSError):
        fcntl.fcntl(fd, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
    return fd


def _like(path: str, model: os.stat_result) -> int:
    """Make a FIFO with the owner and the mode of another one, and open it. Raises OSError, and leaves none."""
    os.mkfifo(path, 0o600)
    try:
        made = os.stat(path)
        if (made.st_uid, made.st_gid) != (model.st_uid, model.st_gid):
            os.chown(path, model.st_uid, model.st_gid)
        os.chmod(path, stat.S_IMODE(model.st_mode))
        return _open_for_writing(path)
    except BaseException:
        os.unlink(path)
        raise


class Door:
    """The FIFO. made: whether it is ours. Raises FileExistsError for what is no FIFO, OSError."""

    def __init__(self, path: str) -> None:
        self.path, self.made = path, True
        try:
            os.mkfifo(path, 0o600)
        except FileExistsError:
            if not stat.S_ISFIFO(os.stat(path).st_mode):
                raise
            self.made = False
        try:
            self.fd = _open_for_writing(path)
        except OSError:
            self.remove()
            raise

    def admit(self) -> int:
        """Descriptor of the pipe, which nobody can open from here on: another FIFO has the name. Raises OSError."""
        path = Path(self.path)
        other = str(path.with_name(f".{path.name}.{os.getpid()}"))
        fd = _like(other, os.fstat(self.fd))
        try:
            os.rename(other, self.path)
        except OSError:
            os.close(fd)
            os.unlink(other)
            raise
        pipe, self.fd = self.fd, fd
        return pipe

    def close(self) -> None:
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def remove(self) -> None:
        """Remove what was made."""
        if self.made:
            with suppress(OSError):
                os.unlink(self.path)
