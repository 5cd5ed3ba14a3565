"""Promiscuous mode: the card hands up frames for other machines, too, as long as a packet socket asks for it."""

from __future__ import annotations

import socket
import struct
from typing import Final

SOL_PACKET: Final = 263
PACKET_ADD_MEMBERSHIP: Final = 1
PACKET_MR_PROMISC: Final = 1
MEMBERSHIP: Final = struct.Struct("=iHH8x")  # struct packet_mreq


def be_promiscuous(sock: socket.socket, index: int) -> None:
    """Put the interface with this index into promiscuous mode until the packet socket is closed. Raises OSError."""
    sock.setsockopt(SOL_PACKET, PACKET_ADD_MEMBERSHIP, MEMBERSHIP.pack(index, PACKET_MR_PROMISC, 0))


def listen_to_all(index: int) -> socket.socket:
    """The same by a socket of its own, which no frame comes to; the mode ends with it. Raises OSError."""
    holder = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    try:
        be_promiscuous(holder, index)
    except BaseException:
        holder.close()
        raise
    return holder
