"""Live loop on scapy's sniff, which dissects: python -m benchmarks.peers.live_scapy IFACE"""

from __future__ import annotations

import sys

from scapy.layers import inet, l2  # noqa: F401  (what dissects Ethernet, IP and UDP)
from scapy.packet import Packet
from scapy.sendrecv import sniff

from .live import Parsed


def main(iface: str) -> None:
    parsed = Parsed()

    def take(_: Packet) -> None:
        parsed.packets += 1

    sniff(iface=iface, prn=take, store=False, started_callback=parsed.begin)


main(*sys.argv[1:])
