"""The format of a file, recognised by its first bytes."""

from __future__ import annotations

from typing import Final

from zcframe.framework.errors import CaptureFileError

from .compressed import format_of
from .pcap import FILE_HEADER, MICROSECONDS, NANOSECONDS, PATCHED, Pcap
from .pcapng import SECTION, Pcapng
from .window import Window

PCAP_MAGICS: Final = frozenset(
    magic.to_bytes(4, order) for magic in (MICROSECONDS, NANOSECONDS, PATCHED) for order in ("little", "big")
)
PCAPNG_MAGIC: Final = SECTION.to_bytes(4)

# First bytes of files that people take for captures, the kind of file, and the advice.
STRANGERS: Final = (
    (b"\xfd7zXZ\x00", "xz-compressed: unpack it, or pipe it in with xzcat"),
    (b"BZh", "bzip2-compressed: unpack it, or pipe it in with bzcat"),
    (b"\x02\x21\x4c\x18", "lz4-compressed in the legacy format: unpack it, or pipe it in with lz4cat"),
    (b"\x1f\x9d", "compressed by compress: unpack it, or pipe it in with zcat"),
    (b"PK\x03\x04", "a zip archive: unpack it"),
    (b"snoop\x00\x00\x00", "a snoop capture: convert it with editcap -F pcap"),
)


def _refuse(window: Window, head: bytes) -> CaptureFileError:
    if format_of(head):
        return CaptureFileError(f"{window.label} is compressed twice: unpack it once")
    for beginning, what in STRANGERS:
        if head.startswith(beginning):
            return CaptureFileError(f"{window.label} is {what}")
    return CaptureFileError(
        f"{window.label} is not a capture file: it begins with {head[:8].hex(' ')}, which is neither pcap nor pcapng"
    )


def _head(window: Window) -> bytes:
    while window.unparsed < FILE_HEADER and window.refill(FILE_HEADER):
        pass
    return window.data[window.start : window.start + min(FILE_HEADER, window.unparsed)].tobytes()


def recognise(window: Window) -> Pcap | Pcapng:
    """The format of the file in `window`, unpacked where it is compressed, its header read. Raises CaptureFileError."""
    head = _head(window)
    if format_of(head):
        window.unpack()
        head = _head(window)
    if not head:
        raise CaptureFileError(f"{window.label} is empty: no capture header, no packets")
    if len(head) == FILE_HEADER and head[:4] in PCAP_MAGICS:
        return Pcap(window)
    if len(head) == FILE_HEADER and head[:4] == PCAPNG_MAGIC:
        return Pcapng(window)
    if head[:4] in PCAP_MAGICS or head[:4] == PCAPNG_MAGIC:
        raise CaptureFileError(f"{window.label} is cut short: {len(head)} bytes, less than a capture's header")
    raise _refuse(window, head)
