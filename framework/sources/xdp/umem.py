"""The memory that one receive queue's frames lie in: chunks, which go round between the kernel and the workers.

A chunk is at any moment in one place: in the kernel's hands or its fill ring, in a socket's receive ring, or behind a
descriptor that its worker has not given back. There are so many that workers which stand still, with their descriptors
and receive rings full, leave a quarter of them to the kernel: a worker that sleeps does not starve the others.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from zcframe.framework import abi
from zcframe.framework.errors import XdpError
from zcframe.framework.ring import Mapping, Undo, make_memory, seal_writes
from zcframe.framework.ring.large import make_large_memory

# The kernel keeps so many bytes in front of each frame for XDP programs.
HEADROOM: Final = 256
# Ethernet header and two VLAN tags.
LINK_HEADER: Final = 14 + 2 * 4
SMALL, LARGE = abi.BLOCK_SIZE, abi.PAGE_SIZE

# For each slot of a worker: entries of its receive ring, chunks.
RX_SLOTS: Final = 2
CHUNKS: Final = 4
# Descriptors tell a frame's place in 32 bits.
MAX_SIZE: Final = 1 << 32


def rx_size(slots: int) -> int:
    """Entries of a worker's receive ring."""
    return RX_SLOTS * slots


def chunk_size_for(ifname: str, mtu: int) -> int:
    """Bytes of a chunk that takes every frame of this MTU. Raises XdpError where a page would not do."""
    for size in (SMALL, LARGE):
        if mtu + LINK_HEADER <= size - HEADROOM:
            return size
    most = LARGE - HEADROOM - LINK_HEADER
    raise XdpError(
        f"the MTU of {ifname} is {mtu}, and a frame has to fit a page: ip link set {ifname} mtu {most}, or use"
        " --backend packet"
    )


class Umem:
    """Chunks for `workers` of `slots` each, and the page by which they agree who writes the fill ring.

    longest: bytes of a frame at most. Raises XdpError, and RingError where memory does not suffice.
    """

    def __init__(self, queue: int, workers: int, slots: int, chunk_size: int) -> None:
        self.chunk_size, self.chunks = chunk_size, workers * slots * CHUNKS
        self.size, self.longest = self.chunks * chunk_size, chunk_size - HEADROOM
        # A ring of the kernel's is a power of two; it has room for every chunk there is.
        self.fill_size = 1 << (self.chunks - 1).bit_length()
        if self.size > MAX_SIZE:
            raise XdpError(f"{workers} workers on one queue with --ring-slots {slots}: use fewer of either")
        with Undo() as undo:
            # In huge pages where they are to be had: each frame lies in a chunk of its own, and most in a page that the
            # worker has not touched for long.
            self._memory = make_large_memory(f"zc-umem-{queue}", self.size)
            self._fd = undo.fd(self._memory.fd)
            self._guard_fd = undo.fd(make_memory(f"zc-guard-{queue}", abi.PAGE_SIZE))
            self.address = undo.closing(self._memory.map(writable=True)).address
            # The kernel writes by its pins; nobody else may write.
            seal_writes(self._fd)
            self._undo = undo.pop_all()

    @property
    def memory(self) -> int:
        """Bytes of the chunks, which are pinned once a socket has them, and of the page beside them."""
        return self.size + abi.PAGE_SIZE

    def addresses(self) -> np.ndarray[Any, np.dtype[np.uint64]]:
        """Where each chunk begins, as the fill ring takes it: uint64, shape (chunks,)."""
        return np.arange(self.chunks, dtype=np.uint64) * np.uint64(self.chunk_size)

    def map_chunks(self) -> Mapping:
        """Map the chunks as a worker does: read-only."""
        return self._memory.map(writable=False, populate=True)

    def map_guard(self) -> Mapping:
        """Map the page with the word GUARD_OWNER (pull.py)."""
        return Mapping(self._guard_fd, abi.PAGE_SIZE, writable=True, populate=True)

    def close(self) -> None:
        """Give the memory back; may be called again."""
        self._undo.close()
