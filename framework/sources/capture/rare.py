"""Synthetic Ethernet headers for link types that few captures have: in a pass of its own, compiled when one comes.

The scanner leaves such a record as it is, with its framing in the upper bits of STATUS.
"""

from __future__ import annotations

from typing import Final

from zcframe.framework.jit.address import load_be16, load_be32, load_u8
from zcframe.framework.jit.compiler import inlined, kept
from zcframe.framework.jit.flat.function import flat

from .ethertypes import (
    ETHERTYPE_MPLS,
    ETHERTYPE_PPPOE,
    ETHERTYPE_UNKNOWN,
    family_ethertype,
    known_or_none,
    llc_header,
)
from .framing import HEADER, loopback_ethertype, make_ethernet, store_be16, write_header
from .linktype import (
    ENC,
    ETHERNET,
    FIREWIRE,
    FRAME_RELAY,
    HDLC,
    IEEE802_11,
    IPNET,
    LLC,
    MPLS,
    NFLOG,
    PFLOG,
    PPP,
    PPPOE,
    RAW,
    SLL2,
    WRAPPERS,
)
from .nflog import nflog_packet
from .ppp import frame_relay_header, hdlc_header, ppp_header
from .records import LENGTH, OFFSET, STATUS, STATUS_BITS, STATUS_FRAMING
from .wireless import ieee802_11_header
from .wrappers import unwrap

ENC_HEADER: Final = 12
IPNET_HEADER: Final = 24
FIREWIRE_HEADER: Final = 18

# One wrapper in another: PKTAP around radiotap, say.
MAX_WRAPPERS: Final = 3


@inlined
def pflog_header(record, length):  # type: ignore[no-untyped-def]
    """(bytes, ethertype) of what pf logs: length without padding, address family, then what pf decided."""
    if length < 2:
        return length, ETHERTYPE_UNKNOWN
    size = load_u8(record) + 3 & ~3
    return (size, family_ethertype(load_u8(record + 1))) if size <= length else (0, ETHERTYPE_UNKNOWN)


@inlined
def short_header(record, length, framing):  # type: ignore[no-untyped-def]
    """(bytes, ethertype) of headers that say little."""
    if framing == MPLS:
        return 0, ETHERTYPE_MPLS
    if framing == PPPOE:
        return 0, ETHERTYPE_PPPOE
    if framing == PFLOG:
        return pflog_header(record, length)
    if framing == ENC and length >= ENC_HEADER:
        return ENC_HEADER, loopback_ethertype(record, length)
    if framing == IPNET and length >= IPNET_HEADER:
        return IPNET_HEADER, family_ethertype(load_u8(record + 1))
    if framing == FIREWIRE and length >= FIREWIRE_HEADER:
        return FIREWIRE_HEADER, known_or_none(load_be16(record + 16))
    return 0, ETHERTYPE_UNKNOWN


@inlined
def address_at(where):  # type: ignore[no-untyped-def]
    """Six address bytes as a number; 0 where there is no address."""
    return load_be16(where) << 32 | load_be32(where + 2) if where != 0 else 0


@inlined
def write_destination(header, destination):  # type: ignore[no-untyped-def]
    store_be16(header, destination >> 32)
    store_be16(header + 2, destination >> 16)
    store_be16(header + 4, destination)


@inlined
def inner_header(record, length, framing, padded, swapped):  # type: ignore[no-untyped-def]
    """(bytes, length with them, ethertype, address of the destination, of the source)."""
    if framing == IEEE802_11:
        skip, ethertype, destination, source = ieee802_11_header(record, length, padded)
        return skip, length, ethertype, destination, source
    if framing == NFLOG:
        skip, packet, ethertype = nflog_packet(record, length, swapped)
        return skip, skip + packet, ethertype, 0, 0
    if framing == PPP:
        skip, ethertype = ppp_header(record, length)
    elif framing == HDLC:
        skip, ethertype = hdlc_header(record, length)
    elif framing == FRAME_RELAY:
        skip, ethertype = frame_relay_header(record, length)
    elif framing == LLC:
        skip, ethertype = llc_header(record, length)
    else:
        skip, ethertype = short_header(record, length, framing)
    return skip, length, ethertype, 0, 0


@inlined
def make_ethernet_of_rare(record, length, framing, swapped):  # type: ignore[no-untyped-def]
    """`make_ethernet` for every framing: (offset from `record`, length)."""
    at, padded = 0, False
    for _ in range(MAX_WRAPPERS):
        if framing < WRAPPERS:
            break
        size, framing, padded = unwrap(record + at, length - at, framing)
        at += size
    if framing == ETHERNET:
        return at, length - at
    if framing >= RAW and framing <= SLL2:
        return make_ethernet(record, at, length - at, framing)
    skip, end, ethertype, to, by = inner_header(record + at, length - at, framing, padded, swapped)
    skip = min(skip, end)
    header = at + skip - HEADER
    # Both addresses are read before anything is written over them.
    destination, source = address_at(to), address_at(by)
    write_header(record + header, source, ethertype)
    write_destination(record + header, destination)
    return header, end - skip + HEADER


@kept
def ethernet_for_rare(base, records, rows, swapped):  # type: ignore[no-untyped-def]
    """Give each of the first `rows` records that the scanner left as it was an Ethernet header."""
    for row in range(rows):
        framing = records[row, STATUS] >> STATUS_FRAMING
        if framing != 0:
            records[row, STATUS] &= STATUS_BITS
            offset, length = records[row, OFFSET], records[row, LENGTH]
            moved, length = make_ethernet_of_rare(base + offset, length, framing, swapped)
            records[row, OFFSET] = offset + moved
            records[row, LENGTH] = length


@flat(returns=0)
def frame_rare(base, records, rows, swapped):  # type: ignore[no-untyped-def]
    """`ethernet_for_rare`, for Python."""
    ethernet_for_rare(base, records, rows, swapped)
