"""The pcapng format: sections of blocks, with interfaces described in them (draft-ietf-opsawg-pcapng).

Frames come in enhanced, simple and obsolete packet blocks; these are scanned by compiled code. Section headers and
interface descriptions are read in Python. Everything else is skipped, after a look at both of its lengths.

Frames of an interface whose link type is not read are counted by link type and handed out as frames without an
ethertype: they do no harm to those of other interfaces.
"""

from __future__ import annotations

import struct
import sys
from collections.abc import Iterator
from typing import Final

from zcframe.framework import abi
from zcframe.framework.errors import CaptureFileError
from zcframe.framework.jit.compiler import inlined, kept
from zcframe.framework.jit.flat.function import flat

from .interfaces import BINARY, FRAMING, MICROSECONDS, ODD, PORT, SNAPLEN, Interfaces, resolution_fits
from .linktype import UNSUPPORTED, link_type_name
from .order import load_16, load_32
from .records import (
    BAD_LENGTH,
    BAD_TRAILER,
    CONTROL,
    FULL,
    LONG_FRAME,
    MAX_FRAME,
    MORE,
    NO_INTERFACE,
    STATUS,
    TIGHT_BLOCK,
    TIMESTAMP,
    WIRE_LENGTH,
    Damage,
    RecordTable,
    Scan,
    add_record,
)
from .records import PORT as RECORD_PORT
from .timestamps import to_nanoseconds
from .window import Window

SECTION: Final = 0x0A0D0D0A
INTERFACE: Final = 1
OBSOLETE_PACKET: Final = 2
SIMPLE_PACKET: Final = 3
ENHANCED_PACKET: Final = 6

BYTE_ORDER_MAGIC: Final = 0x1A2B3C4D

SMALLEST_BLOCK: Final = 12
SMALLEST_SECTION: Final = 28
SMALLEST_INTERFACE: Final = 20
TRAILER: Final = 4
SIMPLE_HEADER: Final = 12
ENHANCED_HEADER: Final = 28
PACKETS: Final = (OBSOLETE_PACKET, SIMPLE_PACKET, ENHANCED_PACKET)
# As in libpcap and Wireshark.
MAX_BLOCK: Final = 16 << 20

OPTION_END: Final = 0
OPTION_TSRESOL: Final = 9
OPTION_TSOFFSET: Final = 14
OPTION_SIZES: Final = {OPTION_TSRESOL: 1, OPTION_TSOFFSET: 8}

NO_TIME: Final = abi.STATUS_NO_TIME


@inlined
def packet_fields(block, kind, swapped, interfaces):  # type: ignore[no-untyped-def]
    """(interface, captured length, wire length) of a packet block whose fixed fields are there."""
    if kind == SIMPLE_PACKET:
        wire_length = load_32(block + 8, swapped)
        snaplen = interfaces[0, SNAPLEN]
        return 0, min(wire_length, snaplen) if snaplen > 0 else wire_length, wire_length
    number = load_32(block + 8, swapped) if kind == ENHANCED_PACKET else load_16(block + 8, swapped)
    return number, load_32(block + 20, swapped), load_32(block + 24, swapped)


@inlined
def packet_fault(number, length, room, interfaces, count):  # type: ignore[no-untyped-def]
    """(reason, value) why a frame cannot be taken, reason 0 where it can. room: bytes of its block for it."""
    if number >= count:
        return NO_INTERFACE, number
    if length > MAX_FRAME:
        return LONG_FRAME, length
    if length > room:
        return TIGHT_BLOCK, length
    return 0, 0


@inlined
def block_fault(block, length, available, smallest, swapped):  # type: ignore[no-untyped-def]
    """(reason, value) why a block cannot be used, reason -1 where it can: it is there whole."""
    if length < smallest or length & 3 != 0 or length > MAX_BLOCK:
        return BAD_LENGTH, length
    if available < length:
        return MORE, length
    behind = load_32(block + length - TRAILER, swapped)
    if behind != length:
        return BAD_TRAILER, behind
    return -1, 0


@kept
def pcapng_records(base, start, end, swapped, interfaces, count, records):  # type: ignore[no-untyped-def]
    """Enter the whole frames of bytes [start, end) at `base`: (rows, new start, reason, its value).

    swapped: 1 where the section's byte order is not ours; interfaces: the table, of which `count` rows are in use.
    """
    row = 0
    while True:
        if row == records.shape[0]:
            return row, start, FULL, 0
        if end - start < SMALLEST_BLOCK:
            return row, start, MORE, SMALLEST_BLOCK
        block = base + start
        kind = load_32(block, swapped)
        if kind == SECTION or kind == INTERFACE:
            return row, start, CONTROL, 0
        is_packet = kind == ENHANCED_PACKET or kind == SIMPLE_PACKET or kind == OBSOLETE_PACKET
        header = SIMPLE_HEADER if kind == SIMPLE_PACKET else ENHANCED_HEADER
        block_length = load_32(block + 4, swapped)
        smallest = header + TRAILER if is_packet else SMALLEST_BLOCK
        fault, value = block_fault(block, block_length, end - start, smallest, swapped)
        if fault >= 0:
            return row, start, fault, value
        if is_packet:
            number, length, wire_length = packet_fields(block, kind, swapped, interfaces)
            fault, value = packet_fault(number, length, block_length - header - TRAILER, interfaces, count)
            if fault > 0:
                return row, start, fault, value
            records[row, WIRE_LENGTH] = wire_length
            records[row, RECORD_PORT] = interfaces[number, PORT]
            if kind == SIMPLE_PACKET:
                records[row, TIMESTAMP] = 0
                records[row, STATUS] = NO_TIME
            else:
                ticks = load_32(block + 12, swapped) << 32 | load_32(block + 16, swapped)
                records[row, TIMESTAMP] = to_nanoseconds(ticks, interfaces, number)
                records[row, STATUS] = 0
            framing = interfaces[number, FRAMING]
            interfaces[number, ODD] += framing == UNSUPPORTED
            add_record(records, row, base, start + header, length, framing)
            row += 1
        start += block_length


@flat(returns=4)
def scan_pcapng(base, start, end, swapped, interfaces, count, records):  # type: ignore[no-untyped-def]
    """`pcapng_records`, for Python."""
    return pcapng_records(base, start, end, swapped, interfaces, count, records)


class Pcapng:
    """A pcapng file that begins where `window` does. Raises CaptureFileError."""

    # Interfaces may come anywhere: no file is known to be hopeless before its end.
    hopeless: Final = None

    def __init__(self, window: Window) -> None:
        self._window = window
        self._order = "<" if sys.byteorder == "little" else ">"
        self.swapped = 0
        self.interfaces = Interfaces()
        self._prime()

    @property
    def link_types(self) -> tuple[str, ...]:
        """Link types of the current section's interfaces, as far as they have been described."""
        return tuple(dict.fromkeys(link_type_name(number) for number in self.interfaces.link_types))

    def scan(self, records: RecordTable) -> Scan:
        """Enter the whole frames at hand."""
        window, interfaces = self._window, self.interfaces
        at = (window.address, window.start, window.end)
        return scan_pcapng(*at, self.swapped, interfaces.table, interfaces.count, records)  # type: ignore[no-any-return]

    def _bytes(self, length: int) -> bytes:
        window = self._window
        return window.data[window.start : min(window.end, window.start + length)].tobytes()

    def _prime(self) -> None:
        """Read up to the first frame, so that damage and link types are told before anything runs."""
        while len(head := self._bytes(SMALLEST_BLOCK)) == SMALLEST_BLOCK:
            kind, length = struct.unpack(f"{self._order}II", head[:8])
            if kind in (SECTION, INTERFACE):
                if self.control():
                    return
            elif kind in PACKETS or not self._is_sound(length):
                return
            else:
                self._window.start += length

    def _is_sound(self, length: int) -> bool:
        """Whether a block is there whole and its two lengths agree; the scanner gives the reason where not."""
        if length < SMALLEST_BLOCK or length & 3 or length > self._window.unparsed:
            return False
        return self._bytes(length)[-TRAILER:] == self._bytes(8)[4:]

    @property
    def has_rare(self) -> bool:
        """Whether an interface of this section has a framing that the scanner leaves to `frame_rare`."""
        return self.interfaces.has_rare

    def odd_records(self) -> dict[int, int]:
        """Records so far of link types that are not read, by link type."""
        return self.interfaces.odd_records()

    def control(self) -> int:
        """Read a section header or an interface description; returns 0, or the number of bytes that are missing.

        Raises Damage for a block that cannot be one.
        """
        head = self._bytes(SMALLEST_BLOCK)
        is_section = head[:4] == SECTION.to_bytes(4)
        if is_section:
            self._set_byte_order(head[8:])
        length = int.from_bytes(head[4:8], "little" if self._order == "<" else "big")
        if length < (SMALLEST_SECTION if is_section else SMALLEST_INTERFACE) or length & 3 or length > MAX_BLOCK:
            raise Damage(f"a block claims {length} bytes")
        if length > self._window.unparsed:
            return length
        self._read_control(self._bytes(length), is_section)
        self._window.start += length
        return 0

    def _set_byte_order(self, magic: bytes) -> None:
        orders = {BYTE_ORDER_MAGIC.to_bytes(4, "little"): "<", BYTE_ORDER_MAGIC.to_bytes(4): ">"}
        if magic not in orders:
            raise Damage(f"a section header has {magic.hex(' ')} for its byte-order magic")
        self._order = orders[magic]
        self.swapped = int((self._order == "<") != (sys.byteorder == "little"))

    def _read_control(self, block: bytes, is_section: bool) -> None:
        (behind,) = struct.unpack(f"{self._order}I", block[-TRAILER:])
        if behind != len(block):
            raise Damage(f"a block has {len(block)} bytes by its beginning, {behind} by its end")
        if is_section:
            self._read_section(block)
        else:
            self._read_interface(block)

    def _read_section(self, block: bytes) -> None:
        major, minor = struct.unpack_from(f"{self._order}HH", block, 12)
        if major != 1:
            label = self._window.label
            raise CaptureFileError(f"{label} has a section of pcapng version {major}.{minor}: only 1.x can be read")
        self.interfaces.begin_section()

    def _read_interface(self, block: bytes) -> None:
        link_type, _, snaplen = struct.unpack_from(f"{self._order}HHI", block, 8)
        options = dict(self._options(block[16:-TRAILER]))
        if any(len(options.get(code, bytes(size))) != size for code, size in OPTION_SIZES.items()):
            raise Damage("an interface's if_tsresol or if_tsoffset has a wrong size")
        resolution = options.get(OPTION_TSRESOL, bytes([MICROSECONDS]))[0]
        (offset,) = struct.unpack(f"{self._order}q", options.get(OPTION_TSOFFSET, bytes(8)))
        if not resolution_fits(resolution):
            base = 2 if resolution & BINARY else 10
            raise Damage(f"an interface has timestamps in units of {base}^-{resolution & ~BINARY} s")
        self.interfaces.add(link_type, snaplen, resolution, offset)

    def _options(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        """(code, value) of each option. Raises Damage for one that does not end within the block."""
        at = 0
        while at < len(data):
            code, length = struct.unpack_from(f"{self._order}HH", data, at)
            if code == OPTION_END:
                return
            if at + 4 + length > len(data):
                raise Damage(f"an interface's option {code} claims {length} bytes, more than its block holds")
            yield code, data[at + 4 : at + 4 + length]
            at += 4 + (length + 3 & ~3)
