"""A tun, which has no Ethernet header: IP packets come in from its owner, and go out to it; arguments: NAME FILE [OPTION=N...].

What comes in are the IP packets of a capture, without their Ethernet headers; what goes out are datagrams of a socket.
Says "ready" once it is up; sends all at a line of stdin, says "sent", and ends when stdin is closed. Options: hardware
(the type that it shows itself as), queues, info (1: the protocol stands in front of each packet), vnet (1: the last packet
that comes in is left for the card to cut into segments, and is long). Imports no zcframe.
"""

from __future__ import annotations

import fcntl
import os
import socket
import struct
import subprocess
import sys
from pathlib import Path

from tests.kit import reference

TUNSETIFF, TUNSETLINK, TUNSETVNETHDRSZ, TUNSETOFFLOAD = 0x400454CA, 0x400454CD, 0x400454D8, 0x400454D0
IFF_TUN, IFF_NO_PI, IFF_MULTI_QUEUE, IFF_VNET_HDR = 0x1, 0x1000, 0x100, 0x4000
GSO_TCPV4 = 1
NEEDS_CHECKSUM = 1
OWN, PEER, OUTGOING = "192.0.2.1", "192.0.2.9", 7
# Is in the last packet of all.
LAST = b"there is nothing behind this"
IP = (b"\x08\x00", b"\x86\xdd")


def long_packet() -> bytes:
    """A TCP segment of 30,000 bytes, to be cut by the card."""
    addresses = socket.inet_aton("198.51.100.7") + socket.inet_aton("203.0.113.9")
    tcp = struct.pack("!HHIIBBHHH", 4711, 443, 1, 1, 0x50, 0x10, 1000, 0, 0) + bytes(30_000)
    return struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(tcp), 1, 0, 64, 6, 0) + addresses + tcp


def made(name: str, options: dict[str, int]) -> list[int]:
    queues = options.get("queues", 1)
    flags = IFF_TUN | (0 if options.get("info") else IFF_NO_PI) | (IFF_MULTI_QUEUE if queues > 1 else 0)
    flags |= IFF_VNET_HDR if options.get("vnet") else 0
    fds = [os.open("/dev/net/tun", os.O_RDWR) for _ in range(queues)]
    for fd in fds:
        fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH22x", name.encode(), flags))
    if "hardware" in options:
        fcntl.ioctl(fds[0], TUNSETLINK, options["hardware"])
    for words in (f"addr add {OWN}/24 dev {name}", f"link set {name} up"):
        subprocess.run(["ip", *words.split()], check=True)
    return fds


def put(fd: int, frame: bytes, options: dict[str, int]) -> None:
    """One packet, behind whatever the tun was made to ask for."""
    packet, front = frame[14:], b""
    if options.get("info"):
        front += bytes(2) + frame[12:14]
    if options.get("vnet"):
        gso = len(packet) > 20_000
        fields = (NEEDS_CHECKSUM, GSO_TCPV4, 40, 1400, 20, 16) if gso else (0,) * 6
        front += struct.pack("=BBHHHH", *fields)
    os.write(fd, front + packet)


def main(name: str, file: str, *given: str) -> None:
    options = {key: int(value) for key, _, value in (one.partition("=") for one in given)}
    fds = made(name, options)
    frames = [packet.frame for packet in reference.read(Path(file)).packets if packet.frame[12:14] in IP]
    frames += [bytes(12) + IP[0] + long_packet()] if options.get("vnet") else []
    print("ready", flush=True)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, name.encode())
        for _ in sys.stdin:
            for i, frame in enumerate(frames):
                put(fds[i % len(fds)], frame, options)
            for text in (*map(bytes, range(OUTGOING)), LAST):
                sender.sendto(text, (PEER, 53))
            print("sent", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
