"""The standard streams of the command: what the encoding lacks is replaced; what nobody takes holds nothing up.

`Outlet` is for what was asked for, the document or a summary: all of it leaves, or OSError is raised. `Voice` is for
what is said on the way, messages and the live view: it never raises and never waits, so that a full disk, a reader that
left or one that sleeps cannot end a capture, or stop it.
"""

from __future__ import annotations

import codecs
import contextlib
import errno
import io
import os
import select
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Final, TextIO, cast

from .terminal import SUBSTITUTE

# Bytes that wait for a reader at most; whole lines beyond them are lost, and counted.
BACKLOG: Final = 1 << 20
# select(2) promises room for this much, PIPE_BUF, where it promises any.
PIECE: Final = select.PIPE_BUF
# After the run: how long the lines that still wait may take.
PARTING_S: Final = 1.0
# Errors after which nothing that is written will ever arrive.
GONE: Final = frozenset({errno.EPIPE, errno.EIO, errno.ENXIO, errno.EBADF, errno.ECONNRESET, errno.ENOTCONN})


def _room(fd: int, timeout_ms: int | None) -> bool:
    """Whether `fd` takes bytes, or refuses them at once."""
    ready = select.poll()
    ready.register(fd, select.POLLOUT)
    return bool(ready.poll(timeout_ms))


class Outlet(io.TextIOBase):
    """Text to a file descriptor. A write returns when all of it has left, or raises OSError."""

    # In place of the read-only ones of io.
    encoding = "utf-8"
    errors = SUBSTITUTE

    def __init__(self, fd: int, encoding: str) -> None:
        self._fd, self.encoding = fd, encoding
        self._encoder = codecs.getincrementalencoder(encoding)(SUBSTITUTE)

    def fileno(self) -> int:
        return self._fd

    def isatty(self) -> bool:
        return os.isatty(self._fd)

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        left = self._encoder.encode(text)
        while left:
            try:
                left = left[os.write(self._fd, left) :]
            except BlockingIOError:  # whoever started us left the stream non-blocking
                _room(self._fd, None)
        return len(text)


class _Piece:
    """Whole lines on their way out. lines: how many are lost if it does not leave; begun: some of it has left."""

    def __init__(self, data: bytes, lines: int) -> None:
        self.data, self.lines, self.begun = data, lines, False


class Voice(Outlet):
    """Text for people. It leaves line by line, as fast as it is taken; a write never raises and never waits.

    lost: lines that nobody took; the next one that gets through says so, unless `silent`. gone: nothing will arrive
    any more, because the reader or the terminal is gone.
    """

    def __init__(self, fd: int, encoding: str, *, silent: bool = False) -> None:
        super().__init__(fd, encoding)
        self._own = _own_description(fd)
        self._silent, self._pid = silent, os.getpid()
        self._text = ""
        self._waiting: deque[_Piece] = deque()
        self._size = 0
        self.lost = 0
        self.gone = False

    @property
    def behind(self) -> bool:
        """Whether something still waits for a reader."""
        return bool(self._waiting)

    def _leave_to_parent(self) -> None:
        """In a fork: what waits is the parent's to write. A fork that drops its copy flushes it, by io's finalizer."""
        if self._pid != os.getpid():
            self._pid = os.getpid()
            self._waiting.clear()
            self._text, self._size, self.lost = "", 0, 0

    def write(self, text: str) -> int:
        self._leave_to_parent()
        self._text += text
        whole, end, rest = self._text.rpartition("\n")
        if end:
            self._text = rest
            self._queue(whole + end)
            self._push()
        return len(text)

    def flush(self) -> None:
        """Let go of what is left, a line without its end included; what is not taken at once goes on waiting."""
        self._leave_to_parent()
        text, self._text = self._text, ""
        if text:
            self._queue(text)
        self._push()

    def _queue(self, text: str) -> None:
        lines = max(text.count("\n"), 1)
        if self.gone or (self._size and self._size + len(text) > BACKLOG):
            self.lost += lines
            return
        if self.lost and not self._silent:
            text = f"zcframe: {self.lost} lines were lost here, nobody took them\n{text}"
            lines, self.lost = lines + self.lost, 0
        piece = _Piece(self._encoder.encode(text), lines)
        self._size += len(piece.data)
        self._waiting.append(piece)

    def _push(self) -> None:
        """Write what is taken at once."""
        try:
            while self._waiting:
                self._advance(self._write(self._waiting[0].data))
        except BlockingIOError:
            return
        except OSError as error:
            self._give_up(error)

    def _write(self, data: bytes) -> int:
        """How many bytes were taken. Raises BlockingIOError where none can be."""
        if self._own is not None:
            return os.write(self._own, data)
        if not _room(self._fd, 0):
            raise BlockingIOError
        return os.write(self._fd, data[:PIECE])

    def _advance(self, taken: int) -> None:
        piece = self._waiting[0]
        piece.data, piece.begun = piece.data[taken:], True
        self._size -= taken
        if not piece.data:
            self._waiting.popleft()

    def _give_up(self, error: OSError) -> None:
        """Drop what waits. A line that has begun stays, since a disk may have room again later."""
        self.gone = error.errno in GONE
        kept = [piece for piece in self._waiting if piece.begun and not self.gone]
        self.lost += sum(piece.lines for piece in self._waiting if piece not in kept)
        self._waiting = deque(kept)
        self._size = sum(len(piece.data) for piece in kept)

    def drain(self, seconds: float | None = PARTING_S) -> None:
        """Wait until all has left, for at most so long; None: for as long as it takes."""
        self.flush()
        end = None if seconds is None else time.monotonic() + seconds
        while self._waiting and not self.gone:
            left = None if end is None else max(end - time.monotonic(), 0.0)
            if left == 0.0 or not _room(self._fd, None if left is None else int(left * 1000) + 1):
                return
            before = self._size
            self._push()
            if self._size == before:
                return

    def release(self) -> None:
        """Give back the descriptor that was opened for it; what still waits is lost."""
        if self._own is not None:
            os.close(self._own)
            self._own, self.gone = None, True


def _own_description(fd: int) -> int | None:
    """The terminal behind `fd`, opened once more and non-blocking; None where it is none, or may not be opened.

    A terminal promises room without saying how much. O_NONBLOCK on the one that we were given would be seen by every
    process that shares it, such as the shell.
    """
    try:
        if os.isatty(fd):
            return os.open(f"/proc/self/fd/{fd}", os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError:
        # Another user's terminal, as after su: the one that we were given has to do.
        return None
    return None


# --- the two of the process


def occupy() -> None:
    """Open /dev/null for each closed standard stream, so that no other file, such as a ring, gets its number."""
    # Without /dev/null, or without a descriptor left, these three are taken as a rule.
    with contextlib.suppress(OSError):
        while (number := os.open(os.devnull, os.O_RDWR)) <= 2:
            os.set_inheritable(number, True)
        os.close(number)
    sys.stdout = sys.stdout or os.fdopen(1, "w", closefd=False)
    sys.stderr = sys.stderr or os.fdopen(2, "w", closefd=False)


def _stands_for(stream: TextIO, fd: int) -> bool:
    """Whether writing to this stream is writing to `fd`."""
    try:
        return stream.fileno() == fd
    except (AttributeError, OSError, ValueError):
        return False


def _wrapped(stream: TextIO, fd: int, kind: Callable[[int, str], Outlet]) -> TextIO:
    return cast(TextIO, kind(fd, stream.encoding or "utf-8")) if _stands_for(stream, fd) else stream


@contextlib.contextmanager
def standard() -> Iterator[None]:
    """Until the end, sys.stdout is an Outlet and sys.stderr a Voice, unless somebody put others in their place."""
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = _wrapped(sys.stdout, 1, Outlet), _wrapped(sys.stderr, 2, Voice)
    try:
        yield
    finally:
        if isinstance(sys.stderr, Voice):
            sys.stderr.drain()
        sys.stdout, sys.stderr = before


def settle() -> None:
    """Let what was said on stderr arrive before a document or a summary is written."""
    if isinstance(sys.stderr, Voice):
        # Where both are one pipe, a line that has begun must not end in the middle of the document.
        together = os.path.sameopenfile(1, 2) and not sys.stderr.isatty()
        sys.stderr.drain(None if together and sys.stderr.behind else PARTING_S)


def renew() -> None:
    """In a fork: streams of its own, which hold nothing that the parent was about to write."""
    if sys.__stdout__ is not None:
        sys.stdout = _wrapped(sys.__stdout__, 1, Outlet)
    if sys.__stderr__ is not None:
        sys.stderr = _wrapped(sys.__stderr__, 2, Voice)
