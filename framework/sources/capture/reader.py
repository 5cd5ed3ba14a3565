"""Capture files, a table of records at a time."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from zcframe.framework.errors import CaptureFileError, LinkTypeError

from .formats import recognise
from .linktype import refusal
from .pcapng import Pcapng
from .records import (
    BAD_LENGTH,
    BAD_TRAILER,
    CONTROL,
    LENGTH,
    LONG_FRAME,
    MAX_FRAME,
    MORE,
    NO_FRAMING,
    NO_INTERFACE,
    OFFSET,
    TIGHT_BLOCK,
    TIMESTAMP,
    WIRE_LENGTH,
    Damage,
    RecordTable,
    record_table,
)
from .window import Window

Octets = np.ndarray[Any, np.dtype[np.uint8]]

DAMAGES = {
    LONG_FRAME: f"a frame claims {{}} bytes, above the {MAX_FRAME} that any can have",
    BAD_LENGTH: "a block claims {} bytes",
    BAD_TRAILER: "a block's end claims another length than its beginning: {} bytes",
    TIGHT_BLOCK: "a frame claims {} bytes, more than its block holds",
    NO_INTERFACE: "a frame came from interface {}, which is not described",
}


class CaptureReader:
    """A pcap or pcapng file, or standard input ("-"), as Ethernet frames.

    `read()` fills rows of `records` (int64, shape (ROWS, COLUMNS)); their offsets are into `window.data`, which the
    next call overwrites. Blocks before the first frame are read at once. Raises CaptureFileError for a file that
    cannot be opened or is no capture, LinkTypeError for frames that have no Ethernet meaning.
    """

    def __init__(self, path: str) -> None:
        self.window = Window(path)
        self.records: RecordTable = record_table()
        self._begin()

    def open(self, path: str) -> None:
        """Open another file, in the same memory."""
        self.window.open(path)
        self._begin()

    def _begin(self) -> None:
        self.delivered = 0
        try:
            self._format = recognise(self.window)
        except BaseException as error:
            self.close()
            if isinstance(error, Damage):
                raise self._damaged(str(error)) from None
            raise

    @property
    def link_types(self) -> tuple[str, ...]:
        """Names of the link types that are known so far."""
        return self._format.link_types

    def compile(self) -> None:
        """Have the scanner compiled, so that the first `read()` is as fast as the others."""
        self._format.scan(self.records[:0])

    def read(self) -> int:
        """Number of rows filled, 0 at the end of the file.

        Raises CaptureFileError where the file is damaged or cut, LinkTypeError at a frame of an unsupported link type,
        both only after everything in front of that place has been handed out.
        """
        window = self.window
        while True:
            rows, window.start, reason, value = self._format.scan(self.records)
            if rows:
                self.delivered += rows
                return rows
            needed = value if reason == MORE else self._beyond_scanning(reason, value)
            if needed and not window.refill(needed):
                return self._end(needed)

    def _beyond_scanning(self, reason: int, value: int) -> int:
        """Read a control block, or raise the reason why reading cannot go on; returns the bytes that are needed."""
        if reason == CONTROL and isinstance(self._format, Pcapng):
            try:
                return self._format.control()
            except Damage as damage:
                raise self._damaged(str(damage)) from None
        if reason == NO_FRAMING and isinstance(self._format, Pcapng):
            raise self._refused(self._format.interfaces.link_types[value])
        raise self._damaged(DAMAGES[reason].format(value))

    def _damaged(self, what: str) -> CaptureFileError:
        return CaptureFileError(
            f"{self.window.label} is damaged at byte {self.window.offset}: {what}; {self._before()}"
        )

    def _refused(self, link_type: int) -> LinkTypeError:
        error = refusal(link_type, self.window.label)
        return LinkTypeError(f"{error}; {self._before()}") if self.delivered else error

    def _before(self) -> str:
        return f"the {self.delivered} whole records before it were delivered"

    def _end(self, needed: int) -> int:
        there = self.window.unparsed
        if there == 0:
            return 0
        raise CaptureFileError(
            f"{self.window.label} is cut short: the last record needs {needed} bytes, {there} are there;"
            f" {self._before()}"
        )

    def close(self) -> None:
        self.window.close()


def batches(path: str) -> Iterator[tuple[Octets, RecordTable]]:
    """(data, records) until the file ends: frame i is data[offset:offset + length], valid until the next step.

    data: uint8; records: int64, shape (n, COLUMNS), columns OFFSET, LENGTH, WIRE_LENGTH, TIMESTAMP, STATUS, PORT.
    Raises as CaptureReader does.
    """
    with contextlib.closing(CaptureReader(path)) as reader:
        while rows := reader.read():
            yield reader.window.data, reader.records[:rows]


def frames(path: str) -> Iterator[tuple[bytes, int, int]]:
    """(Ethernet frame, wire length, nanoseconds since the epoch) until the file ends. Raises as CaptureReader does."""
    for data, records in batches(path):
        columns = records[:, [OFFSET, LENGTH, WIRE_LENGTH, TIMESTAMP]].tolist()
        for offset, length, wire_length, timestamp in columns:
            yield data[offset : offset + length].tobytes(), wire_length, timestamp
