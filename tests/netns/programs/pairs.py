"""Shares the frames of a capture out by pair of addresses, both ways; prints what pairs each of three sockets saw.

Arguments: FILE, in a namespace with the veth near and far.
"""

from __future__ import annotations

import json
import socket
import sys

import dpkt

from zcframe.framework.sources.packet.fanout import Group
from zcframe.framework.sources.packet.socket import bind, open_socket

LARGEST = 1 << 16
SO_RCVBUFFORCE = 33


def pair_of(frame: bytes) -> str | None:
    """Both addresses of a frame, the smaller one first; None for what is no IP."""
    at = 14
    while frame[at - 2 : at] in (b"\x81\x00", b"\x88\xa8"):
        at += 4
    if frame[at - 2 : at] == b"\x08\x00":
        return min(frame[at + 12 : at + 20].hex(), (frame[at + 16 : at + 20] + frame[at + 12 : at + 16]).hex())
    if frame[at - 2 : at] == b"\x86\xdd":
        return min(frame[at + 8 : at + 40].hex(), (frame[at + 24 : at + 40] + frame[at + 8 : at + 24]).hex())
    return None


def main(path: str) -> None:
    sockets = [open_socket("near") for _ in range(3)]
    for one in sockets:
        one.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 1 << 28)
        bind(one, "near")
        one.setblocking(False)
    Group(sockets, "ip-pair").join()
    with open(path, "rb") as file:
        frames = [data for _, data in dpkt.pcap.UniversalReader(file)]
    for iface in ("near", "far"):
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as sender:
            sender.bind((iface, 0))
            for frame in frames:
                sender.send(frame)
    print(json.dumps([sorted(seen(one)) for one in sockets]))


def seen(one: socket.socket) -> set[str]:
    found = set()
    while True:
        try:
            pair = pair_of(one.recv(LARGEST))
        except BlockingIOError:
            return found
        if pair is not None:
            found.add(pair)


main(sys.argv[1])
