"""A path at which a UNIX socket listens: taken over from a program that is dead, never from one that lives."""

from __future__ import annotations

import fcntl
import os
import socket
import stat
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, NamedTuple

CREDENTIALS: Final = struct.Struct("3i")


class Peer(NamedTuple):
    """The process that made the other end of a connection, by the kernel's word."""

    pid: int
    uid: int
    gid: int


def peer_of(connected: socket.socket) -> Peer:
    raw = connected.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, CREDENTIALS.size)
    return Peer(*CREDENTIALS.unpack(raw))


class NoSocketError(Exception):
    """Something else has the name."""


class ListeningError(Exception):
    """A living program has the name. pid: its own, 0 where it lets nobody in at the moment."""

    def __init__(self, pid: int) -> None:
        super().__init__(pid)
        self.pid = pid


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Keep other runs that start out of this folder."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def _is_alive(pid: int) -> bool:
    """Whether there is such a process; one of another namespace, 0, is believed to live."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


class Name:
    """The path of a listening socket, from `take()` on."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._inode = 0

    def take(self, listener: socket.socket, mode: int, group: int, backlog: int) -> None:
        """Have `listener` listen there, and nobody connect before mode and group (-1: as it is) are set.

        Raises OSError, NoSocketError, ListeningError.
        """
        with _locked(Path(self.path).parent):
            self._make_room(listener.type)
            listener.bind(self.path)
            self._inode = os.lstat(self.path).st_ino
            os.chown(self.path, -1, group)
            os.chmod(self.path, mode)
            listener.listen(backlog)

    def _make_room(self, kind: int) -> None:
        if not os.path.lexists(self.path):
            return
        if not stat.S_ISSOCK(os.lstat(self.path).st_mode):
            raise NoSocketError
        with socket.socket(socket.AF_UNIX, kind | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC) as asking:
            try:
                asking.connect(self.path)
            except ConnectionRefusedError:
                os.unlink(self.path)
                return
            except BlockingIOError:
                raise ListeningError(0) from None
            pid = peer_of(asking).pid
            if _is_alive(pid):
                raise ListeningError(pid)
            # Children of a program that was killed have its socket for some milliseconds more.
            os.unlink(self.path)

    def give_up(self) -> None:
        """Remove the path where it is still that of the socket."""
        if self._inode:
            with suppress(OSError):
                if os.lstat(self.path).st_ino == self._inode:
                    os.unlink(self.path)
