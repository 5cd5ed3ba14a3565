"""Community ID 1.0 of a flow (corelight/community-id-spec)."""

from __future__ import annotations

import base64
import hashlib
import ipaddress

import communityid

from .key import ICMP, ICMPV6, NO_PORTS, SCTP, TCP, UDP

# Only these have ports in their ID, also where both are 0.
WITH_PORTS = (ICMP, TCP, UDP, ICMPV6, SCTP)


def community_id(src: str, dst: str, sport: int, dport: int, kind: int, icmp: int = 0) -> str:
    """The ID; kind: protocol, and NO_PORTS for fragments and the like, whose ID is that of protocol and addresses.

    icmp: type << 8 | code of the first fragment, where that is known: then the ID is that of the whole message.
    """
    proto = kind & 0xFF
    if icmp:
        sport, dport, kind = icmp >> 8, icmp & 0xFF, proto
    if proto not in WITH_PORTS:
        return str(communityid.CommunityID().calc(communityid.FlowTuple(proto, src, dst)))
    if not kind & NO_PORTS:
        return str(communityid.CommunityID().calc(communityid.FlowTuple(proto, src, dst, sport, dport)))
    # The library refuses these protocols without ports.
    ends = sorted(ipaddress.ip_address(end).packed for end in (src, dst))
    digest = hashlib.sha1(bytes(2) + b"".join(ends) + bytes([proto, 0]), usedforsecurity=False).digest()
    return "1:" + base64.b64encode(digest).decode()
