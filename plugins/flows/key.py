"""The key of a packet's flow: its ends, its protocol, and what stands in place of ports."""

from __future__ import annotations

TCP, UDP, SCTP = 6, 17, 132
ICMP, ICMPV6 = 1, 58

# Above the protocol in the key's last word. A flow without ports is not that of ports 0; a message that nothing answers
# is a flow of one direction, and so has one of its own for each.
NO_PORTS, ONE_WAY, ONE_WAY_FROM_A = 1 << 8, 1 << 9, 1 << 10

# Types that ask, and those that answer them, as Community ID 1.0 (and Zeek) pair them.
PAIRS = {8: 0, 10: 9, 13: 14, 15: 16, 17: 18}
PAIRS_V6 = {128: 129, 130: 131, 133: 134, 135: 136, 139: 140, 144: 145}

# No unicast address of IPv4 is above this one: multicast and broadcast.
LAST_UNICAST_V4 = 0xFFFF_DFFF_FFFF


def _counterparts(pairs: dict[int, int]) -> bytes:
    """For each type, its counterpart + 1; 0 where it has none."""
    table = bytearray(256)
    for asks, answers in pairs.items():
        table[asks], table[answers] = answers + 1, asks + 1
    return bytes(table)


COUNTERPARTS, COUNTERPARTS_V6 = _counterparts(PAIRS), _counterparts(PAIRS_V6)
# 1 for each type that answers.
ANSWERS = bytes(int(kind in PAIRS.values()) for kind in range(256))
ANSWERS_V6 = bytes(int(kind in PAIRS_V6.values()) for kind in range(256))


def ends_without_ports(pkt):  # type: ignore[no-untyped-def]
    """(what stands for the source port, for the destination port, NO_PORTS or ONE_WAY or 0) where both ports read 0.

    ICMP has its types there: that of the message and the one of its answer, or type and code where there is none.
    """
    proto = pkt.proto
    if proto == ICMP or proto == ICMPV6:
        if pkt.is_fragment or pkt.l4_len < 2:
            return 0, 0, NO_PORTS
        kind = pkt.icmp >> 8
        other = COUNTERPARTS_V6[kind] if proto == ICMPV6 else COUNTERPARTS[kind]
        if other:
            return kind, other - 1, 0
        return kind, pkt.icmp & 255, ONE_WAY
    if proto == TCP or proto == UDP or proto == SCTP:
        return 0, 0, NO_PORTS if pkt.is_fragment or pkt.l4_len < 4 else 0
    return 0, 0, 0


def answers_by_icmp(pkt):  # type: ignore[no-untyped-def]
    """Whether the packet is an ICMP answer; one to many (an advertisement) answers nobody."""
    proto = pkt.proto
    if (proto != ICMP and proto != ICMPV6) or pkt.is_fragment or pkt.l4_len < 2:
        return False
    kind = pkt.icmp >> 8
    if pkt.ip_version == 4 and pkt.dst_lo > LAST_UNICAST_V4:
        return False
    if pkt.ip_version == 6 and pkt.dst_hi >> 56 & 255 == 255:
        return False
    return (ANSWERS_V6[kind] if proto == ICMPV6 else ANSWERS[kind]) == 1


def flow_key(pkt):  # type: ignore[no-untyped-def]
    """(a_hi, a_lo, b_hi, b_lo, ports, forward): the end with the smaller address, then port, is a.

    Which end sent is a coin toss for the branch predictor, so that the ends are compared and exchanged without a
    branch; whether it is IPv4 is not.
    """
    whole = pkt.is_fragment - 1
    sport, dport, kind = pkt.sport & whole, pkt.dport & whole, pkt.proto
    if sport | dport == 0:
        sport, dport, more = ends_without_ports(pkt)
        kind |= more
    if pkt.ip_version == 4:
        src, dst = pkt.src_lo, pkt.dst_lo
        forward = int(src << 16 | sport <= dst << 16 | dport)
        lo, port = (src ^ dst) & (forward - 1), (sport ^ dport) & (forward - 1)
        ports = (sport ^ port) << 32 | (dport ^ port) << 16 | kind | (kind & ONE_WAY & -forward) << 1
        return 0, src ^ lo, 0, dst ^ lo, ports, forward
    src_hi, src_lo, dst_hi, dst_lo = pkt.src_hi, pkt.src_lo, pkt.dst_hi, pkt.dst_lo
    low = (src_lo < dst_lo) | ((src_lo == dst_lo) & (sport <= dport))
    forward = int((src_hi < dst_hi) | ((src_hi == dst_hi) & low))
    swap = forward - 1
    hi, lo, port = (src_hi ^ dst_hi) & swap, (src_lo ^ dst_lo) & swap, (sport ^ dport) & swap
    ports = (sport ^ port) << 32 | (dport ^ port) << 16 | kind | (kind & ONE_WAY & -forward) << 1
    return src_hi ^ hi, src_lo ^ lo, dst_hi ^ hi, dst_lo ^ lo, ports, forward
