"""Live loop on cypcap that parses: python -m benchmarks.peers.live_cypcap IFACE BUFFER_BYTES TIMEOUT_MS"""

from __future__ import annotations

import select
import sys

import cypcap

from .live import SNAPLEN, Parsed


def main(iface: str, buffer: str, timeout: str) -> None:
    parsed = Parsed()
    pcap = cypcap.create(iface)
    pcap.set_snaplen(SNAPLEN)
    pcap.set_buffer_size(int(buffer))
    pcap.set_timeout(int(timeout))
    pcap.activate()
    pcap.setnonblock(True)
    parsed.begin()
    while True:
        select.select([pcap.get_selectable_fd()], [], [], 0.2)
        pcap.dispatch(-1, lambda header, frame: parsed.take(frame))


main(*sys.argv[1:])
