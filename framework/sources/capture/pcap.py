"""The pcap format: one header, then records (draft-ietf-opsawg-pcap)."""

from __future__ import annotations

import struct
import sys
from typing import Final

from zcframe.framework.errors import CaptureFileError
from zcframe.framework.jit.compiler import compiled

from .linktype import UNSUPPORTED, framing_of, link_type_name, refusal
from .records import (
    FULL,
    LONG_FRAME,
    MAX_FRAME,
    MORE,
    PORT,
    STATUS,
    TIMESTAMP,
    WIRE_LENGTH,
    RecordTable,
    Scan,
    add_record,
    load_32,
)
from .window import Window

MICROSECONDS: Final = 0xA1B2C3D4
NANOSECONDS: Final = 0xA1B23C4D

FILE_HEADER: Final = 24
RECORD_HEADER: Final = 16
LINK_TYPE_BITS: Final = 0xFFFF

# The order of a record's two lengths: captured first, original first (before 2.3), or (2.3) the smaller one is
# captured.
CAPTURED_FIRST: Final = 0
ORIGINAL_FIRST: Final = 1
SMALLER_IS_CAPTURED: Final = 2


@compiled
def scan_pcap(base, start, end, swapped, tick, order, framing, records):  # type: ignore[no-untyped-def]
    """Enter the whole records of bytes [start, end) at `base`: (rows, new start, reason, its value).

    swapped: 1 where the file's byte order is not ours; tick: nanoseconds of a fraction's unit.
    """
    row = 0
    while True:
        if row == records.shape[0]:
            return row, start, FULL, 0
        if end - start < RECORD_HEADER:
            return row, start, MORE, RECORD_HEADER
        header = base + start
        length = load_32(header + 8, swapped)
        wire_length = load_32(header + 12, swapped)
        if order != CAPTURED_FIRST and (order == ORIGINAL_FIRST or length > wire_length):
            length, wire_length = wire_length, length
        if length > MAX_FRAME:
            return row, start, LONG_FRAME, length
        if end - start < RECORD_HEADER + length:
            return row, start, MORE, RECORD_HEADER + length
        records[row, TIMESTAMP] = load_32(header, swapped) * 1_000_000_000 + load_32(header + 4, swapped) * tick
        records[row, WIRE_LENGTH] = wire_length
        records[row, STATUS] = 0
        records[row, PORT] = 0
        add_record(records, row, base, start + RECORD_HEADER, length, framing)
        row += 1
        start += RECORD_HEADER + length


def _length_order(major: int, minor: int) -> int:
    if major == 2 and minor >= 3:
        return SMALLER_IS_CAPTURED if minor == 3 else CAPTURED_FIRST
    return ORIGINAL_FIRST


class Pcap:
    """A pcap file that begins where `window` does. Raises CaptureFileError, LinkTypeError."""

    def __init__(self, window: Window) -> None:
        self._window = window
        head = window.data[window.start : window.start + FILE_HEADER].tobytes()
        little = head[0] in (MICROSECONDS & 0xFF, NANOSECONDS & 0xFF)
        self._swapped = int(little != (sys.byteorder == "little"))
        magic, major, minor, _, _, _, link = struct.unpack(f"{'<' if little else '>'}IHHiIII", head)
        if not ((major == 2 and minor <= 4) or (major, minor) == (543, 0)):
            raise CaptureFileError(f"{window.label} is of pcap version {major}.{minor}: only 2.0 to 2.4 can be read")
        self._order = _length_order(major, minor)
        self._tick = 1 if magic == NANOSECONDS else 1000
        link_type = link & LINK_TYPE_BITS
        self._framing = framing_of(link_type)
        if self._framing == UNSUPPORTED:
            raise refusal(link_type, window.label)
        self.link_types = (link_type_name(link_type),)
        window.start += FILE_HEADER

    def scan(self, records: RecordTable) -> Scan:
        """Enter the whole records at hand."""
        window = self._window
        at = (window.address, window.start, window.end)
        return scan_pcap(*at, self._swapped, self._tick, self._order, self._framing, records)  # type: ignore[no-any-return]
