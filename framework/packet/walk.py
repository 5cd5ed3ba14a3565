"""From an ethertype to the network header, through the headers that may stand between: one bounded walk.

    VLAN tags      802.1Q, 802.1ad, and the older 0x9100, 0x9200, 0x9300, in any number and order
    short tags     VN-tag, E-TAG (802.1BR), HSR, R-TAG (802.1CB), Cisco's CMD (TrustSec), Arista's times
    whole frames   802.1ah (PBB), FabricPath, TRILL, transparent bridging, NSH: an Ethernet header follows, or may
    MPLS           up to the bottom of the stack, then what `_behind_labels` says
    PPPoE          of a session; the protocol in one byte or two, bridging, multilink with whole packets
    LLC            SNAP of Ethernet's types (00:00:00 and 00:00:f8), and the SAP of IP
    MACsec         where it proves and does not encrypt

The walk ends at the first type that is none of these. It never looks past the captured length, and after MAX_HEADERS it
stops wherever it is.
"""

from __future__ import annotations

from typing import Final

from zcframe.framework.jit.address import rx_load_be16, rx_load_u8
from zcframe.framework.jit.compiler import inlined

# Headers in front of IP, a tag that was taken off and each MPLS label included.
MAX_HEADERS: Final = 32

IPV4: Final = 0x0800
IPV6: Final = 0x86DD
ARISTA: Final = 0xD28B
BRIDGED: Final = 0x6558
CMD: Final = 0x8909
ETAG: Final = 0x893F
FABRICPATH: Final = 0x8903
HSR: Final = 0x892F
LLC: Final = 0x8870
MACSEC: Final = 0x88E5
MPLS: Final = 0x8847
MPLS_UPSTREAM: Final = 0x8848
NSH: Final = 0x894F
PBB: Final = 0x88E7
PPPOE: Final = 0x8864
RTAG: Final = 0xF1C1
TRILL: Final = 0x22F3
VLAN: Final = 0x8100
VLAN_PROVIDER: Final = 0x88A8
VLAN_OLD: Final = (0x9100, 0x9200, 0x9300)
VNTAG: Final = 0x8926

MAX_802_3: Final = 1500
FIRST_ETHERTYPE: Final = 0x0600

ETHERNET_HEADER: Final = 14
LABEL: Final = 4
PSEUDOWIRE_IPV4: Final = 0x0021
PSEUDOWIRE_IPV6: Final = 0x0057
PPPOE_HEADER: Final = 6
PPPOE_SESSION: Final = 0x1100
PPP_IPV4: Final = 0x21
PPP_IPV6: Final = 0x57
PPP_BRIDGED: Final = 0x31
PPP_MULTILINK: Final = 0x3D
PPP_MPLS: Final = 0x281
PPP_MPLS_UPSTREAM: Final = 0x283
# Its flags: a LAN's number of four bytes, and what is left out of the frame; then the kind of frame. (RFC 3518)
BRIDGED_LAN: Final = 0x40
BRIDGED_SQUEEZED: Final = 0x20
BRIDGED_802_3: Final = 1
MULTILINK_HEADER: Final = 4
# Begin and end: the fragment is a whole packet.
MULTILINK_WHOLE: Final = 0xC0
LLC_SNAP: Final = 0xAAAA
LLC_IP: Final = 0x06
# Unnumbered information.
LLC_UI: Final = 0x03
SNAP_HEADER: Final = 8
MACSEC_HEADER: Final = 6
MACSEC_SCI: Final = 8
MACSEC_VERSION: Final = 0x80
MACSEC_HAS_SCI: Final = 0x20
MACSEC_CHANGED: Final = 0x0C
# By next protocol: what an NSH says, as an ethertype.
NSH_NEXT: Final = (0, IPV4, IPV6, BRIDGED, NSH, MPLS)

# There is nothing to look into: no ethertype is negative.
STOP: Final = -1


@inlined
def is_tag(ethertype):  # type: ignore[no-untyped-def]
    return ethertype == VLAN or ethertype == VLAN_PROVIDER or ethertype in VLAN_OLD


@inlined
def _fixed_size(ethertype):  # type: ignore[no-untyped-def]
    """Bytes of a header that always has as many, and ends with the ethertype of what follows; 0: not one of these."""
    if is_tag(ethertype):
        return 4
    if ethertype == VNTAG or ethertype == HSR or ethertype == RTAG:
        return 6
    if ethertype == ETAG or ethertype == CMD:
        return 8
    if ethertype == BRIDGED:
        return ETHERNET_HEADER
    if ethertype == FABRICPATH:
        return 2 + ETHERNET_HEADER
    return 4 + ETHERNET_HEADER if ethertype == PBB else 0


@inlined
def _size(header, room, ethertype):  # type: ignore[no-untyped-def]
    """As `_fixed_size`, of which the first bytes tell it, too."""
    if ethertype == MACSEC and room >= 1:
        first = rx_load_u8(header)
        if first & (MACSEC_VERSION | MACSEC_CHANGED):
            return 0
        return MACSEC_HEADER + 2 + (MACSEC_SCI if first & MACSEC_HAS_SCI else 0)
    if ethertype == TRILL and room >= 2:
        first = rx_load_be16(header)
        return 6 + (first >> 6 & 31) * 4 + ETHERNET_HEADER if first >> 14 == 0 else 0
    if ethertype == ARISTA and room >= 4 and rx_load_be16(header) == 1:
        # 64 bits of time, or 48.
        return 14 if rx_load_u8(header + 3) == 0x10 else 12
    return _fixed_size(ethertype)


@inlined
def _behind_llc(frame, length, at):  # type: ignore[no-untyped-def]
    """(ethertype, offset) of what an LLC header announces: SNAP names an ethertype, one SAP is that of IP."""
    if length - at < 3 or rx_load_u8(frame + at + 2) != LLC_UI:
        return STOP, at
    if rx_load_u8(frame + at) == LLC_IP:
        return IPV4, at + 3
    if rx_load_be16(frame + at) != LLC_SNAP or length - at < SNAP_HEADER:
        return STOP, at
    organisation = rx_load_be16(frame + at + 3) << 8 | rx_load_u8(frame + at + 5)
    ethertype = rx_load_be16(frame + at + 6)
    known = (organisation == 0 or organisation == 0xF8) and ethertype >= FIRST_ETHERTYPE
    return (ethertype, at + SNAP_HEADER) if known else (STOP, at)


@inlined
def _is_frame(frame, length, at):  # type: ignore[no-untyped-def]
    """Whether what is at `at` may be an Ethernet frame: where one has its type is IP's, or that of a header here."""
    if length - at < ETHERNET_HEADER:
        return False
    ethertype = rx_load_be16(frame + at + 12)
    if ethertype <= MAX_802_3 or ethertype == LLC:
        return _behind_llc(frame, length, at + ETHERNET_HEADER)[0] != STOP
    known = ethertype in (IPV4, IPV6, MPLS, MPLS_UPSTREAM, PPPOE, NSH, MACSEC, TRILL, ARISTA)
    return known or _fixed_size(ethertype) != 0


@inlined
def _behind_labels(frame, length, at):  # type: ignore[no-untyped-def]
    """(ethertype, offset) of what follows the bottom of an MPLS stack, whose type no label tells.

    The first four bits do (RFC 4928): 4 and 6 are IP, 1 is a channel beside a pseudowire (RFC 4385), which may hold IP.
    Anything else is taken for an Ethernet frame, behind a control word where the bits are 0, if it may be one. (RFC
    4448)
    """
    if length - at < 4:
        return STOP, at
    first = rx_load_u8(frame + at) >> 4
    if first == 4 or first == 6:
        return IPV4 if first == 4 else IPV6, at
    if first == 1:
        channel = rx_load_be16(frame + at + 2)
        if channel == PSEUDOWIRE_IPV4 or channel == PSEUDOWIRE_IPV6:
            return IPV4 if channel == PSEUDOWIRE_IPV4 else IPV6, at + 4
        return STOP, at
    if first == 0 and _is_frame(frame, length, at + 4):
        return BRIDGED, at + 4
    if _is_frame(frame, length, at):
        return BRIDGED, at
    return STOP, at


@inlined
def _bridged(frame, length, at):  # type: ignore[no-untyped-def]
    """(ethertype, offset) of the Ethernet frame that PPP's bridging holds."""
    if length - at < 2 or rx_load_u8(frame + at + 1) != BRIDGED_802_3 or rx_load_u8(frame + at) & BRIDGED_SQUEEZED:
        return STOP, at
    at += 6 if rx_load_u8(frame + at) & BRIDGED_LAN else 2
    return (BRIDGED, at) if at <= length else (STOP, at)


@inlined
def behind_ppp(frame, length, at):  # type: ignore[no-untyped-def]
    """(ethertype, offset) of what the PPP protocol number at `at` announces."""
    for _ in range(2):
        if length - at < 2:
            break
        # A number whose first byte is odd has one byte only. (RFC 1661)
        short = rx_load_u8(frame + at) & 1
        number = rx_load_u8(frame + at) if short else rx_load_be16(frame + at)
        at += 2 - short
        if number == PPP_IPV4:
            return IPV4, at
        if number == PPP_IPV6:
            return IPV6, at
        if number == PPP_MPLS or number == PPP_MPLS_UPSTREAM:
            return MPLS, at
        if number == PPP_BRIDGED:
            return _bridged(frame, length, at)
        if number != PPP_MULTILINK or length - at < 4 or rx_load_u8(frame + at) < MULTILINK_WHOLE:
            break
        at += MULTILINK_HEADER
    return STOP, at


@inlined
def _behind_nsh(frame, length, at):  # type: ignore[no-untyped-def]
    """(ethertype, offset) of what a network service header announces. (RFC 8300)"""
    if length - at < 8:
        return STOP, at
    size = (rx_load_be16(frame + at) & 0x3F) * 4
    following = rx_load_u8(frame + at + 3)
    if size < 8 or size > length - at or following == 0 or following >= len(NSH_NEXT):
        return STOP, at
    return NSH_NEXT[following], at + size


@inlined
def _behind(frame, length, ethertype, at):  # type: ignore[no-untyped-def]
    """(ethertype, offset) of what is behind the header of type `ethertype` at `at`; STOP where that cannot be told."""
    if ethertype == MPLS or ethertype == MPLS_UPSTREAM:
        if length - at < LABEL:
            return STOP, at
        bottom = rx_load_u8(frame + at + 2) & 1
        return _behind_labels(frame, length, at + LABEL) if bottom else (MPLS, at + LABEL)
    if ethertype == PPPOE:
        session = length - at >= PPPOE_HEADER and rx_load_be16(frame + at) == PPPOE_SESSION
        return behind_ppp(frame, length, at + PPPOE_HEADER) if session else (STOP, at)
    if ethertype <= MAX_802_3 or ethertype == LLC:
        return _behind_llc(frame, length, at)
    if ethertype == NSH:
        return _behind_nsh(frame, length, at)
    size = _size(frame + at, length - at, ethertype)
    return (rx_load_be16(frame + at + size - 2), at + size) if 0 < size <= length - at else (STOP, at)


@inlined
def is_ip(frame, length, ethertype, at):  # type: ignore[no-untyped-def]
    """Whether a whole fixed header of IP, in the version that `ethertype` says, is at `at`."""
    if ethertype == IPV4:
        return length - at >= 20 and rx_load_u8(frame + at) >> 4 == 4
    return ethertype == IPV6 and length - at >= 40 and rx_load_u8(frame + at) >> 4 == 6


@inlined
def walk(frame, length, ethertype, at, tags, steps):  # type: ignore[no-untyped-def]
    """(ethertype, offset, VLAN tags in front) where the walk from the header of type `ethertype` at `at` ends.

    tags: in front of it; only tags that nothing else precedes are counted. steps: how many headers to pass at most.
    """
    in_front = True
    guessed_type, guessed_at = STOP, at
    for _ in range(steps):
        following, behind = _behind(frame, length, ethertype, at)
        if following == STOP:
            break
        in_front = in_front and is_tag(ethertype)
        tags += in_front
        if following == BRIDGED and guessed_type == STOP and (ethertype == MPLS or ethertype == MPLS_UPSTREAM):
            guessed_type, guessed_at = ethertype, at
        ethertype, at = following, behind
    # Nothing marks a frame behind labels: that it is one shows in the IP header at its end.
    if guessed_type != STOP and not is_ip(frame, length, ethertype, at):
        return guessed_type, guessed_at, tags
    return ethertype, at, tags
