"""A VLAN sub-interface in user space: a TAP whose frames carry 802.1Q / 802.1ad tags on a parent interface.

    vlan_port.py PARENT NAME TPID:VID [TPID:VID]      outer tag first, e.g. 88a8:200 8100:30

The kernel's own sub-interfaces need a module (8021q) that test machines often lack. Prints "ready" once NAME exists.
"""

from __future__ import annotations

import errno
import fcntl
import os
import select
import socket
import struct
import sys

TUNSETIFF = 0x400454CA
IFF_TAP = 0x0002
IFF_NO_PI = 0x1000

ETH_P_ALL = 0x0003
SOL_PACKET = 263
PACKET_AUXDATA = 8
PACKET_OUTGOING = 4
AUXDATA = struct.Struct("=IIIHHHH")  # struct tpacket_auxdata: status, len, snaplen, mac, net, vlan_tci, vlan_tpid
TP_STATUS_VLAN_VALID = 1 << 4

MAX_FRAME = 65536
VID_MASK = 0x0FFF


def parse_tag(text: str) -> bytes:
    """Four bytes as on the wire from TPID:VID, e.g. "8100:100" (TPID hex, VID decimal)."""
    tpid, vid = text.split(":")
    return struct.pack("!HH", int(tpid, 16), int(vid))


def open_tap(name: str) -> int:
    tap = os.open("/dev/net/tun", os.O_RDWR | os.O_CLOEXEC)
    fcntl.ioctl(tap, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TAP | IFF_NO_PI))
    return tap


def open_trunk(parent: str) -> socket.socket:
    trunk = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    trunk.bind((parent, ETH_P_ALL))
    trunk.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
    return trunk


def receive(trunk: socket.socket) -> bytes:
    """One frame as it was on the wire, b"" for what we sent: the kernel hands the outer tag beside the data."""
    frame, ancillary, _, sender = trunk.recvmsg(MAX_FRAME, socket.CMSG_SPACE(AUXDATA.size))
    if sender[2] == PACKET_OUTGOING:
        return b""
    for level, kind, data in ancillary:
        if (level, kind) == (SOL_PACKET, PACKET_AUXDATA):
            status, _, _, _, _, tci, tpid = AUXDATA.unpack_from(data)
            if status & TP_STATUS_VLAN_VALID:
                return frame[:12] + struct.pack("!HH", tpid, tci & VID_MASK) + frame[12:]
    return frame


def deliver(tap: int, frame: bytes) -> None:
    """Hand a frame to the TAP; while that is down it drops the frame, as any interface would."""
    try:
        os.write(tap, frame)
    except OSError as error:
        if error.errno != errno.EIO:
            raise


def pump(tap: int, trunk: socket.socket, tags: bytes) -> None:
    end_of_tags = 12 + len(tags)
    while True:
        ready, _, _ = select.select([tap, trunk.fileno()], [], [])
        if tap in ready:
            frame = os.read(tap, MAX_FRAME)
            trunk.send(frame[:12] + tags + frame[12:])
        if trunk.fileno() in ready:
            frame = receive(trunk)
            if frame[12:end_of_tags] == tags:
                deliver(tap, frame[:12] + frame[end_of_tags:])


def main(parent: str, name: str, *tags: str) -> None:
    tap, trunk = open_tap(name), open_trunk(parent)
    print("ready", flush=True)
    pump(tap, trunk, b"".join(parse_tag(tag) for tag in tags))


if __name__ == "__main__":
    main(*sys.argv[1:])
