"""One AF_XDP socket (XSK): its system calls, and what their errors mean to an operator.

Python's socket module knows no such addresses: bind() goes by the C library. (Documentation/networking/af_xdp.rst)
"""

from __future__ import annotations

import ctypes
import errno
import os
import socket
import struct
from typing import Final, NamedTuple

from zcframe.framework.errors import XdpError
from zcframe.framework.ring import Mapping, Undo, whole_pages

from .refusal import name_of, patiently

AF_XDP: Final = 44
SOL_XDP: Final = 283
MMAP_OFFSETS, RX_RING, UMEM_REG, FILL_RING, COMPLETION_RING, STATISTICS, OPTIONS = 1, 2, 4, 5, 6, 7, 8
SHARED_UMEM, COPY, USE_NEED_WAKEUP = 1, 2, 8
OPTION_ZEROCOPY: Final = 1
NEED_WAKEUP: Final = 1

PGOFF_RX: Final = 0
PGOFF_FILL: Final = 0x1_0000_0000
RX_DESC_SIZE: Final = 16
FILL_DESC_SIZE: Final = 8
# The kernel asks for a completion ring, though nothing is sent.
COMPLETIONS: Final = 64

_libc = ctypes.CDLL(None, use_errno=True)


class Statistics(NamedTuple):
    """struct xdp_statistics: since the socket was made; fill_ring_empty is that of all sockets of one UMEM."""

    rx_dropped: int
    rx_invalid: int
    tx_invalid: int
    rx_ring_full: int
    fill_ring_empty: int
    tx_ring_empty: int

    @property
    def lost(self) -> int:
        """Frames that this socket should have had."""
        return self.rx_dropped + self.rx_ring_full


class KernelRing:
    """A mapped ring of the kernel, `size` entries: addresses of its counters, its flags and its first entry."""

    def __init__(self, mapping: Mapping, offsets: tuple[int, ...], size: int) -> None:
        self.mapping, self.size = mapping, size
        self.producer, self.consumer, self.entries, self.flags = (mapping.address + offset for offset in offsets)

    def counter(self, address: int) -> int:
        """Value of the counter at `producer` or `consumer`: free-running, 32 bits."""
        return int(self.mapping.view("u4", address - self.mapping.address)[0])


class XdpSocket:
    """An XSK, not bound. Raises XdpError where the kernel or a missing capability refuses it.

    Its rings are mapped as they are made, and forks inherit them: before 6.4 a bound socket's cannot be mapped.
    """

    def __init__(self) -> None:
        self._rings: dict[int, KernelRing] = {}
        self._undo = Undo()
        try:
            self._socket = self._undo.closing(socket.socket(AF_XDP, socket.SOCK_RAW, 0))
        except OSError as error:
            raise XdpError(_no_socket(error.errno or 0)) from error

    def fileno(self) -> int:
        return self._socket.fileno()

    def close(self) -> None:
        """Unmap and close, in this order: a ring that is mapped keeps the queue taken."""
        self._undo.close()

    @property
    def memory(self) -> int:
        """Bytes of the rings that are mapped."""
        return sum(whole_pages(ring.mapping.size) for ring in self._rings.values())

    @property
    def rx(self) -> KernelRing:
        """The receive ring, once made."""
        return self._rings[PGOFF_RX]

    @property
    def fill(self) -> KernelRing:
        """The ring by which chunks go back to the kernel, once made."""
        return self._rings[PGOFF_FILL]

    def _set(self, option: int, value: bytes) -> None:
        self._socket.setsockopt(SOL_XDP, option, value)

    def register_umem(self, address: int, size: int, chunk_size: int) -> None:
        """Pin the memory that frames are to lie in. Raises XdpError where it may not be pinned."""
        try:
            self._set(UMEM_REG, struct.pack("=QQIIII", address, size, chunk_size, 0, 0, 0))
        except OSError as error:
            raise XdpError(_no_umem(error.errno or 0, size)) from error

    def make_fill(self, entries: int) -> None:
        """Make the queue's fill ring, on the socket that registered the UMEM."""
        self._set(FILL_RING, struct.pack("=I", entries))
        self._set(COMPLETION_RING, struct.pack("=I", COMPLETIONS))
        self._map(PGOFF_FILL, 2, entries, FILL_DESC_SIZE)

    def make_rx(self, entries: int) -> None:
        """Make the ring by which frames come."""
        self._set(RX_RING, struct.pack("=I", entries))
        self._map(PGOFF_RX, 0, entries, RX_DESC_SIZE)

    def _map(self, place: int, which: int, size: int, entry: int) -> None:
        """Map a ring. The kernel lists rx, tx, fill, completion: producer, consumer, entries, flags of each."""
        words = struct.unpack("=16Q", self._socket.getsockopt(SOL_XDP, MMAP_OFFSETS, 16 * 8))
        offsets = words[4 * which : 4 * which + 4]
        length = offsets[2] + size * entry
        mapping = self._undo.closing(Mapping(self.fileno(), length, writable=True, populate=True, offset=place))
        self._rings[place] = KernelRing(mapping, offsets, size)

    def bind(self, ifname: str, ifindex: int, queue: int, flags: int, umem: XdpSocket | None) -> None:
        """Take a receive queue. umem: the socket of this queue whose UMEM is shared, if any. Raises XdpError."""
        flags, owner = (SHARED_UMEM, umem.fileno()) if umem is not None else (flags | USE_NEED_WAKEUP, 0)
        address = struct.pack("=HHIII", AF_XDP, flags, ifindex, queue, owner)

        def call() -> None:
            if _libc.bind(self.fileno(), address, len(address)):
                raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))

        try:
            patiently(call)
        except OSError as error:
            raise XdpError(_no_queue(error.errno or 0, ifname, queue)) from error

    @property
    def zero_copy(self) -> bool:
        """Whether the driver writes into the UMEM itself, once bound."""
        answer = self._socket.getsockopt(SOL_XDP, OPTIONS, 4)
        return bool(struct.unpack("=I", answer)[0] & OPTION_ZEROCOPY)

    def statistics(self) -> Statistics:
        size = struct.calcsize("=6Q")
        return Statistics._make(struct.unpack("=6Q", self._socket.getsockopt(SOL_XDP, STATISTICS, size)))


def _no_socket(number: int) -> str:
    reasons = {
        errno.EAFNOSUPPORT: "this kernel has no AF_XDP (CONFIG_XDP_SOCKETS): use --backend packet",
        errno.EPERM: "no permission to open an AF_XDP socket: run as root, or with CAP_NET_RAW",
    }
    return reasons.get(number, f"cannot open an AF_XDP socket: {name_of(number)}")


def _no_umem(number: int, size: int) -> str:
    # By these the kernel says that the limit does not suffice.
    if number in (errno.ENOBUFS, errno.ENOMEM):
        return (
            f"no permission to pin {size / 2**20:.0f} MiB a queue: raise RLIMIT_MEMLOCK (ulimit -l), use fewer --queues"
            " or a smaller --ring-slots"
        )
    return f"cannot register {size / 2**20:.0f} MiB of memory for AF_XDP: {name_of(number)}"


def _no_queue(number: int, ifname: str, queue: int) -> str:
    reasons = {
        errno.EBUSY: f"queue {queue} of {ifname} is taken: another AF_XDP socket holds it",
        errno.EPERM: f"no permission to take a queue of {ifname}: run as root, or with CAP_NET_RAW",
        errno.ENODEV: f"there is no interface {ifname}",
        errno.EINVAL: f"{ifname} has no queue {queue}: use fewer --queues",
    }
    return reasons.get(number, f"cannot take queue {queue} of {ifname}: {name_of(number)}")
