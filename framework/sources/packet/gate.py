"""Which frames come to a socket: none, what this machine receives, all, or all once."""

from __future__ import annotations

import socket
from contextlib import suppress
from typing import Final

from zcframe.framework.nic.link.hardware import ARPHRD_CAN, ARPHRD_LOOPBACK

from .classic_bpf import HARDWARE, IF_EQUAL, LOAD_WORD, OUTGOING, PACKET_TYPE, RETURN, plain
from .socket import SO_ATTACH_FILTER, SO_DETACH_FILTER, Instruction, set_program

WHOLE: Final = 0xFFFF_FFFF
NONE: Final[list[Instruction]] = [plain(RETURN, 0)]
# A program, since Linux 6.1 accepts PACKET_FANOUT_FLAG_IGNORE_OUTGOING for a group and ignores nothing.
RECEIVED: Final[list[Instruction]] = [
    plain(LOAD_WORD, PACKET_TYPE),
    (IF_EQUAL, 0, 1, OUTGOING),
    plain(RETURN, 0),
    plain(RETURN, WHOLE),
]
# What goes out by the loopback interface, or to a CAN bus, the kernel shows again coming in. (libpcap, pcap-linux.c)
ONCE: Final[list[Instruction]] = [
    plain(LOAD_WORD, PACKET_TYPE),
    (IF_EQUAL, 0, 4, OUTGOING),
    plain(LOAD_WORD, HARDWARE),
    (IF_EQUAL, 1, 0, ARPHRD_LOOPBACK),
    (IF_EQUAL, 0, 1, ARPHRD_CAN),
    plain(RETURN, 0),
    plain(RETURN, WHOLE),
]


def shut(sock: socket.socket) -> None:
    """Have the socket drop all frames before they count."""
    set_program(sock, socket.SOL_SOCKET, SO_ATTACH_FILTER, NONE)


def open_for_received(sock: socket.socket) -> None:
    """Let in frames from the wire, and none that this machine sends."""
    set_program(sock, socket.SOL_SOCKET, SO_ATTACH_FILTER, RECEIVED)


def open_for_all_once(sock: socket.socket) -> None:
    """Let in frames of both directions of every interface, each once for each interface that it passes."""
    set_program(sock, socket.SOL_SOCKET, SO_ATTACH_FILTER, ONCE)


def open_for_all(sock: socket.socket) -> None:
    """Let in frames of both directions."""
    # There may be no filter to take off.
    with suppress(FileNotFoundError):
        sock.setsockopt(socket.SOL_SOCKET, SO_DETACH_FILTER, 0)
