"""Flow counter on dpkt.

    python -m benchmarks.peers.flows_dpkt FILE [PACKETS]

Frames are dissected as dpkt does by itself: no layer above TCP and UDP.
"""

from __future__ import annotations

from pathlib import Path

import dpkt

from .flow_count import WITH_PORTS, FlowCount, Key, flow_key, main

FRAGMENT_HEADER = 44


def _ports(proto: int, segment: object) -> tuple[int, int]:
    if isinstance(segment, dpkt.tcp.TCP | dpkt.udp.UDP | dpkt.sctp.SCTP):
        return segment.sport, segment.dport
    # dpkt does not know the protocol, or the header is cut after the ports.
    if proto in WITH_PORTS and isinstance(segment, bytes) and len(segment) >= 4:
        return int.from_bytes(segment[:2], "big"), int.from_bytes(segment[2:4], "big")
    return 0, 0


def _is_fragment(ip: dpkt.ip.IP | dpkt.ip6.IP6) -> bool:
    if isinstance(ip, dpkt.ip.IP):
        return bool(ip.mf or ip.offset)
    header = ip.extension_hdrs.get(FRAGMENT_HEADER)
    return header is not None and bool(header.m_flag or header.frag_off)


def key_of(frame: bytes) -> Key | None:
    """The flow of an Ethernet frame; None for what is not IP."""
    ip = dpkt.ethernet.Ethernet(frame).data
    if not isinstance(ip, dpkt.ip.IP | dpkt.ip6.IP6):
        return None
    proto = ip.p
    ports = (0, 0) if _is_fragment(ip) else _ports(proto, ip.data)
    return flow_key(proto, ip.src, ip.dst, *ports)


def count(path: Path, limit: int) -> FlowCount:
    """Count the first `limit` packets of a capture (0: all)."""
    result = FlowCount()
    with path.open("rb") as file:
        for _, frame in dpkt.pcap.UniversalReader(file):
            result.packets += 1
            result.bytes += len(frame)
            key = key_of(frame)
            if key is not None:
                result.add(key, len(frame))
            if result.packets == limit:
                break
    return result


if __name__ == "__main__":
    main(count)
