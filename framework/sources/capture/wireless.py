"""IEEE 802.11 frames: the header of a data frame, and the Ethernet addresses in it."""

from __future__ import annotations

from typing import Final

from zcframe.framework.jit.address import load_u8
from zcframe.framework.jit.compiler import inlined

from .ethertypes import ETHERTYPE_UNKNOWN, llc_header

SMALLEST: Final = 24

# First byte: version 0 and type "data"; subtype bits. Second byte: flags.
VERSION_AND_TYPE: Final = 0x0F
DATA: Final = 0x08
NO_DATA: Final = 0x40
QOS: Final = 0x80
TO_DS: Final = 0x01
FROM_DS: Final = 0x02
PROTECTED: Final = 0x40
ORDER: Final = 0x80

FRAGMENT_NUMBER: Final = 0x0F
AGGREGATE: Final = 0x80

# Offsets of the four addresses, and of the byte with the fragment's number.
ADDRESS_1: Final = 4
ADDRESS_2: Final = 10
ADDRESS_3: Final = 16
ADDRESS_4: Final = 24
SEQUENCE: Final = 22
ADDRESS_SIZE: Final = 6
QOS_SIZE: Final = 2
HT_CONTROL_SIZE: Final = 4
# In front of each part of an aggregate: destination, source, length.
SUBFRAME: Final = 14


@inlined
def holds_payload(frame):  # type: ignore[no-untyped-def]
    """Whether it is a data frame whose payload begins in it and can be read: not encrypted, no later fragment."""
    control, flags = load_u8(frame), load_u8(frame + 1)
    first = load_u8(frame + SEQUENCE) & FRAGMENT_NUMBER == 0
    return control & VERSION_AND_TYPE == DATA and control & NO_DATA == 0 and flags & PROTECTED == 0 and first


@inlined
def header_size(control, flags):  # type: ignore[no-untyped-def]
    size = SMALLEST
    if flags & TO_DS and flags & FROM_DS:
        size += ADDRESS_SIZE
    if control & QOS:
        size += QOS_SIZE + (HT_CONTROL_SIZE if flags & ORDER else 0)
    return size


@inlined
def end_points(flags):  # type: ignore[no-untyped-def]
    """Offsets of destination and source (IEEE 802.11, table of the address fields of data frames)."""
    if flags & TO_DS:
        return ADDRESS_3, ADDRESS_4 if flags & FROM_DS else ADDRESS_2
    return ADDRESS_1, ADDRESS_3 if flags & FROM_DS else ADDRESS_2


@inlined
def ieee802_11_header(frame, length, padded):  # type: ignore[no-untyped-def]
    """(bytes, ethertype, address of destination, of source) of a data frame; zeros and no ethertype of any other.

    padded: whether the payload begins at a multiple of 4 bytes. Of an aggregate, the first part is taken.
    """
    if length < SMALLEST or not holds_payload(frame):
        return 0, ETHERTYPE_UNKNOWN, 0, 0
    control, flags = load_u8(frame), load_u8(frame + 1)
    size = header_size(control, flags)
    if length < size:
        return 0, ETHERTYPE_UNKNOWN, 0, 0
    destination, source = end_points(flags)
    quality = SMALLEST + (ADDRESS_SIZE if flags & TO_DS and flags & FROM_DS else 0)
    aggregate = control & QOS and load_u8(frame + quality) & AGGREGATE
    if padded:
        size = size + 3 & ~3
    if aggregate:
        destination, source = size, size + ADDRESS_SIZE
        size += SUBFRAME
    if length < size:
        return 0, ETHERTYPE_UNKNOWN, 0, 0
    snap, ethertype = llc_header(frame + size, length - size)
    return size + snap, ethertype, frame + destination, frame + source
