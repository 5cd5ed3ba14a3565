"""What tunnels hold: from the IP packet that decode.py found to the innermost one, by a bounded walk.

    IP protocol    IP in IP (4), 6in4 and 6 in 6 (41), GRE (47), EtherIP (97), MPLS (137)
    GRE            any ethertype of walk.py, transparent Ethernet among them; ERSPAN I, II, III; PPP of PPTP (version 1)
    UDP to a port  VXLAN (4789, 8472), VXLAN-GPE (4790), Geneve (6081), GTP-U (2152)

Between two of them may be all that walk.py passes: tags, labels, PPPoE and the like. At most MAX_TUNNELS tunnels are
passed. A fragment is not looked into: the other fragments of its datagram could not follow. What holds no IP (ARP, a
GTP-U echo) ends the walk at the packet that carries it.

A tunnel that is cut short, lies about its lengths, or announces IP where none is (CUT), and one in more tunnels than
the bound (DEEP), count for nothing: the answer is the outermost packet, and `told` says why.
"""

from __future__ import annotations

from typing import Final

from zcframe.framework.jit.address import rx_load_be16, rx_load_u8
from zcframe.framework.jit.compiler import inlined, kept, outlined

from .decode import FRAGMENT, IPPROTO_TCP, IPPROTO_UDP, decode_ip
from .walk import BRIDGED, FIRST_ETHERTYPE, IPV4, IPV6, MAX_HEADERS, MPLS, NSH, STOP, behind_ppp, is_tag, walk

MAX_TUNNELS: Final = 8

# What is told: how many tunnels were passed, or why none was.
CUT: Final = 1 << 8
DEEP: Final = 1 << 9
PASSED: Final = 0xFF

# In place of an ethertype: there is a tunnel, and it is not whole.
BROKEN: Final = -2

IPPROTO_IPV4: Final = 4
IPPROTO_IPV6: Final = 41
IPPROTO_GRE: Final = 47
IPPROTO_ETHERIP: Final = 97
IPPROTO_MPLS: Final = 137

UDP_HEADER: Final = 8
PORT_GTPU: Final = 2152
PORT_VXLAN: Final = 4789
PORT_VXLAN_GPE: Final = 4790
PORT_GENEVE: Final = 6081
# Of Linux, before there was the other.
PORT_VXLAN_OLD: Final = 8472

GRE_CHECKSUM: Final = 0x8000
GRE_ROUTING: Final = 0x4000
GRE_KEY: Final = 0x2000
GRE_SEQUENCE: Final = 0x1000
GRE_ACKNOWLEDGED: Final = 0x0080
GRE_VERSION: Final = 0x0007
GRE_PPP: Final = 0x880B
PPP_ADDRESS: Final = 0xFF03
ERSPAN: Final = 0x88BE
ERSPAN_III: Final = 0x22EB
ERSPAN_II_HEADER: Final = 8
ERSPAN_III_HEADER: Final = 12
ERSPAN_III_MORE: Final = 8

VXLAN_HEADER: Final = 8
VXLAN_HAS_VNI: Final = 0x08
VXLAN_HAS_NEXT: Final = 0x04
# By next protocol: what VXLAN-GPE says, as an ethertype.
VXLAN_NEXT: Final = (0, IPV4, IPV6, BRIDGED, NSH, MPLS)

GENEVE_HEADER: Final = 8

GTPU_HEADER: Final = 8
# Version 1, not GTP'.
GTPU_KIND: Final = 0x30
GTPU_PACKET: Final = 255
GTPU_MORE: Final = 0x07
GTPU_EXTENDED: Final = 0x04
MAX_GTPU_EXTENSIONS: Final = 8


@inlined
def _ip_at(frame, end, at):  # type: ignore[no-untyped-def]
    """(ethertype, offset) of what may be IP of either version at `at`, and of which nothing else tells."""
    if at >= end:
        return BROKEN, at
    first = rx_load_u8(frame + at) >> 4
    if first == 4:
        return IPV4, at
    return (IPV6, at) if first == 6 else (STOP, at)


@inlined
def _erspan(frame, end, at, ethertype, numbered):  # type: ignore[no-untyped-def]
    """(ethertype, offset) of the mirrored frame. (draft-foschiano-erspan)

    numbered: GRE brought a sequence number, which tells type II from type I without a header.
    """
    if ethertype == ERSPAN:
        return BRIDGED, at + (ERSPAN_II_HEADER if numbered else 0)
    if end - at < ERSPAN_III_HEADER:
        return BROKEN, at
    more = rx_load_u8(frame + at + 11) & 1
    return BRIDGED, at + ERSPAN_III_HEADER + (ERSPAN_III_MORE if more else 0)


@inlined
def _behind_pptp(frame, end, at, flags):  # type: ignore[no-untyped-def]
    """(ethertype, offset) behind GRE of version 1. (RFC 2637)"""
    if not flags & GRE_SEQUENCE or rx_load_be16(frame + at + 2) != GRE_PPP:
        return STOP, at
    at += 12 + (4 if flags & GRE_ACKNOWLEDGED else 0)
    if end - at < 2:
        return BROKEN, at
    return behind_ppp(frame, end, at + (2 if rx_load_be16(frame + at) == PPP_ADDRESS else 0))


@inlined
def _behind_gre(frame, end, at):  # type: ignore[no-untyped-def]
    """(ethertype, offset) of what GRE announces. (RFC 2784, 2890; routing of RFC 1701 is not looked into)"""
    if end - at < 4:
        return BROKEN, at
    flags = rx_load_be16(frame + at)
    ethertype = rx_load_be16(frame + at + 2)
    if flags & GRE_VERSION == 1:
        return _behind_pptp(frame, end, at, flags)
    if flags & (GRE_VERSION | GRE_ROUTING):
        return STOP, at
    numbered = flags & GRE_SEQUENCE
    at += 4 + (4 if flags & GRE_CHECKSUM else 0) + (4 if flags & GRE_KEY else 0) + (4 if numbered else 0)
    if ethertype == ERSPAN or ethertype == ERSPAN_III:
        return _erspan(frame, end, at, ethertype, numbered)
    return ethertype, at


@inlined
def _behind_vxlan(frame, at, port):  # type: ignore[no-untyped-def]
    """(ethertype, offset) behind VXLAN (RFC 7348), or behind its generic extension."""
    flags = rx_load_u8(frame + at)
    if not flags & VXLAN_HAS_VNI:
        return STOP, at
    if port != PORT_VXLAN_GPE:
        return BRIDGED, at + VXLAN_HEADER
    following = rx_load_u8(frame + at + 3)
    if not flags & VXLAN_HAS_NEXT or following == 0 or following >= len(VXLAN_NEXT):
        return STOP, at
    return VXLAN_NEXT[following], at + VXLAN_HEADER


@inlined
def _behind_gtpu(frame, end, at):  # type: ignore[no-untyped-def]
    """(ethertype, offset) of the packet that GTP-U carries, behind its extension headers. (3GPP TS 29.281)"""
    flags = rx_load_u8(frame + at)
    if flags & 0xF0 != GTPU_KIND or rx_load_u8(frame + at + 1) != GTPU_PACKET:
        return STOP, at
    at += GTPU_HEADER
    if not flags & GTPU_MORE:
        return _ip_at(frame, end, at)
    if end - at < 4:
        return BROKEN, at
    following = rx_load_u8(frame + at + 3) if flags & GTPU_EXTENDED else 0
    at += 4
    for _ in range(MAX_GTPU_EXTENSIONS):
        if following == 0:
            return _ip_at(frame, end, at)
        size = rx_load_u8(frame + at) * 4 if at < end else 0
        if size == 0 or size > end - at:
            break
        at += size
        following = rx_load_u8(frame + at - 1)
    return BROKEN, at


@inlined
def _behind_udp(frame, end, l4):  # type: ignore[no-untyped-def]
    """(ethertype, offset) of what the tunnel of this port announces."""
    if end - l4 < UDP_HEADER:
        return BROKEN, l4
    port = rx_load_be16(frame + l4 + 2)
    at = l4 + UDP_HEADER
    # The fixed header of each of them has as many.
    if end - at < VXLAN_HEADER:
        return BROKEN, at
    if port == PORT_GTPU:
        return _behind_gtpu(frame, end, at)
    if port != PORT_GENEVE:
        return _behind_vxlan(frame, at, port)
    first = rx_load_u8(frame + at)
    if first >> 6:
        return STOP, at
    return rx_load_be16(frame + at + 2), at + GENEVE_HEADER + (first & 0x3F) * 4


@inlined
def _is_port(port):  # type: ignore[no-untyped-def]
    near = port == PORT_VXLAN or port == PORT_VXLAN_GPE or port == PORT_VXLAN_OLD
    return near or port == PORT_GTPU or port == PORT_GENEVE


@inlined
def is_tunnel(frame, offsets, facts):  # type: ignore[no-untyped-def]
    """Whether a decoded IP packet may be a tunnel's: by its protocol, or its port; never a fragment."""
    proto = facts & 255
    l4 = (offsets >> 16) & 0xFFFF
    # Most packets first.
    if proto == IPPROTO_TCP or facts & FRAGMENT or l4 == 0 or facts & 0xFF00 == 0:
        return False
    if proto == IPPROTO_UDP:
        return (offsets >> 48) - l4 >= 4 and _is_port(rx_load_be16(frame + l4 + 2))
    by_ip = proto == IPPROTO_IPV4 or proto == IPPROTO_IPV6 or proto == IPPROTO_GRE
    return by_ip or proto == IPPROTO_ETHERIP or proto == IPPROTO_MPLS


@inlined
def _behind_ip(frame, offsets, facts):  # type: ignore[no-untyped-def]
    """(ethertype, offset) of what the tunnel in this IP packet announces; STOP, or BROKEN, where nothing does."""
    proto = facts & 255
    l4, end = (offsets >> 16) & 0xFFFF, offsets >> 48
    if proto == IPPROTO_UDP:
        ethertype, at = _behind_udp(frame, end, l4)
    elif proto == IPPROTO_GRE:
        ethertype, at = _behind_gre(frame, end, l4)
    elif proto == IPPROTO_ETHERIP:
        ethertype, at = BRIDGED, l4 + 2
    elif proto == IPPROTO_MPLS:
        ethertype, at = MPLS, l4
    else:
        ethertype, at = (IPV4 if proto == IPPROTO_IPV4 else IPV6), l4
    if 0 <= ethertype < FIRST_ETHERTYPE:
        return STOP, at
    return (ethertype, at) if at <= end else (BROKEN, at)


@inlined
def _was_announced(ethertype):  # type: ignore[no-untyped-def]
    """Whether a walk that ended here, without IP, ended in the middle of something."""
    return ethertype == IPV4 or ethertype == IPV6 or ethertype == BRIDGED or is_tag(ethertype)


@outlined
def _walk_tunnels(frame, offsets, facts):  # type: ignore[no-untyped-def]
    """`innermost` of what may be a tunnel."""
    outer_offsets, outer_facts = offsets, facts
    # Of the frame, whatever the packet: its captured length, and its tags.
    of_frame = facts & ~0xFFFF00FFFFFF
    for passed in range(MAX_TUNNELS + 1):
        ethertype, at = _behind_ip(frame, offsets, facts) if is_tunnel(frame, offsets, facts) else (STOP, 0)
        if ethertype == STOP:
            return offsets, facts, passed
        end = offsets >> 48
        if ethertype != BROKEN:
            ethertype, at, _ = walk(frame, end, ethertype, at, 0, MAX_HEADERS)
        inner_offsets, inner_facts = decode_ip(frame, end, ethertype, at, 0)
        if inner_facts & 0xFF00 == 0:
            if ethertype == BROKEN or _was_announced(ethertype):
                return outer_offsets, outer_facts, CUT
            return offsets, facts, passed
        offsets, facts = inner_offsets, inner_facts & 0xFFFF00FFFFFF | of_frame
    return outer_offsets, outer_facts, DEEP


@kept
def innermost(frame, offsets, facts):  # type: ignore[no-untyped-def]
    """(offsets, facts, told) of the innermost IP packet of a frame, the first two as `decode` has them.

    frame: int64 address of the frame; offsets, facts: what `decode` found in it. told: the number of tunnels passed, or
    CUT or DEEP. Captured length and VLAN tags in `facts` stay those of the frame.
    """
    if not is_tunnel(frame, offsets, facts):
        return offsets, facts, 0
    return _walk_tunnels(frame, offsets, facts)
