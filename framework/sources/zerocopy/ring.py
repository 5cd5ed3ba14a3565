"""A ring of the kernel: a bound socket, and the memory that the card writes into."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Sequence

from zcframe.framework import abi
from zcframe.framework.nic.cards.family import bind, open_socket, register_buffer, set_slots, set_wake
from zcframe.framework.ring import Mapping, RingEnd, Undo, make_memory, ring_size, seal_writes
from zcframe.framework.rss.spread import Spread
from zcframe.framework.sources.plan import LivePlan

# A sleeping worker is woken when this part of its ring is full, or this long after the first frame. A wake-up for each
# frame costs more than all other work of the kernel for it (docs/benchmarks.md).
WAKE_FRACTION = 4
WAKE_USECS = 10_000


class SocketRing:
    """A receive queue of `ifname`, which serves `buckets`. The supervisor opens, registers and binds it.

    spread: where the card sends frames, for a run that compares it with where they come.
    Raises ZerocopyError, and RingError where memory does not suffice.
    """

    refused = (0, 0)

    def __init__(self, family: int, plan: LivePlan, queue: int, buckets: Sequence[int], spread: Spread | None) -> None:
        self.ifname, self.queue, self.slots, self.buckets = plan.ifname, queue, plan.ring_slots, buckets
        # All queues of a card share out its buckets.
        self.domain = plan.first
        self.spread = spread
        self.turn: tuple[int, int] | None = None
        self._family = family
        size = self.slots * abi.BLOCK_SIZE
        with Undo() as undo:
            self._socket = undo.closing(open_socket(family))
            self.wake_fd = undo.fd(os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK))
            self._buffer_fd = undo.fd(make_memory(f"zc-buffer-{queue}", size, huge=plan.hugepages))
            set_slots(self._socket, self.slots)
            set_wake(self._socket, self.slots // WAKE_FRACTION, WAKE_USECS)
            buffer = undo.closing(Mapping(self._buffer_fd, size, writable=True))
            register_buffer(self._socket, buffer.address, size)
            # The card writes by its pins; nobody else may write.
            seal_writes(self._buffer_fd)
            # The queue goes back first: the card must not write into memory that is no longer mapped.
            undo.closing(self._socket)
            self._undo = undo.pop_all()

    def bind(self) -> None:
        """Take the queue."""
        bind(self._socket, self._family, self.ifname, self.queue)

    def shut(self) -> None:
        """Let no more frames come, where the device is still there; those that have come stay."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RD)

    @property
    def memory(self) -> int:
        """With the User Buffer, which is pinned."""
        return ring_size(self.slots) + abi.PAGE_SIZE + os.fstat(self._buffer_fd).st_size

    @property
    def poll_fd(self) -> int:
        """The socket: POLLIN where frames wait, POLLERR and POLLHUP once the device is gone."""
        return self._socket.fileno()

    def _header(self) -> Mapping:
        return Mapping(self.poll_fd, abi.PAGE_SIZE, writable=False, offset=abi.PGOFF_RING)

    def consumer(self) -> RingEnd:
        """Map as a worker does: the user's page writable, all else read-only."""
        header = self._header()
        described = header.view(abi.RING_HEADER)
        size = int(described["desc_offset"][0]) + self.slots * int(described["desc_size"][0])
        user_size = int(described["user_size"][0])
        ring = Mapping(self.poll_fd, -(-size // abi.PAGE_SIZE) * abi.PAGE_SIZE, writable=False, offset=abi.PGOFF_RING)
        user = Mapping(self.poll_fd, user_size, writable=True, offset=abi.PGOFF_USER)
        buffer = Mapping(self._buffer_fd, self.slots * abi.BLOCK_SIZE, writable=False, populate=True)
        return RingEnd(ring, user, buffer, self.wake_fd, self.poll_fd)

    def observer(self) -> Mapping:
        """Map the header page alone, read-only. The ring is bound."""
        return self._header()

    def account(self) -> None:
        """Nothing to do: the kernel counts."""

    def close(self) -> None:
        """Give queue, pins and memory back, once the last worker's mapping is gone, too."""
        self._undo.close()
