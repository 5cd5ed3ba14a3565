"""Live loop on pcapy-ng that parses: python -m benchmarks.peers.live_pcapy IFACE BUFFER_BYTES TIMEOUT_MS"""

from __future__ import annotations

import select
import sys

import pcapy

from .live import SNAPLEN, Parsed


def main(iface: str, buffer: str, timeout: str) -> None:
    parsed = Parsed()
    pcap = pcapy.create(iface)
    pcap.set_snaplen(SNAPLEN)
    pcap.set_buffer_size(int(buffer))
    pcap.set_timeout(int(timeout))
    pcap.activate()
    pcap.setnonblock(1)
    parsed.begin()
    while True:
        select.select([pcap.getfd()], [], [], 0.2)
        pcap.dispatch(-1, lambda header, frame: parsed.take(frame))


main(*sys.argv[1:])
