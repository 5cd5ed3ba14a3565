"""Flow counter on scapy.

    python -m benchmarks.peers.flows_scapy FILE [PACKETS]

Dissects only what the job needs, as scapy's manual advises for speed (conf.layers.filter).
"""

from __future__ import annotations

import socket
from pathlib import Path

from scapy.config import conf
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import (
    IPv6,
    IPv6ExtHdrDestOpt,
    IPv6ExtHdrFragment,
    IPv6ExtHdrHopByHop,
    IPv6ExtHdrRouting,
)
from scapy.layers.l2 import Dot1AD, Dot1Q, Ether
from scapy.layers.sctp import SCTP
from scapy.packet import Packet
from scapy.utils import PcapReader

from .flow_count import WITH_PORTS, FlowCount, Key, flow_key, main

EXTENSIONS = (IPv6ExtHdrHopByHop, IPv6ExtHdrDestOpt, IPv6ExtHdrRouting, IPv6ExtHdrFragment)
LAYERS = [Ether, Dot1Q, Dot1AD, IP, IPv6, TCP, UDP, SCTP, *EXTENSIONS]


def _ports(proto: int, segment: Packet) -> tuple[int, int]:
    if isinstance(segment, TCP | UDP | SCTP):
        return segment.sport, segment.dport
    head = bytes(segment)[:4]
    if proto in WITH_PORTS and len(head) == 4:
        return int.from_bytes(head[:2], "big"), int.from_bytes(head[2:], "big")
    return 0, 0


def _ipv4_key(ip: Packet) -> Key:
    ports = (0, 0) if ip.flags.MF or ip.frag else _ports(ip.proto, ip.payload)
    return flow_key(ip.proto, socket.inet_aton(ip.src), socket.inet_aton(ip.dst), *ports)


def _ipv6_key(ip: Packet) -> Key:
    proto, inner, fragment = ip.nh, ip.payload, False
    while isinstance(inner, EXTENSIONS) and not fragment:
        fragment = isinstance(inner, IPv6ExtHdrFragment) and bool(inner.m or inner.offset)
        proto, inner = inner.nh, inner.payload
    ports = (0, 0) if fragment else _ports(proto, inner)
    source, target = (socket.inet_pton(socket.AF_INET6, address) for address in (ip.src, ip.dst))
    return flow_key(proto, source, target, *ports)


def key_of(packet: Packet) -> Key | None:
    """The flow of a dissected frame; None for what is not IP."""
    inner = packet.payload
    while isinstance(inner, Dot1Q):
        inner = inner.payload
    if isinstance(inner, IP):
        return _ipv4_key(inner)
    return _ipv6_key(inner) if isinstance(inner, IPv6) else None


def count(path: Path, limit: int) -> FlowCount:
    """Count the first `limit` packets of a capture (0: all)."""
    result = FlowCount()
    conf.layers.filter(LAYERS)
    try:
        with PcapReader(str(path)) as packets:
            for packet in packets:
                length = packet.wirelen or len(packet.original)
                result.packets += 1
                result.bytes += length
                key = key_of(packet)
                if key is not None:
                    result.add(key, length)
                if result.packets == limit:
                    break
    finally:
        conf.layers.unfilter()
    return result


if __name__ == "__main__":
    main(count)
