"""Shares the packets of a tun out by pair of addresses; prints what each of three sockets saw. Argument: HARDWARE.

Datagrams go out to many addresses, and an answer comes in from each. HARDWARE: the type that the tun shows itself as.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
import struct
import subprocess
import sys

from zcframe.framework.sources.packet.fanout import Group
from zcframe.framework.sources.packet.socket import bind, open_socket

TUNSETIFF, IFF_TUN, IFF_NO_PI, TUNSETLINK = 0x400454CA, 0x1, 0x1000, 0x400454CD
OWN, PEERS, SOCKETS = "192.0.2.1", 60, 3


def main(hardware: int) -> None:
    owner = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(owner, TUNSETIFF, struct.pack("16sH22x", b"t0", IFF_TUN | IFF_NO_PI))
    fcntl.ioctl(owner, TUNSETLINK, hardware)
    for words in (f"addr add {OWN}/24 dev t0", "link set t0 up"):
        subprocess.run(["ip", *words.split()], check=True)
    sockets = [open_socket("t0") for _ in range(SOCKETS)]
    for one in sockets:
        bind(one, "t0")
        one.setblocking(False)
    Group(sockets, "ip-pair").join()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for host in range(2, 2 + PEERS):
            sender.sendto(b"?", (f"192.0.2.{host}", 53))
            packet = os.read(owner, 2048)
            # Addresses and ports change places; no checksum changes by that.
            ends = packet[16:20] + packet[12:16] + packet[22:24] + packet[20:22]
            os.write(owner, packet[:12] + ends + packet[24:])
    print(json.dumps([seen(one) for one in sockets]))


def seen(one: socket.socket) -> list[tuple[str, bool]]:
    """The other end's address of each packet, and whether it went out."""
    found = []
    while True:
        try:
            packet, (_, _, kind, *_) = one.recvfrom(2048)
        except BlockingIOError:
            return found
        out = kind == socket.PACKET_OUTGOING
        found.append((socket.inet_ntoa(packet[16:20] if out else packet[12:16]), out))


main(int(sys.argv[1]))
