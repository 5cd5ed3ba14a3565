"""The pcap format: one header, then records (draft-ietf-opsawg-pcap)."""

from __future__ import annotations

import struct
import sys
from typing import Final

from zcframe.framework.errors import CaptureFileError
from zcframe.framework.jit.compiler import kept
from zcframe.framework.jit.flat.function import flat

from .linktype import SLL2, UNSUPPORTED, framing_of, link_type_name
from .order import load_32
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
)
from .window import Window

MICROSECONDS: Final = 0xA1B2C3D4
NANOSECONDS: Final = 0xA1B23C4D
# Kuznetzov's patched libpcap: behind each record's header stand interface, protocol and packet type.
PATCHED: Final = 0xA1B2CD34

FILE_HEADER: Final = 24
RECORD_HEADER: Final = 16
PATCHED_HEADER: Final = 24
LINK_TYPE_BITS: Final = 0xFFFF

# The order of a record's two lengths: captured first, original first (before 2.3), or (2.3) the smaller one is
# captured.
CAPTURED_FIRST: Final = 0
ORIGINAL_FIRST: Final = 1
SMALLER_IS_CAPTURED: Final = 2


@kept
def pcap_records(base, start, end, swapped, head, tick, order, framing, records):  # type: ignore[no-untyped-def]
    """Enter the whole records of bytes [start, end) at `base`: (rows, new start, reason, its value).

    swapped: 1 where the file's byte order is not ours; head: bytes of a record's header; tick: nanoseconds of a
    fraction's unit.
    """
    row = 0
    while True:
        if row == records.shape[0]:
            return row, start, FULL, 0
        if end - start < head:
            return row, start, MORE, head
        header = base + start
        length = load_32(header + 8, swapped)
        wire_length = load_32(header + 12, swapped)
        if order != CAPTURED_FIRST and (order == ORIGINAL_FIRST or length > wire_length):
            length, wire_length = wire_length, length
        if length > MAX_FRAME:
            return row, start, LONG_FRAME, length
        if end - start < head + length:
            return row, start, MORE, head + length
        records[row, TIMESTAMP] = load_32(header, swapped) * 1_000_000_000 + load_32(header + 4, swapped) * tick
        records[row, WIRE_LENGTH] = wire_length
        records[row, STATUS] = 0
        records[row, PORT] = 0
        add_record(records, row, base, start + head, length, framing)
        row += 1
        start += head + length


@flat(returns=4)
def scan_pcap(base, start, end, swapped, head, tick, order, framing, records):  # type: ignore[no-untyped-def]
    """`pcap_records`, for Python."""
    return pcap_records(base, start, end, swapped, head, tick, order, framing, records)


def _length_order(major: int, minor: int) -> int:
    if major == 2 and minor >= 3:
        return SMALLER_IS_CAPTURED if minor == 3 else CAPTURED_FIRST
    return ORIGINAL_FIRST


class Pcap:
    """A pcap file that begins where `window` does. Raises CaptureFileError."""

    def __init__(self, window: Window) -> None:
        self._window = window
        head = window.data[window.start : window.start + FILE_HEADER].tobytes()
        little = head[0] in (MICROSECONDS & 0xFF, NANOSECONDS & 0xFF, PATCHED & 0xFF)
        self.swapped = int(little != (sys.byteorder == "little"))
        magic, major, minor, _, _, _, link = struct.unpack(f"{'<' if little else '>'}IHHiIII", head)
        if not ((major == 2 and minor <= 4) or (major, minor) == (543, 0)):
            raise CaptureFileError(f"{window.label} is of pcap version {major}.{minor}: only 2.0 to 2.4 can be read")
        head_size = PATCHED_HEADER if magic == PATCHED else RECORD_HEADER
        self._link_type = link & LINK_TYPE_BITS
        self._framing = framing_of(self._link_type)
        # What `scan_pcap` is told besides the byte order.
        tick = 1 if magic == NANOSECONDS else 1000
        self.form = (head_size, tick, _length_order(major, minor), self._framing)
        self._odd = 0
        self.has_rare = self._framing > SLL2
        self.link_types = (link_type_name(self._link_type),)
        window.start += FILE_HEADER

    def scan(self, records: RecordTable) -> Scan:
        """Enter the whole records at hand."""
        window = self._window
        at = (window.address, window.start, window.end)
        found: Scan = scan_pcap(*at, self.swapped, *self.form, records)
        self._odd += found[0] if self._framing == UNSUPPORTED else 0
        return found

    @property
    def hopeless(self) -> int | None:
        """The link type, where no record of the file can be decoded."""
        return self._link_type if self._framing == UNSUPPORTED else None

    def odd_records(self) -> dict[int, int]:
        """Records so far of link types that are not read, by link type."""
        return {self._link_type: self._odd} if self._odd else {}
