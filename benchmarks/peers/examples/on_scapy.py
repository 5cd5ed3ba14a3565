"""The tasks of the worked examples on scapy.

    python -m benchmarks.peers.examples.on_scapy TASK FILE [PACKETS]

Dissects only what the job needs, as scapy's manual advises for speed (conf.layers.filter).
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any

from scapy.config import conf
from scapy.layers.inet import IP, TCP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Dot1Q, Ether
from scapy.utils import PcapReader

from .task import ACK, SYN, Gaps, main, request, server_name


def _ends(ip: Any, tcp: Any) -> tuple[str, str, int, int]:
    """Client and server of a SYN-ACK."""
    return ip.dst, ip.src, tcp.dport, tcp.sport


def _run(task: str, path: Path, limit: int) -> tuple[int, set[str]]:
    conf.layers.filter([Ether, Dot1Q, IP, IPv6, TCP])
    keys, packets, gaps = set[str](), 0, Gaps()
    targets: dict[str, set[tuple[str, int]]] = defaultdict(set)
    asked: dict[tuple[str, str, int, int], float] = {}
    with PcapReader(str(path)) as reader:
        for packet in reader:
            packets += 1
            if TCP in packet:
                tcp: Any = packet[TCP]
                ip: Any = tcp.underlayer
                kind = int(tcp.flags) & (SYN | ACK)
                if task == "tls_names":
                    keys.add(server_name(bytes(tcp.payload)))
                elif task == "http":
                    keys.add(request(bytes(tcp.payload)))
                elif task == "scans" and kind == SYN:
                    targets[ip.src].add((ip.dst, tcp.dport))
                elif task == "beacons" and kind == SYN:
                    gaps.add((ip.src, ip.dst, tcp.dport), float(packet.time))
                elif task == "handshakes" and kind == SYN:
                    asked[ip.src, ip.dst, tcp.sport, tcp.dport] = float(packet.time)
                elif task == "handshakes" and kind == SYN | ACK and _ends(ip, tcp) in asked:
                    keys.add(str(tcp.sport))
            if packets == limit:
                break
    return packets, (keys | targets.keys() | gaps.keys) - {""}


if __name__ == "__main__":
    main(_run)
