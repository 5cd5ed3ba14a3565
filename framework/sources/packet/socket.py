"""System calls of packet sockets, and what their errors mean to an operator."""

from __future__ import annotations

import ctypes
import errno
import os
import socket
import struct
from collections.abc import Sequence
from typing import Final

from zcframe.framework.capabilities import STATUS, advice
from zcframe.framework.config import ANY
from zcframe.framework.errors import PacketError, RingError
from zcframe.framework.nic.link.hardware import link_type_of

ETH_P_ALL: Final = 0x0003
SOL_PACKET: Final = 263
PACKET_RX_RING: Final = 5
PACKET_STATISTICS: Final = 6
PACKET_VERSION: Final = 10
PACKET_FANOUT: Final = 18
PACKET_FANOUT_DATA: Final = 22
TPACKET_V3: Final = 2
SO_ATTACH_FILTER: Final = 26
SO_DETACH_FILTER: Final = 27

RING_REQUEST: Final = struct.Struct("7I")  # struct tpacket_req3
STATISTICS: Final = struct.Struct("3I")  # struct tpacket_stats_v3
PROGRAM: Final = struct.Struct("@HP")  # struct sock_fprog
INSTRUCTION: Final = struct.Struct("HBBI")  # struct sock_filter
ADDRESS: Final = struct.Struct("=HHiHBB8x")  # struct sockaddr_ll

# What the kernel divides a ring into; in version 3 it is only checked.
FRAME_SIZE: Final = 2048

Instruction = tuple[int, int, int, int]

_libc = ctypes.CDLL(None, use_errno=True)


def open_socket(ifname: str) -> socket.socket:
    """A socket that no frame comes to yet. Raises PacketError; ifname: for its message."""
    try:
        return socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    except PermissionError:
        raise PacketError(
            f"no permission to capture from {ifname}: CAP_NET_RAW is missing; {advice(STATUS.read_text(), 'packet')}"
        ) from None
    except OSError as error:
        if error.errno in (errno.EMFILE, errno.ENFILE):
            limit = "raise the limit (ulimit -n), or use fewer --queues"
            raise PacketError(f"cannot open a packet socket for {ifname}: {error.strerror}; {limit}") from error
        if error.errno != errno.EAFNOSUPPORT:
            raise PacketError(f"cannot open a packet socket for {ifname}: {error.strerror}") from error
        raise PacketError("this kernel has no packet sockets: modprobe af_packet, or set CONFIG_PACKET") from None


def make_blocks(sock: socket.socket, size: int, count: int, retire_ms: int) -> None:
    """Have the kernel make the ring: `count` blocks of `size` bytes, handed over `retire_ms` after their first frame.

    Raises RingError where memory does not suffice.
    """
    sock.setsockopt(SOL_PACKET, PACKET_VERSION, TPACKET_V3)
    request = RING_REQUEST.pack(size, count, FRAME_SIZE, count * size // FRAME_SIZE, retire_ms, 0, 0)
    try:
        sock.setsockopt(SOL_PACKET, PACKET_RX_RING, request)
    except OSError as error:
        raise RingError(
            f"no packet ring of {size * count / 2**20:.1f} MiB: {error.strerror}; use fewer --queues or a smaller"
            " --ring-slots"
        ) from error


def _bind_to_all(sock: socket.socket) -> None:
    """Have the frames of every interface come, of those too that there will be. Python's own bind() needs a name."""
    address = ADDRESS.pack(socket.AF_PACKET, socket.htons(ETH_P_ALL), 0, 0, 0, 0)
    if _libc.bind(sock.fileno(), address, len(address)):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def bind(sock: socket.socket, ifname: str) -> None:
    """Have all frames of an interface, or of ANY, come, both directions. Raises PacketError, LinkTypeError."""
    try:
        if ifname == ANY:
            _bind_to_all(sock)
            return
        sock.bind((ifname, ETH_P_ALL))
    except OSError as error:
        reason = "there is no interface" if error.errno == errno.ENODEV else f"{error.strerror}:"
        raise PacketError(f"cannot capture: {reason} {ifname}") from error
    # What was looked at by name before may be another interface by now.
    link_type_of(ifname, int(sock.getsockname()[3]))


def statistics(sock: socket.socket) -> tuple[int, int]:
    """(arrived, of these dropped for want of room) since the last call."""
    arrived, dropped, _ = STATISTICS.unpack(sock.getsockopt(SOL_PACKET, PACKET_STATISTICS, STATISTICS.size))
    return arrived, dropped


def set_program(sock: socket.socket, level: int, option: int, program: Sequence[Instruction]) -> None:
    """Hand a program of classic BPF to the kernel, which copies it."""
    code = ctypes.create_string_buffer(b"".join(INSTRUCTION.pack(*one) for one in program))
    sock.setsockopt(level, option, PROGRAM.pack(len(program), ctypes.addressof(code)))


def clear_error(sock: socket.socket) -> None:
    """Forget that the interface went down, which poll() would go on telling."""
    sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
