"""Where the headers of a frame lie: one pass, clamped to the captured bytes.

The result is two 64-bit words, small enough to wait in a scratch area between the decoding pass of a burst and the pass
that runs the plugins:

    offsets   bits 0-15 L3 header, 16-31 L4 header, 32-47 IP payload, 48-62 end of the IP packet; 0 where there is none
    facts     bits 0-7 protocol, 8-15 IP version, 16-23 flags, 24-31 VLAN tags in the frame, 32-47 ethertype,
              48-62 captured length

The L3 header is that of IP behind all headers of walk.py, or what is behind the last of them that could be looked into;
`ethertype` says its type. The VLAN tags counted are those that nothing but tags precedes.

The IP payload begins with the L4 header where there is one, and is there also where the L4 header is not: in a later
fragment. Every offset is <= the captured length, and `end` >= the payload, whatever the length fields of the frame
claim.
"""

from __future__ import annotations

from zcframe.framework import abi
from zcframe.framework.jit.address import known, rx_load_be16, rx_load_u8, rx_load_u16, rx_load_u32, seldom
from zcframe.framework.jit.compiler import inlined, kept, outlined

from .walk import MAX_HEADERS, is_ip, walk

ETHERTYPE_IPV4 = 0x0800
ETHERTYPE_IPV6 = 0x86DD
ETHERTYPE_VLAN = 0x8100
ETHERTYPE_QINQ = 0x88A8

IPPROTO_ICMP = 1
IPPROTO_TCP = 6
IPPROTO_UDP = 17
IPPROTO_AH = 51
IPPROTO_ICMPV6 = 58
IPPROTO_DCCP = 33
IPPROTO_SCTP = 132
IPPROTO_UDPLITE = 136

FRAGMENT = 1 << 16
LATER_FRAGMENT = 1 << 17
HAS_PORTS = 1 << 18
HAS_TCP = 1 << 19

MAX_EXTENSION_HEADERS = 8
# What 15 bits hold: the longest frame that a plugin sees whole.
MAX_LENGTH = 32767


# The frame's bytes 12 to 14 of an IPv4 packet without options, behind no VLAN tag, as a little-endian number.
PLAIN_IPV4 = 0x450008
PLAIN_L4 = 34

# Bytes of an authentication header without its check value.
MIN_AH = 12


@inlined
def _ports(room, proto):  # type: ignore[no-untyped-def]
    """Flags for an L4 header of which `room` bytes were captured."""
    if proto == IPPROTO_TCP and room >= 20:
        return HAS_PORTS | HAS_TCP
    with_ports = (proto == IPPROTO_TCP) | (proto == IPPROTO_UDP) | (proto == IPPROTO_UDPLITE)
    with_ports |= (proto == IPPROTO_SCTP) | (proto == IPPROTO_DCCP)
    return HAS_PORTS if with_ports and room >= 4 else 0


@inlined
def l4_size(l4, room, proto):  # type: ignore[no-untyped-def]
    """Bytes of the L4 header at address `l4`, of which `room` were captured; at most `room`, 0 where it is unknown."""
    if proto == IPPROTO_TCP:
        return min(max(rx_load_u8(l4 + 12) >> 2 & 0x3C, 20), room) if room >= 20 else room
    if proto == IPPROTO_SCTP or proto == IPPROTO_DCCP:
        return min(12, room)
    short = (proto == IPPROTO_UDP) | (proto == IPPROTO_UDPLITE) | (proto == IPPROTO_ICMP) | (proto == IPPROTO_ICMPV6)
    return min(8, room) if short else 0


@inlined
def l4_size_on_wire(l4, room, proto):  # type: ignore[no-untyped-def]
    """Bytes of the L4 header as it was sent, of which `room` were captured; at least what it must have."""
    if proto == IPPROTO_TCP:
        return max(rx_load_u8(l4 + 12) >> 2 & 0x3C, 20) if room >= 13 else 20
    return l4_size(l4, 12, proto)


@inlined
def is_plain_ipv4(frame, length):  # type: ignore[no-untyped-def]
    """Whether a frame is what most are: IPv4 without options behind no tag, no fragment."""
    if length < PLAIN_L4 or rx_load_u32(frame + 12) & 0xFFFFFF != PLAIN_IPV4:
        return False
    return rx_load_be16(frame + 20) & 0x3FFF == 0 and rx_load_u8(frame + 23) != IPPROTO_AH


@kept
def plain_ipv4(frame, length):  # type: ignore[no-untyped-def]
    """(offsets, facts) of such a frame, of which all but few bits are constants to the compiler."""
    total = rx_load_be16(frame + 16)
    end = min(14 + total, length) if total >= 20 else length
    proto = rx_load_u8(frame + 23)
    facts = length << 48 | ETHERTYPE_IPV4 << 32 | 4 << 8 | proto | _ports(end - PLAIN_L4, proto)
    offsets = 14 | PLAIN_L4 << 16 | PLAIN_L4 << 32 | end << 48
    # It would see this by itself, were it not for the many operations in between.
    known(facts & 0xFF00 == 4 << 8)
    known(facts & (FRAGMENT | LATER_FRAGMENT) == 0)
    known(offsets & 0xFFFFFFFF == 14 | PLAIN_L4 << 16)
    return offsets, facts


@inlined
def _ah_size(header, room):  # type: ignore[no-untyped-def]
    """Bytes of the authentication header at address `header`, of which `room` are there; 0: not whole. (RFC 4302)"""
    size = (rx_load_u8(header + 1) + 2) * 4 if room >= MIN_AH else 0
    return size if MIN_AH <= size <= room else 0


@outlined
def _behind_ah(frame, l4, end):  # type: ignore[no-untyped-def]
    """(L4 header, protocol) behind the authentication headers of an IPv4 packet; one that is cut is left to stand."""
    proto = IPPROTO_AH
    for _ in range(MAX_EXTENSION_HEADERS):
        size = _ah_size(frame + l4, end - l4) if proto == IPPROTO_AH else 0
        if size == 0:
            break
        proto = rx_load_u8(frame + l4)
        l4 += size
    return l4, proto


@inlined
def _ipv4(frame, length, l3):  # type: ignore[no-untyped-def]
    """(l4, IP payload, end, protocol and flags), l4 = 0 for a later fragment or options that are cut."""
    header = (rx_load_u8(frame + l3) & 15) * 4
    total = rx_load_be16(frame + l3 + 2)
    # A total length of 0 is what segmentation offload leaves behind: trust the captured length then.
    end = min(l3 + total, length) if total >= 20 else length
    proto = rx_load_u8(frame + l3 + 9)
    fragment = rx_load_be16(frame + l3 + 6) & 0x3FFF
    l4 = l3 + header
    if header < 20 or l4 > end:
        return 0, end, end, proto
    if fragment & 0x1FFF:
        return 0, l4, end, proto | FRAGMENT | LATER_FRAGMENT
    # In a fragment it stays: the later ones show AH, too, and nothing else.
    if proto == IPPROTO_AH and fragment == 0:
        l4, proto = _behind_ah(frame, l4, end)
    flags = FRAGMENT if fragment else 0
    return l4, l4, end, proto | flags | _ports(end - l4, proto)


@inlined
def _ipv6(frame, length, l3):  # type: ignore[no-untyped-def]
    """As `_ipv4`; hop-by-hop, routing, destination, fragment and authentication headers are walked.

    At most MAX_EXTENSION_HEADERS of them.
    """
    claimed = rx_load_be16(frame + l3 + 4)
    end = min(l3 + 40 + claimed, length) if claimed else length
    proto = rx_load_u8(frame + l3 + 6)
    l4 = l3 + 40
    flags = 0
    for _ in range(MAX_EXTENSION_HEADERS):
        if proto == 44:
            if end - l4 < 8:
                return 0, end, end, proto | flags
            fragment = rx_load_be16(frame + l4 + 2)
            proto = rx_load_u8(frame + l4)
            l4 += 8
            # An atomic fragment (RFC 6946) is a whole packet.
            if fragment & 0xFFF9:
                flags |= FRAGMENT
            if fragment & 0xFFF8:
                return 0, l4, end, proto | flags | LATER_FRAGMENT
        elif proto == 0 or proto == 43 or proto == 60:
            if end - l4 < 8:
                return 0, end, end, proto | flags
            proto = rx_load_u8(frame + l4)
            l4 += 8 + rx_load_u8(frame + l4 + 1) * 8
            if l4 > end:
                return 0, end, end, proto | flags
        elif proto == IPPROTO_AH and flags == 0 and _ah_size(frame + l4, end - l4) != 0:
            proto = rx_load_u8(frame + l4)
            l4 += _ah_size(frame + l4, end - l4)
        else:
            return l4, l4, end, proto | flags | _ports(end - l4, proto)
    return 0, end, end, proto | flags


@inlined
def decode_ip(frame, length, ethertype, l3, tags):  # type: ignore[no-untyped-def]
    """(offsets, facts) of a frame whose header of type `ethertype` is at `l3`: of IP, or of what is not looked into."""
    facts = length << 48 | ethertype << 32 | tags << 24
    # A header cut short makes no IP packet: its addresses cannot be read.
    if is_ip(frame, length, ethertype, l3):
        if ethertype == ETHERTYPE_IPV4:
            l4, payload, end, more = _ipv4(frame, length, l3)
            facts |= more | 4 << 8
        else:
            l4, payload, end, more = _ipv6(frame, length, l3)
            facts |= more | 6 << 8
    else:
        l4, payload, end = 0, l3, length
    return l3 | l4 << 16 | payload << 32 | end << 48, facts


@outlined
def _decode_others(frame, length, ethertype, l3, tags, steps):  # type: ignore[no-untyped-def]
    """`decode_ip` of what is behind at most `steps` other headers, from the one at `l3` on."""
    ethertype, l3, tags = walk(frame, length, ethertype, l3, tags, steps)
    return decode_ip(frame, length, ethertype, l3, tags)


@kept
def decode_others(desc, frame, length):  # type: ignore[no-untyped-def]
    """`decode` of a frame that may be any but a plain one."""
    if length < 14:
        return length << 48 | length << 32, length << 48
    ethertype = rx_load_be16(frame + 12)
    l3 = 14
    tags = 0
    while (ethertype == ETHERTYPE_VLAN or ethertype == ETHERTYPE_QINQ) and tags < 2 and length - l3 >= 4:
        ethertype = rx_load_be16(frame + l3 + 2)
        l3 += 4
        tags += 1
    if seldom(ethertype != ETHERTYPE_IPV4 and ethertype != ETHERTYPE_IPV6):
        # A tag that was taken off on the way here counts as if it were in the frame.
        stripped = rx_load_u16(desc + abi.DESC_STATUS) & abi.STATUS_VLAN != 0
        return _decode_others(frame, length, ethertype, l3, tags, MAX_HEADERS - tags - stripped)
    return decode_ip(frame, length, ethertype, l3, tags)


@kept
def decode(desc, frame, length):  # type: ignore[no-untyped-def]
    """(offsets, facts) of the Ethernet frame of `length` captured bytes at address `frame`, both int64.

    desc: address of its descriptor. length: at most MAX_LENGTH.
    """
    return plain_ipv4(frame, length) if is_plain_ipv4(frame, length) else decode_others(desc, frame, length)
