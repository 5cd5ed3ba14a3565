"""Readers of a FIFO that somebody else made, and that keeps its name: they follow one another in one pipe.

inotify tells that a reader has closed the pipe even where the next one has opened it by then. What the first one had
not taken is taken out, unless the next one is quicker.
"""

from __future__ import annotations

import ctypes
import os
from contextlib import suppress
from typing import Final

from .door import has_reader
from .own import Pipe

IN_CLOSE_NOWRITE: Final = 0x10
EVENTS: Final = 4096
TAKEN_OUT: Final = 1 << 16


class Departures:
    """Readers that close the file of this name. Raises OSError where inotify refuses."""

    def __init__(self, path: str) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        self._fd = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if self._fd < 0 or libc.inotify_add_watch(self._fd, os.fsencode(path), IN_CLOSE_NOWRITE) < 0:
            number = ctypes.get_errno()
            self.close()
            raise OSError(number, os.strerror(number), path)

    def seen(self) -> bool:
        """Whether there were any since the last call."""
        try:
            return bool(os.read(self._fd, EVENTS))
        except BlockingIOError:
            return False

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


class FoundPipe:
    """Entrance by such a FIFO. fd: its end for writing."""

    def __init__(self, path: str, fd: int, departures: Departures) -> None:
        self._path, self._fd, self._departures = path, fd, departures
        self._number = 0

    def resume(self, number: int, *, interrupted: bool) -> Pipe | None:
        self._number = number
        return Pipe(number, self._fd) if number and not interrupted else None

    def admit(self) -> Pipe | None:
        if not has_reader(self._fd):
            return None
        self._departures.seen()  # of those that nothing was written for
        self._number += 1
        return Pipe(self._number, self._fd)

    def deserted(self, pipe: Pipe) -> bool:
        return self._departures.seen() or not has_reader(self._fd)

    def leave(self, pipe: Pipe) -> int:
        """Take out what the reader had not taken. To close what was opened for writing, too, is no departure."""
        left = 0
        with suppress(OSError):
            fd = os.open(self._path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
            try:
                while data := os.read(fd, TAKEN_OUT):
                    left += len(data)
            finally:
                os.close(fd)
        return left
