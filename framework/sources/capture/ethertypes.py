"""Ethertypes that synthetic headers bear, and the numbers of other protocols for the same."""

from __future__ import annotations

from typing import Final

from zcframe.framework.jit.address import load_be16, load_be32, load_u8
from zcframe.framework.jit.compiler import inlined

ETHERTYPE_IPV4: Final = 0x0800
ETHERTYPE_IPV6: Final = 0x86DD
ETHERTYPE_MPLS: Final = 0x8847
ETHERTYPE_MPLS_MULTICAST: Final = 0x8848
ETHERTYPE_PPPOE: Final = 0x8864
ETHERTYPE_UNKNOWN: Final = 0xFFFF
FIRST_ETHERTYPE: Final = 0x0600
MAX_802_3: Final = 1500

AF_INET: Final = 2
AF_INET6_LINUX: Final = 10
AF_INET6_OPENBSD: Final = 24
AF_INET6_SOLARIS: Final = 26
AF_INET6_FREEBSD: Final = 28
AF_INET6_DARWIN: Final = 30

SNAP: Final = 0xAAAA03
SNAP_HEADER: Final = 8
SMALLEST_LLC: Final = 3
# OUIs of SNAP whose protocol is an ethertype: RFC 1042, and 802.1H for bridges.
OUI_RFC_1042: Final = 0x000000
OUI_802_1H: Final = 0x0000F8


@inlined
def known_or_none(number):  # type: ignore[no-untyped-def]
    """The ethertype `number`, where it is one."""
    return number if number >= FIRST_ETHERTYPE else ETHERTYPE_UNKNOWN


@inlined
def version_ethertype(packet, length):  # type: ignore[no-untyped-def]
    """By the first four bits of an IP packet."""
    version = load_u8(packet) >> 4 if length > 0 else 0
    if version == 4:
        return ETHERTYPE_IPV4
    return ETHERTYPE_IPV6 if version == 6 else ETHERTYPE_UNKNOWN


@inlined
def family_ethertype(family):  # type: ignore[no-untyped-def]
    """By an address family: each system has a number of its own for IPv6."""
    if family == AF_INET:
        return ETHERTYPE_IPV4
    if (
        family == AF_INET6_LINUX
        or family == AF_INET6_OPENBSD
        or family == AF_INET6_SOLARIS
        or family == AF_INET6_FREEBSD
        or family == AF_INET6_DARWIN
    ):
        return ETHERTYPE_IPV6
    return ETHERTYPE_UNKNOWN


@inlined
def llc_header(header, room):  # type: ignore[no-untyped-def]
    """(bytes of the SNAP header, ethertype); any other LLC stays, behind its length as in an 802.3 frame."""
    if room < SMALLEST_LLC:
        return 0, ETHERTYPE_UNKNOWN
    if room >= SNAP_HEADER and load_be32(header) >> 8 == SNAP:
        oui = load_be32(header + 2) & 0xFFFFFF
        if oui == OUI_RFC_1042 or oui == OUI_802_1H:
            return SNAP_HEADER, known_or_none(load_be16(header + 6))
    return 0, min(room, MAX_802_3)
