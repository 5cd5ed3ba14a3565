"""A file or pipe of any size, seen through one buffer that is read into again and again."""

from __future__ import annotations

import mmap
import os
import stat
from collections.abc import Callable
from typing import Any, Final

import numpy as np

from zcframe.framework.errors import CaptureFileError, CaptureOpenError

from .compressed import StreamError, Unpacker

STDIN: Final = "-"

# One read: large enough that its system call costs nothing, small enough that the cache still holds its end when its
# beginning has been copied on. Reading beats mapping the file by far: a page fault costs more than copying a page.
CHUNK: Final = 1 << 19

# In front of the first record there is room for an Ethernet header, behind the last one for a copy in whole cache
# lines.
FRONT: Final = 64
SLACK: Final = 64


class Window:
    """Bytes [start, end) of `data` (uint8, at int64 address `address`) are read and not parsed yet.

    `size` is that of a regular file, 0 for anything else. Of a compressed file, all but `size` and `done` is about what
    is in it, from `unpack()` on. `before_read(fd)` is called ahead of each read that may block. Raises CaptureOpenError
    where the file cannot be opened, CaptureFileError where it cannot be read.
    """

    def __init__(self, path: str) -> None:
        self.before_read: Callable[[int], None] | None = None
        self._fd = -1
        self._allocate(CHUNK)
        self.open(path)

    def _allocate(self, room: int) -> None:
        memory = mmap.mmap(-1, FRONT + room + SLACK)
        self._view = memoryview(memory)
        self.data: np.ndarray[Any, np.dtype[np.uint8]] = np.frombuffer(memory, np.uint8)
        self.address = int(self.data.ctypes.data)

    def open(self, path: str) -> None:
        """Open another file, in the same buffer."""
        self.close()
        self.path, self.label = path, "standard input" if path == STDIN else path
        self.start = self.end = FRONT
        self._consumed = 0
        self._unpacker: Unpacker | None = None
        try:
            self._fd = os.dup(0) if path == STDIN else os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            self._examine(os.fstat(self._fd))
        except OSError as error:
            self.close()
            raise CaptureOpenError(f"cannot open {self.label}: {error.strerror}") from error

    def _examine(self, info: os.stat_result) -> None:
        terminal = os.isatty(self._fd)
        if terminal or stat.S_ISDIR(info.st_mode):
            self.close()
            what = "a terminal: pipe a capture into it" if terminal else "a directory: name the capture files in it"
            raise CaptureOpenError(f"{self.label} is {what}")
        # Standard input is no regular file, even where it comes from one: it cannot be opened again from its beginning.
        self.regular = stat.S_ISREG(info.st_mode) and self.path != STDIN
        self.size = info.st_size if self.regular else 0
        self._modified = info.st_mtime_ns
        if self.regular:
            os.posix_fadvise(self._fd, 0, 0, os.POSIX_FADV_SEQUENTIAL)

    def unpack(self) -> None:
        """Go on with what is in the compressed file whose beginning has been read."""
        self._unpacker = Unpacker(self._read, self._view[self.start : self.end].tobytes())
        self.start = self.end = FRONT

    @property
    def packed(self) -> bool:
        """Whether the file is compressed: its offsets are not those of what is in it."""
        return self._unpacker is not None

    def change(self) -> str:
        """What happened to a regular file since it was opened, "" where it is the same, or has only grown."""
        if not self.regular:
            return ""
        info = os.fstat(self._fd)
        if info.st_size < self.size:
            return f"became shorter while it was read, {self.size} bytes at first and {info.st_size} in the end,"
        if info.st_size == self.size and info.st_mtime_ns != self._modified:
            return "was changed while it was read"
        return ""

    def fileno(self) -> int:
        return self._fd

    def seek(self, offset: int) -> None:
        """Go on at this byte of a regular file; what was read and not parsed is dropped."""
        try:
            os.lseek(self._fd, offset, os.SEEK_SET)
        except OSError as error:
            raise CaptureFileError(f"cannot read {self.label} at byte {offset}: {error.strerror}") from error
        self.start = self.end = FRONT
        self._consumed = offset

    @property
    def offset(self) -> int:
        """Position of `start` in the file, unpacked: bytes parsed so far."""
        return self._consumed + self.start - FRONT

    @property
    def place(self) -> str:
        """The same in words."""
        return f"byte {self.offset}{' (unpacked)' if self.packed else ''}"

    @property
    def done(self) -> int:
        """Bytes of the file, as it lies there, that are done with."""
        return self._unpacker.done if self._unpacker else self.offset

    @property
    def unparsed(self) -> int:
        return self.end - self.start

    def refill(self, needed: int) -> bool:
        """Read on; afterwards there is room for `needed` bytes from `start`, though maybe they are not all there yet.

        Returns False at the end of the file. Addresses are other ones afterwards.
        """
        self._move_to_front(needed)
        room = self._view[self.end : min(self.end + CHUNK, len(self._view) - SLACK)]
        try:
            count = self._unpacker.readinto(room) if self._unpacker else self._readinto(room)
        except StreamError as error:
            raise CaptureFileError(f"{self.label} {error}") from error
        except OSError as error:
            raise CaptureFileError(f"cannot read {self.label} at byte {self.done}: {error.strerror}") from error
        self.end += count
        return count > 0

    def _readinto(self, room: memoryview) -> int:
        self._await_input()
        return os.readv(self._fd, [room])

    def _read(self, size: int) -> bytes:
        self._await_input()
        return os.read(self._fd, size)

    def _await_input(self) -> None:
        if self.before_read and not self.regular:
            self.before_read(self._fd)

    def _move_to_front(self, needed: int) -> None:
        self._consumed, rest = self.offset, self._view[self.start : self.end]
        grows = FRONT + needed + SLACK > len(self._view)
        if grows:
            self._allocate(needed + CHUNK)
        if grows or self.start != FRONT:
            self._view[FRONT : FRONT + len(rest)] = rest
        self.start, self.end = FRONT, FRONT + len(rest)

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
