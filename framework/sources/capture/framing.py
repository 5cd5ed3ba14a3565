"""Synthetic Ethernet headers for captures that have none, written in place.

    802.11             destination and source as recorded
    SLL, SLL2          destination 00:00:00:00:00:00, source as recorded where it has 6 bytes, else zero
    any other          destination 00:00:00:00:00:00, source 00:00:00:00:00:00

The ethertype is that of the IP version (raw), of the address family (loopback, enc, pflog, ipnet, NFLOG), of the PPP
protocol, or as the header has it. Where the header says 802.3 (LLC), the length of the payload stands in its place, as
on the wire. A record that is too short for its own header, of a protocol that has no ethertype, encrypted, or of a link
type that is not read, gets ETHERTYPE_UNKNOWN: it is counted, and not hashed.

The 14 bytes go over the cooked header or the record's own header, which have been parsed by then. A simple packet block
has only 12 bytes there: the other 2 hit the trailer of the block before, or the front of the window.
"""

from __future__ import annotations

from typing import Final

from zcframe.framework.jit.address import load_be16, load_be32, load_be64, load_u8, store_u8, store_u16, store_u32
from zcframe.framework.jit.compiler import inlined

from .ethertypes import (
    ETHERTYPE_IPV4,
    ETHERTYPE_IPV6,
    ETHERTYPE_UNKNOWN,
    MAX_802_3,
    family_ethertype,
    known_or_none,
    version_ethertype,
)
from .linktype import (
    LOOPBACK,
    RAW,
    RAW_IPV4,
    RAW_IPV6,
    SLL,
)

HEADER: Final = 14

# The cooked header's own numbers for frames that begin with, or after, an 802.3 length.
COOKED_802_3: Final = 1
COOKED_LLC: Final = 4
# Hardware types whose "protocol" is none: netlink's family, frame relay, radiotap.
ARPHRD_FRAD: Final = 770
ARPHRD_RADIOTAP: Final = 803
ARPHRD_NETLINK: Final = 824

LOOPBACK_HEADER: Final = 4
SLL_HEADER: Final = 16
SLL2_HEADER: Final = 20


@inlined
def store_be16(address, value):  # type: ignore[no-untyped-def]
    store_u8(address, value >> 8)
    store_u8(address + 1, value)


@inlined
def raw_ethertype(packet, length, framing):  # type: ignore[no-untyped-def]
    if framing == RAW_IPV4:
        return ETHERTYPE_IPV4
    if framing == RAW_IPV6:
        return ETHERTYPE_IPV6
    return version_ethertype(packet, length)


@inlined
def loopback_ethertype(header, length):  # type: ignore[no-untyped-def]
    """The address family is in the byte order of the recording machine: families are small, so the order shows."""
    if length < LOOPBACK_HEADER:
        return ETHERTYPE_UNKNOWN
    family = load_be32(header)
    if family >= 1 << 16:
        family = load_u8(header) | load_u8(header + 1) << 8 | load_u8(header + 2) << 16 | load_u8(header + 3) << 24
    return family_ethertype(family)


@inlined
def cooked_ethertype(protocol, hardware, payload):  # type: ignore[no-untyped-def]
    if hardware == ARPHRD_NETLINK or hardware == ARPHRD_FRAD or hardware == ARPHRD_RADIOTAP:
        return ETHERTYPE_UNKNOWN
    if protocol == COOKED_802_3 or protocol == COOKED_LLC:
        return min(payload, MAX_802_3)
    return known_or_none(protocol)


@inlined
def cooked_fields(header, framing):  # type: ignore[no-untyped-def]
    """(protocol, hardware type, address length, the 8 address bytes) of a whole SLL or SLL2 header."""
    if framing == SLL:
        return load_be16(header + 14), load_be16(header + 2), load_be16(header + 4), load_be64(header + 6)
    return load_be16(header), load_be16(header + 8), load_u8(header + 11), load_be64(header + 12)


@inlined
def write_header(header, source, ethertype):  # type: ignore[no-untyped-def]
    """`source`: six address bytes as a 48-bit number; the destination is zero."""
    store_u32(header, 0)
    store_u16(header + 4, 0)
    store_be16(header + 6, source >> 32)
    store_be16(header + 8, source >> 16)
    store_be16(header + 10, source)
    store_be16(header + 12, ethertype)


@inlined
def make_ethernet(base, offset, length, framing):  # type: ignore[no-untyped-def]
    """Turn `length` bytes at `base + offset` into an Ethernet frame: its (offset, length). Writes 14 bytes."""
    record = base + offset
    source = 0
    if framing == RAW or framing == RAW_IPV4 or framing == RAW_IPV6:
        skip = 0
        ethertype = raw_ethertype(record, length, framing)
    elif framing == LOOPBACK:
        skip = LOOPBACK_HEADER
        ethertype = loopback_ethertype(record, length)
    else:
        skip = SLL_HEADER if framing == SLL else SLL2_HEADER
        ethertype = ETHERTYPE_UNKNOWN
        if length >= skip:
            protocol, hardware, address_length, address = cooked_fields(record, framing)
            ethertype = cooked_ethertype(protocol, hardware, length - skip)
            source = (address >> 16) & 0xFFFFFFFFFFFF if address_length == 6 else 0
    skip = min(skip, length)
    write_header(record + skip - HEADER, source, ethertype)
    return offset + skip - HEADER, length - skip + HEADER
