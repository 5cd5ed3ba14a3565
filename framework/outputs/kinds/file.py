"""Files that records are written to: names as tcpdump makes them, one after another, compressed by suffix."""

from __future__ import annotations

import errno
import os
import sys
import time
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from zcframe.framework.errors import OutputError
from zcframe.framework.outputs.output import STDOUT
from zcframe.framework.outputs.sink import FOREVER, Pieces, Place, ReaderLeft, Sink

NS: Final = 10**9
STDOUT_FD: Final = 1
# Makes the last bytes of a file of what each queue received and dropped.
Tail = Callable[[Sequence[tuple[int, int]]], bytes]
# Puts a text into a record.
Note = Callable[[bytes, str], bytes]
# Makes of records what is written.
Form = Callable[[Pieces], Pieces]
# Records of one compressed frame, and how long a writer waits for so many.
PACKED: Final = 1 << 20
PACKING_S: Final = 0.5
GZIP_WRAPPER: Final = 31
# RFC 8878, 3.1.1.2: last, raw, of no bytes.
EMPTY_LAST_BLOCK: Final = b"\x01\0\0"


class Packer(Protocol):
    """Compresses a file, piece by piece; each piece can be unpacked without those behind it."""

    def resume(self) -> bytes:
        """Bytes that end what a predecessor, of whom nothing is known, had begun."""

    def pack(self, data: bytes) -> bytes: ...

    def end(self) -> bytes:
        """The last bytes of the file."""


class GzipPacker:
    """A gzip member for each piece."""

    def resume(self) -> bytes:
        return b""

    def pack(self, data: bytes) -> bytes:
        return zlib.compress(data, wbits=GZIP_WRAPPER)

    def end(self) -> bytes:
        return b""


class ZstdPacker:
    """One zstd frame, a block or more for each piece: Wireshark 4.0 does not read several frames right."""

    def __init__(self) -> None:
        if sys.version_info >= (3, 14):
            from compression import zstd
        else:
            from backports import zstd
        self._frame: Any = zstd.ZstdCompressor()

    def resume(self) -> bytes:
        return EMPTY_LAST_BLOCK

    def pack(self, data: bytes) -> bytes:
        return bytes(self._frame.compress(data, self._frame.FLUSH_BLOCK))

    def end(self) -> bytes:
        return bytes(self._frame.flush(self._frame.FLUSH_FRAME))


PACKERS: Final[dict[str, Callable[[], Packer]]] = {".gz": GzipPacker, ".zst": ZstdPacker}


@dataclass(frozen=True)
class Names:
    """Names of the files of a stream.

    pattern: with strftime's signs where `seconds` is set. size, seconds: bytes of a file, and its time, after which the
    next one begins; 0: no bound. files: how many are kept where `size` is set, the oldest being written over; 0: all.
    """

    pattern: str
    size: int = 0
    seconds: int = 0
    files: int = 0

    @property
    def suffix(self) -> str:
        """That of compression, or ""."""
        return next((suffix for suffix in PACKERS if self.pattern.endswith(suffix)), "")

    @property
    def _numbered(self) -> bool:
        return bool(self.size) or (bool(self.seconds) and "%" not in self.pattern)

    def of(self, place: Place) -> str:
        """Name of the file at a place."""
        name = self.pattern
        if self.seconds:
            name = time.strftime(name, time.localtime(place.opened // NS))
        if not self._numbered:
            return name
        stem = name.removesuffix(self.suffix)
        if self.files:
            return f"{stem}{place.number % self.files:0{len(str(self.files - 1))}}{self.suffix}"
        return f"{stem}{place.number or ''}{self.suffix}"


class FileSink(Sink):
    """Files by these names. head: bytes at the beginning of each. tail: makes the last bytes of a file.

    note: see Sink. form: of what is written, where that is not the records themselves.
    """

    room = 1024 * 1024
    gathers = True
    cuts = True

    def __init__(
        self, names: Names, head: bytes, tail: Tail | None = None, note: Note | None = None, form: Form | None = None
    ) -> None:
        self._names, self._head, self._tail, self.note, self._form = names, head, tail, note, form
        self._packer: Packer | None = None
        self._fd, self._open = -1, Place(-1)
        if names.suffix:
            self.room, self.patience_s = PACKED, PACKING_S

    def begin(self, place: Place, *, interrupted: bool) -> None:
        """Open the file at this place, and cut it to what is accounted for."""
        if self._names.seconds and not place.opened:
            return  # the first record says how it is called
        self.close()
        path = self._names.of(place)
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o666)
        size = os.fstat(self._fd).st_size
        if size < place.length:
            raise OSError(errno.ESTALE, "is shorter than what was written to it", path)
        if size > place.length:
            # Of a file that was cut to nothing, ext4 has all written to the disk when it is closed.
            os.ftruncate(self._fd, place.length)
        os.lseek(self._fd, place.length, os.SEEK_SET)
        self._open = place
        self._packer = PACKERS[self._names.suffix]() if self._names.suffix else None
        self._resumes = place.length > 0

    def bounds(self, place: Place) -> tuple[int, int]:
        names = self._names
        room = max(min(self.room, names.size - place.length), 1) if names.size else self.room
        if not names.seconds:
            return room, FOREVER
        return room, place.opened + names.seconds * NS if place.opened else -FOREVER

    def turn(self, place: Place, stamp: int) -> Place:
        names = self._names
        if names.seconds and stamp and (not place.opened or stamp >= place.opened + names.seconds * NS):
            return Place(place.number + (place.opened > 0), stamp, 0)
        if names.size and place.length >= names.size:
            return Place(place.number + 1, place.opened, 0)
        return place

    def opening(self, place: Place) -> bytes:
        if self._names.seconds and not place.opened:
            return b""
        if place[:2] != self._open[:2]:
            self.begin(place, interrupted=False)
        return self.pack(Pieces.of(self._head)).joined() if place.length == 0 else b""

    def closing(self, place: Place, counts: Sequence[tuple[int, int]]) -> bytes:
        if self._names.seconds and not place.opened:
            return b""
        last = self._tail(counts) if self._tail is not None else b""
        if self._packer is None:
            return last
        packed = self.pack(Pieces.of(last)).joined() if last or self._resumes else b""
        return packed + self._packer.end()

    def pack(self, pieces: Pieces) -> Pieces:
        if self._form is not None and pieces.frames:
            pieces = self._form(pieces)
        if self._packer is None:
            return pieces
        before = self._packer.resume() if self._resumes else b""
        self._resumes = False
        return Pieces.of(before + self._packer.pack(pieces.joined()), pieces.kinds)

    def write(self, pieces: Pieces) -> bool:
        while pieces.left:
            pieces.write(self._fd)
        return True

    def cut(self, place: Place) -> None:
        os.ftruncate(self._fd, place.length)

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


class PipeSink(Sink):
    """Standard output, or a device. A writer that dies in a write to it has no successor. path: "-", or its name."""

    gathers = True

    def __init__(
        self, path: str, head: bytes, tail: Tail | None = None, note: Note | None = None, form: Form | None = None
    ) -> None:
        self._path, self._head, self._tail, self.note, self._form = path, head, tail, note, form
        self._fd = STDOUT_FD

    def begin(self, place: Place, *, interrupted: bool) -> None:
        if self._path != STDOUT:
            self._fd = os.open(self._path, os.O_WRONLY | os.O_CLOEXEC)
        elif interrupted:
            raise OutputError("the writer was killed in the middle of a write: what comes behind it has no place")

    def opening(self, place: Place) -> bytes:
        return self._head if place.length == 0 else b""

    def closing(self, place: Place, counts: Sequence[tuple[int, int]]) -> bytes:
        return self._tail(counts) if self._tail is not None else b""

    def pack(self, pieces: Pieces) -> Pieces:
        return self._form(pieces) if self._form is not None else pieces

    def write(self, pieces: Pieces) -> bool:
        try:
            while pieces.left:
                pieces.write(self._fd)
        except BrokenPipeError as error:
            raise ReaderLeft from error
        return True

    def left(self) -> None:
        raise OutputError("nobody reads it any more")
