"""Headers of serial lines: PPP (RFC 1661, 1662), Cisco HDLC, frame relay (RFC 2427)."""

from __future__ import annotations

from typing import Final

from zcframe.framework.jit.address import load_be16, load_u8
from zcframe.framework.jit.compiler import inlined

from .ethertypes import (
    ETHERTYPE_IPV4,
    ETHERTYPE_IPV6,
    ETHERTYPE_MPLS,
    ETHERTYPE_MPLS_MULTICAST,
    ETHERTYPE_UNKNOWN,
    FIRST_ETHERTYPE,
    known_or_none,
)

# Address and control of HDLC-like framing; of Cisco HDLC, unicast and multicast, with its control.
ALL_STATIONS: Final = 0xFF03
CISCO_UNICAST: Final = 0x0F00
CISCO_MULTICAST: Final = 0x8F00
HDLC_HEADER: Final = 4

PPP_IPV4: Final = 0x0021
PPP_IPV6: Final = 0x0057
PPP_MPLS: Final = 0x0281
PPP_MPLS_MULTICAST: Final = 0x0283

MAX_DLCI: Final = 4
UNNUMBERED: Final = 0x03
NLPID_PADDING: Final = 0x00
NLPID_SNAP: Final = 0x80
NLPID_IPV6: Final = 0x8E
NLPID_IPV4: Final = 0xCC


@inlined
def hdlc_header(record, length):  # type: ignore[no-untyped-def]
    """(bytes, ethertype) of Cisco HDLC."""
    if length < HDLC_HEADER:
        return length, ETHERTYPE_UNKNOWN
    return HDLC_HEADER, known_or_none(load_be16(record + 2))


@inlined
def ppp_ethertype(protocol):  # type: ignore[no-untyped-def]
    if protocol == PPP_IPV4:
        return ETHERTYPE_IPV4
    if protocol == PPP_IPV6:
        return ETHERTYPE_IPV6
    if protocol == PPP_MPLS:
        return ETHERTYPE_MPLS
    return ETHERTYPE_MPLS_MULTICAST if protocol == PPP_MPLS_MULTICAST else ETHERTYPE_UNKNOWN


@inlined
def ppp_header(record, length):  # type: ignore[no-untyped-def]
    """(bytes, ethertype) of PPP with or without HDLC-like framing, its protocol in two bytes or, if odd, in one."""
    if length < 2:
        return length, ETHERTYPE_UNKNOWN
    framing = load_be16(record)
    if framing == CISCO_UNICAST or framing == CISCO_MULTICAST:
        return hdlc_header(record, length)
    at = 2 if framing == ALL_STATIONS else 0
    if length - at >= 1 and load_u8(record + at) & 1:
        return at + 1, ppp_ethertype(load_u8(record + at))
    if length - at < 2:
        return length, ETHERTYPE_UNKNOWN
    return at + 2, ppp_ethertype(load_be16(record + at))


@inlined
def nlpid_header(record, length, at):  # type: ignore[no-untyped-def]
    """(bytes, ethertype) where the network layer's id is at `at`."""
    if length - at >= 2 and load_u8(record + at) == NLPID_PADDING:
        at += 1
    if length - at < 1:
        return length, ETHERTYPE_UNKNOWN
    nlpid = load_u8(record + at)
    if nlpid == NLPID_IPV4:
        return at + 1, ETHERTYPE_IPV4
    if nlpid == NLPID_IPV6:
        return at + 1, ETHERTYPE_IPV6
    if nlpid == NLPID_SNAP and length - at >= 6 and load_be16(record + at + 1) == 0 and load_u8(record + at + 3) == 0:
        return at + 6, known_or_none(load_be16(record + at + 4))
    return 0, ETHERTYPE_UNKNOWN


@inlined
def frame_relay_header(record, length):  # type: ignore[no-untyped-def]
    """(bytes, ethertype): address, up to the byte whose lowest bit is set; then RFC 2427, or Cisco's ethertype."""
    at = 0
    for _ in range(MAX_DLCI):
        if at == length:
            return 0, ETHERTYPE_UNKNOWN
        at += 1
        if load_u8(record + at - 1) & 1:
            break
    if length - at < 2:
        return 0, ETHERTYPE_UNKNOWN
    if load_u8(record + at) == UNNUMBERED:
        return nlpid_header(record, length, at + 1)
    ethertype = load_be16(record + at)
    return (at + 2, ethertype) if ethertype >= FIRST_ETHERTYPE else (0, ETHERTYPE_UNKNOWN)
