"""Sends the frames of a capture on an interface; arguments: IFACE FILE ROUNDS PPS.

ROUNDS 0: until stdin is closed; PPS: so many a second at most, 0: as fast as it goes.

Prints how many frames were sent. Imports no zcframe.
"""

from __future__ import annotations

import itertools
import select
import socket
import sys
import time
from pathlib import Path

import dpkt

BURST = 64


def told_to_stop() -> bool:
    return bool(select.select([sys.stdin], [], [], 0)[0])


def main(ifname: str, file: str, rounds: int, pps: int) -> int:
    with Path(file).open("rb") as capture:
        frames = [bytes(frame) for _, frame in dpkt.pcap.UniversalReader(capture)]
    endless = itertools.chain.from_iterable(itertools.repeat(frames, rounds) if rounds else itertools.repeat(frames))
    sent = 0
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as sender:
        sender.bind((ifname, 0))
        for frame in endless:
            if sent % BURST == 0:
                if not rounds and told_to_stop():
                    break
                # Who was kept waiting does not catch up: that would be a burst.
                time.sleep(BURST / pps if pps else 0)
            sender.send(frame)
            sent += 1
    return sent


if __name__ == "__main__":
    print(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])))
