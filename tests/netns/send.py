"""Sends the frames of a capture as they are: python send.py IFACE FILE LOOPS PACE"""

from __future__ import annotations

import socket
import sys
import time

import dpkt


def main(iface: str, path: str, loops: str, pace: str) -> None:
    with open(path, "rb") as file:
        frames = [data for _, data in dpkt.pcap.UniversalReader(file)]
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as sender:
        sender.bind((iface, 0))
        for _ in range(int(loops)):
            for frame in frames:
                sender.send(frame)
                if float(pace):
                    time.sleep(float(pace))


main(*sys.argv[1:])
