"""Sends the frames of a capture as a tap would, each direction on an interface; arguments: FILE ROUNDS PPS IFACE IFACE.

One process sends them all, in their order, and stays on one CPU, so that they arrive in that order, too. Prints how
many it sent. Imports no zcframe.
"""

from __future__ import annotations

import errno
import os
import socket
import sys
import time
from pathlib import Path

import dpkt

BURST = 32
# Where both addresses lie in the frame, by ethertype.
ADDRESSES = {b"\x08\x00": (26, 4), b"\x86\xdd": (22, 16)}


def direction(frame: bytes) -> int:
    """0 from the lower address to the higher one, and without addresses; 1 the other way."""
    at, size = ADDRESSES.get(frame[12:14], (0, 6))
    return int(frame[at : at + size] > frame[at + size : at + 2 * size]) if at else 0


def send(sender: socket.socket, frame: bytes) -> None:
    """Send it once the interface has room for it."""
    while True:
        try:
            sender.send(frame)
            return
        except OSError as error:
            if error.errno != errno.ENOBUFS:
                raise
            time.sleep(1e-3)


def main(file: str, rounds: int, pps: int, *ifnames: str) -> int:
    with Path(file).open("rb") as capture:
        frames = [bytes(frame) for _, frame in dpkt.pcap.UniversalReader(capture)]
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    senders = [socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) for _ in ifnames]
    for sender, ifname in zip(senders, ifnames, strict=True):
        sender.bind((ifname, 0))
    sent = 0
    for frame in frames * rounds:
        if sent % BURST == 0:
            time.sleep(BURST / pps)
        send(senders[direction(frame)], frame)
        sent += 1
    return sent


if __name__ == "__main__":
    name, rounds, pps, *ifnames = sys.argv[1:]
    print(main(name, int(rounds), int(pps), *ifnames))
