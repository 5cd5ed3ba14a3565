"""Capture files, a table of records at a time."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from zcframe.framework.errors import CaptureFileError, LinkTypeError

from .formats import recognise
from .linktype import refusal
from .pcapng import Pcapng
from .rare import frame_rare
from .records import (
    BAD_LENGTH,
    BAD_TRAILER,
    CONTROL,
    LENGTH,
    LONG_FRAME,
    MAX_FRAME,
    MORE,
    NO_INTERFACE,
    OFFSET,
    TIGHT_BLOCK,
    TIMESTAMP,
    WIRE_LENGTH,
    Damage,
    RecordTable,
    record_table,
)
from .scanner import Form, plain_form
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
    """A pcap or pcapng file, maybe compressed, or standard input ("-"), as Ethernet frames.

    `read()` fills rows of `records` (int64, shape (ROWS, COLUMNS)); their offsets are into `window.data`, which the
    next call overwrites. Blocks before the first frame are read at once. Raises CaptureOpenError for a file that cannot
    be opened, CaptureFileError for one that is no capture.

    Records of link types that are not read are handed out, without an ethertype, and counted.
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

    @property
    def refusal(self) -> LinkTypeError | None:
        """The error that names the link type, where no record of the file can be decoded."""
        return None if self._format.hopeless is None else refusal(self._format.hopeless, self.window.label)

    def odd_records(self) -> Mapping[int, int]:
        """Records so far of link types that are not read, by link type."""
        return self._format.odd_records()

    @property
    def kind(self) -> tuple[str, bool]:
        """Equal for captures that the same compiled code reads, as far as is known at their beginning."""
        return type(self._format).__name__, self._format.has_rare

    @property
    def form(self) -> Form | None:
        """What another process needs to scan on from here; None where it is to be read in order."""
        return None if self.window.packed else plain_form(self._format)

    def go_on(self, offset: int, delivered: int) -> None:
        """Go on at byte `offset`, in front of which others have read so many records more. Raises CaptureFileError."""
        self.window.seek(offset)
        self.delivered += delivered

    def compile(self) -> None:
        """Have the scanner compiled, so that the first `read()` is as fast as the others."""
        self._format.scan(self.records[:0])
        if self._format.has_rare:
            frame_rare(self.window.address, self.records, 0, self._format.swapped)

    def read(self) -> int:
        """Number of rows filled, 0 at the end of the file.

        Raises CaptureFileError where the file is damaged or cut, LinkTypeError at the end of a file of which no record
        can be decoded, both only after everything in front of that place has been handed out.
        """
        window = self.window
        while True:
            rows, window.start, reason, value = self._format.scan(self.records)
            if rows:
                if self._format.has_rare:
                    frame_rare(window.address, self.records, rows, self._format.swapped)
                self.delivered += rows
                return rows
            needed = value if reason == MORE else self._beyond_scanning(reason, value)
            if needed and not self._refill(needed):
                return self._end(needed)

    def _refill(self, needed: int) -> bool:
        try:
            return self.window.refill(needed)
        except CaptureFileError as error:
            raise CaptureFileError(f"{error}; {self._before()}") from error

    def _beyond_scanning(self, reason: int, value: int) -> int:
        """Read a control block, or raise the reason why reading cannot go on; returns the bytes that are needed."""
        if reason == CONTROL and isinstance(self._format, Pcapng):
            try:
                return self._format.control()
            except Damage as damage:
                raise self._damaged(str(damage)) from None
        raise self._damaged(DAMAGES[reason].format(value))

    def _damaged(self, what: str) -> CaptureFileError:
        return CaptureFileError(f"{self.window.label} is damaged at {self.window.place}: {what}; {self._before()}")

    def _before(self) -> str:
        return f"the {self.delivered} whole records before it were delivered"

    def _end(self, needed: int) -> int:
        there = self.window.unparsed
        if change := self.window.change():
            raise CaptureFileError(f"{self.window.label} {change} at byte {self.window.offset}; {self._before()}")
        if there == 0:
            self._check_use()
            return 0
        raise CaptureFileError(
            f"{self.window.label} is cut short at {self.window.place}: the last record needs {needed} bytes,"
            f" {there} are there; {self._before()}"
        )

    def _check_use(self) -> None:
        """Raises LinkTypeError where the file had records, and none that can be decoded."""
        odd = self.odd_records()
        if self.delivered and sum(odd.values()) == self.delivered:
            error = refusal(next(iter(odd)), self.window.label)
            raise LinkTypeError(f"{error}; its records were counted, {self.delivered} in all")

    def close(self) -> None:
        self.window.close()


def batches(path: str) -> Iterator[tuple[Octets, RecordTable]]:
    """(data, records) until the file ends: frame i is data[offset:offset + length], valid until the next step.

    data: uint8; records: int64, shape (n, COLUMNS), columns OFFSET, LENGTH, WIRE_LENGTH, TIMESTAMP, STATUS, PORT.
    Raises as CaptureReader does.
    """
    with contextlib.closing(CaptureReader(path)) as reader:
        if reader.refusal:
            raise reader.refusal
        while rows := reader.read():
            yield reader.window.data, reader.records[:rows]


def frames(path: str) -> Iterator[tuple[bytes, int, int]]:
    """(Ethernet frame, wire length, nanoseconds since the epoch) until the file ends. Raises as CaptureReader does."""
    for data, records in batches(path):
        columns = records[:, [OFFSET, LENGTH, WIRE_LENGTH, TIMESTAMP]].tolist()
        for offset, length, wire_length, timestamp in columns:
            yield data[offset : offset + length].tobytes(), wire_length, timestamp
