"""Compressed captures: streams of gzip, zstd and lz4 frames, unpacked as they are read.

Each frame (gzip: member) is recognised by its own first bytes, so that concatenated ones may be of several formats.
Memory is bounded whatever a stream unpacks to: a piece of input, the buffer that is filled, and the decompressor's own
history, which libzstd limits to 128 MiB.
"""

from __future__ import annotations

import sys
import zlib
from collections.abc import Callable
from typing import Any, Final, Protocol

# zstd and lz4 have a frame in common that unpacks to nothing: a first byte of 0x50 to 0x5f, then these.
SKIPPABLE: Final = b"\x2a\x4d\x18"
MAGICS: Final = {"gzip": b"\x1f\x8b", "zstd": b"\x28\xb5\x2f\xfd", "lz4": b"\x04\x22\x4d\x18"}
MAGIC: Final = 4
# gzip's rule for what stands behind a member: zeros fill up the blocks of a tape.
PADDING: Final = b"\0"

# Input of one call. Where zstd or lz4 meet an error, what the same call had unpacked in front of it is lost.
PIECE: Final = 1 << 15
GZIP_WRAPPER: Final = 31


class StreamError(Exception):
    """Why a stream cannot be unpacked, or no further: a text to stand behind the name of its file."""


class Frame(Protocol):
    """The decompressor of one frame, as the libraries for zstd and lz4 have it (and bz2 and lzma)."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes | None: ...
    def decompress(self, data: bytes, max_length: int) -> bytes: ...


class GzipMember:
    """zlib's decompressor as a `Frame`. As by the command gzip, what is sound in front of an error is unpacked."""

    def __init__(self) -> None:
        self._inflate = zlib.decompressobj(GZIP_WRAPPER)
        self._error: zlib.error | None = None
        self.needs_input = True

    @property
    def eof(self) -> bool:
        return self._inflate.eof

    @property
    def unused_data(self) -> bytes:
        return self._inflate.unused_data

    def decompress(self, data: bytes, max_length: int) -> bytes:
        if self._error:
            raise self._error
        before, data = self._inflate.copy(), self._inflate.unconsumed_tail + data
        try:
            unpacked = self._inflate.decompress(data, max_length)
        except zlib.error as error:
            self._error, self.needs_input = error, False
            return _up_to_error(before, data)
        self.needs_input = len(unpacked) < max_length
        return unpacked


def _up_to_error(inflate: Any, data: bytes) -> bytes:
    unpacked = bytearray()
    try:
        for at in range(len(data)):
            unpacked += inflate.decompress(data[at : at + 1])
    except zlib.error:
        return bytes(unpacked)
    raise AssertionError("zlib refused these bytes a moment ago")


def _zstd_frame() -> Frame:
    """A frame of libzstd, which belongs to Python from 3.14 on, where Python was built with it."""
    try:
        if sys.version_info >= (3, 14):
            from compression import zstd
        else:
            from backports import zstd
    except ImportError as error:
        raise StreamError(f"is zstd-compressed: pipe it in with zstdcat, as here {error}") from error
    frame: Frame = zstd.ZstdDecompressor()
    return frame


def _lz4_frame() -> Frame:
    from lz4.frame import LZ4FrameDecompressor

    frame: Frame = LZ4FrameDecompressor()
    return frame


FRAMES: Final[dict[str, Callable[[], Frame]]] = {"gzip": GzipMember, "zstd": _zstd_frame, "lz4": _lz4_frame}


def format_of(head: bytes) -> str | None:
    """The format, a key of FRAMES, of compressed data by their first bytes; None for anything else."""
    if head[1:MAGIC] == SKIPPABLE and head[0] & 0xF0 == 0x50:
        return "zstd"
    return next((name for name, magic in MAGICS.items() if head.startswith(magic)), None)


class Unpacker:
    """A compressed stream. `read(size)` returns its next bytes, none at its end; `head` are those read before.

    `done`: bytes of the stream that were unpacked so far.
    """

    def __init__(self, read: Callable[[int], bytes], head: bytes) -> None:
        self._read, self._input = read, head
        self._frame: Frame | None = None
        self._more = False  # the last call filled its room: there may be more in the decompressor
        self.done = 0

    def readinto(self, room: memoryview) -> int:
        """Unpack at least a byte and at most what `room` holds; 0 at the end of the stream.

        Raises StreamError where the stream is cut or damaged, after all that is sound before.
        """
        while frame := self._frame or self._begin():
            if unpacked := self._unpack(frame, len(room)):
                room[: len(unpacked)] = unpacked
                return len(unpacked)
        return 0

    def _begin(self) -> Frame | None:
        """Recognise the next frame; None where there is none."""
        self._strip()
        while len(self._input) < MAGIC and (more := self._read(PIECE)):
            self._input += more
            self._strip()
        if not self._input:
            return None
        head = self._input[:MAGIC]
        name = format_of(head)
        if name is None:
            raise StreamError(f"is damaged at byte {self.done}: no compressed data begin with {head.hex(' ')}")
        self._frame = FRAMES[name]()
        return self._frame

    def _strip(self) -> None:
        before = len(self._input)
        self._input = self._input.lstrip(PADDING)
        self.done += before - len(self._input)

    def _take(self) -> bytes:
        data = self._input[:PIECE] or self._read(PIECE)
        self._input = self._input[PIECE:]
        if not data:
            raise StreamError(f"is cut short at byte {self.done}: its compressed data have no end")
        self.done += len(data)
        return data

    def _unpack(self, frame: Frame, room: int) -> bytes:
        data = self._take() if frame.needs_input and not self._more else b""
        try:
            unpacked = frame.decompress(data, room)
        except Exception as error:  # each library raises one of its own
            raise StreamError(f"is damaged before byte {self.done}: {error}") from error
        self._more = len(unpacked) == room and not frame.eof
        if frame.eof:
            rest, self._frame = frame.unused_data or b"", None
            self._input = rest + self._input
            self.done -= len(rest)
        return unpacked
