"""A ring that its own worker fills, for frames that the kernel leaves in memory of another layout.

Header, descriptors, user's page and the puller's notes are memory of ours, and outlive the worker; the frames stay
where the kernel put them, and descriptors say where. A worker that writes there can harm only its own share of the
run.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from zcframe.framework import abi
from zcframe.framework.rss.spread import Spread

from .mapping import Mapping, make_memory
from .puller import Puller
from .receive import NAP_S, RingEnd, check_slots, make_header, ring_size, whole_pages
from .undo import Undo

EVERY_BUCKET: Sequence[int] = range(abi.RETA_SIZE + 1)


class PulledRing:
    """Base of every such ring; a source's own class adds `consumer()`, `account()` and its socket.

    A class puts what it takes itself on `_undo`: that is given back first.

    longest: bytes of a frame that a worker may read at most; notes: bytes of memory in which the puller keeps how far
    it is. Raises RingError where memory does not suffice.
    """

    buckets = EVERY_BUCKET
    spread: Spread | None = None
    turn: tuple[int, int] | None = None

    def __init__(self, queue: int, slots: int, ifname: str, *, domain: int, longest: int, notes: int) -> None:
        self.ifname, self.queue, self.slots, self.domain = ifname, queue, check_slots(slots), domain
        self._notes_size = whole_pages(notes)
        with Undo() as undo:
            self._ring_fd = undo.fd(make_memory(f"zc-ring-{queue}", ring_size(slots)))
            self._user_fd = undo.fd(make_memory(f"zc-user-{queue}", abi.PAGE_SIZE))
            self._notes_fd = undo.fd(make_memory(f"zc-notes-{queue}", self._notes_size))
            self.wake_fd = undo.fd(os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK))
            os.pwrite(self._ring_fd, make_header(queue, slots, ifname, longest), 0)
            self._books = undo.closing(Mapping(self._ring_fd, abi.PAGE_SIZE, writable=True))
            self._undo = undo.pop_all()

    @property
    def memory(self) -> int:
        """Bytes of what is ours; a source's own class adds those of the frames."""
        return ring_size(self.slots) + abi.PAGE_SIZE + self._notes_size

    @property
    def counters(self) -> np.ndarray[Any, Any]:
        """The header, RING_HEADER, writable, for the kernel's counts of arrivals and losses."""
        return self._books.view(abi.RING_HEADER)

    @property
    def refused(self) -> tuple[int, int]:
        """None, where a source does not filter."""
        return 0, 0

    def notes(self) -> Mapping:
        """The puller's memory, zeroed when the ring was made."""
        return Mapping(self._notes_fd, self._notes_size, writable=True, populate=True)

    def end(self, buffer: Mapping, poll_fd: int, puller: Callable[[RingEnd], Puller], nap_s: float = NAP_S) -> RingEnd:
        """The worker's end. buffer: where descriptors' offsets count from; puller: makes its `pull`, see RingEnd."""
        ring = Mapping(self._ring_fd, ring_size(self.slots), writable=True, populate=True)
        user = Mapping(self._user_fd, abi.PAGE_SIZE, writable=True, populate=True)
        end = RingEnd(ring, user, buffer, self.wake_fd, poll_fd, nap_s=nap_s)
        end.pull = puller(end)
        return end

    def observer(self) -> Mapping:
        """Map the header page alone, read-only."""
        return Mapping(self._ring_fd, abi.PAGE_SIZE, writable=False)

    def close(self) -> None:
        """Give the memory back; may be called again."""
        self._undo.close()
