"""One receive ring: descriptors, blocks and the user's page, in the layout of pf_zerocopy.h.

The supervisor makes it; the producer (the software NIC here, the kernel on the 82576) maps the descriptors and blocks
writable and the user's page read-only; a worker maps them the other way round. After `seal()` nobody else can get a
writable mapping of the producer's part.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, Final, NamedTuple, Protocol

import numpy as np

from zcframe.framework import abi
from zcframe.framework.errors import RingError
from zcframe.framework.rss.spread import Spread

from .mapping import Mapping, make_memory, seal_writes
from .puller import Puller
from .undo import Undo

NAP_S: Final = 100e-6


def make_header(
    queue: int, slots: int, ifname: str, block_size: int = abi.BLOCK_SIZE, buffer_size: int | None = None
) -> bytes:
    """The header of a fresh receive ring, RING_HEADER.

    block_size: bytes of a frame that a worker may read at most. buffer_size: bytes that offsets may point into; None:
    a block of the usual size for each slot.
    """
    header = np.zeros(1, abi.RING_HEADER)
    header["magic"], header["version"] = abi.MAGIC, abi.VERSION
    header["header_size"], header["desc_size"] = abi.RING_HEADER.itemsize, abi.DESC_SIZE
    header["desc_offset"], header["slots"] = abi.PAGE_SIZE, slots
    header["block_size"], header["queue"] = block_size, queue
    header["direction"], header["user_size"] = abi.DIR_RX, abi.PAGE_SIZE
    header["buffer_size"] = slots * abi.BLOCK_SIZE if buffer_size is None else buffer_size
    header["state"] = abi.STATE_RUNNING
    header["ifname"] = ifname.encode()
    return header.tobytes()


def check_slots(slots: int) -> int:
    """`slots`, if a ring can have so many. Raises RingError."""
    if slots & (slots - 1) or not abi.MIN_SLOTS <= slots <= abi.MAX_SLOTS:
        raise RingError(f"{slots} ring slots: a power of two from {abi.MIN_SLOTS} to {abi.MAX_SLOTS} is needed")
    return slots


def whole_pages(size: int) -> int:
    """Bytes of the pages that `size` bytes lie in."""
    return -(-size // abi.PAGE_SIZE) * abi.PAGE_SIZE


def ring_size(slots: int) -> int:
    """Bytes of header page and descriptors, in whole pages."""
    return abi.PAGE_SIZE + whole_pages(slots * abi.DESC_SIZE)


class RingEnd:
    """One side's view of a ring: addresses for compiled code, `header` (RING_HEADER) and `user` (USER_PAGE) for Python.

    pull: what brings frames where no producer fills the ring, set by whoever knows how.
    nap_s: seconds that a worker sleeps after it found many frames again and again: a nap costs less than a wake-up by
    the producer. The ring has room for the frames of that time. patience_ns: before that it lets other processes of its
    CPU run, where that does not take longer; see jit/waiting.py. naps_from: of a ring with `pull`, how many frames must
    have come since the last sleep for a nap: a few, where the worker's own clock gives frames their time, are not late.
    inherited: mappings of the supervisor that this end uses as well, which a worker has by its fork.
    Raises RingError where the header is not of an ABI that this version knows.
    """

    def __init__(
        self,
        ring: Mapping,
        user: Mapping,
        buffer: Mapping,
        wake_fd: int,
        poll_fd: int,
        *,
        nap_s: float = NAP_S,
        patience_ns: int = 0,
    ) -> None:
        self._mappings = (ring, user, buffer)
        self.nap_s, self.patience_ns = nap_s, patience_ns
        self.naps_from = 1
        self.pull: Puller | None = None
        self.inherited: tuple[Mapping, ...] = ()
        self.header: np.ndarray[Any, Any] = ring.view(abi.RING_HEADER)
        self.user: np.ndarray[Any, Any] = user.view(abi.USER_PAGE)
        found = int(self.header["magic"][0]), int(self.header["version"][0])
        if found != (abi.MAGIC, abi.VERSION):
            raise RingError(f"ring of an unknown ABI: magic {found[0]:#x}, version {found[1]}; this is {abi.VERSION}")
        self.queue = int(self.header["queue"][0])
        self.slots = int(self.header["slots"][0])
        self.header_address = ring.address
        self.desc_address = ring.address + int(self.header["desc_offset"][0])
        self.user_address = user.address
        self.block_address = buffer.address
        self.wake_fd, self.poll_fd = wake_fd, poll_fd

    def close(self) -> None:
        del self.header, self.user
        for mapping in self._mappings:
            mapping.close()


class ReceiveRing(Protocol):
    """A ring that a worker reads. The supervisor owns it; a fork inherits its descriptors.

    queue: of the interface `ifname`. wake_fd: an eventfd by which the supervisor wakes the worker.
    buckets: numbers from 0 to 128 whose frames may come on this ring. domain: rings of one domain share out the
    buckets, so that no two of them have a bucket in common; rings of different domains have a state of their own for
    each. spread: the settings against which the worker verifies each frame; None: it verifies nothing. memory: bytes
    that the ring takes, those of its frames among them; what several rings share is counted in one of them. turn: file
    descriptor and offset of a word that is odd while frames are published to several rings; None: there is none.
    refused: frames that the run's filter refused before they reached the ring, and their bytes on the wire. They are in
    no counter of the header.
    """

    ifname: str
    queue: int
    slots: int
    wake_fd: int
    buckets: Sequence[int]
    domain: int
    spread: Spread | None
    turn: tuple[int, int] | None

    @property
    def refused(self) -> tuple[int, int]: ...

    @property
    def memory(self) -> int: ...

    def consumer(self) -> RingEnd:
        """Map as a worker does; `poll_fd` of the end can be read where frames wait."""

    def observer(self) -> Mapping:
        """Map the header page alone, read-only."""

    def account(self) -> None:
        """Bring the counters of the header up to date, where the producer does not do so by itself."""

    def close(self) -> None:
        """Give the ring back."""


class SharedBuffer(NamedTuple):
    """Memory of frames that several rings describe, and that whoever made it gives back.

    fd, size: of a memfd. longest: bytes of a frame that a worker may read at most. nap_s, patience_ns: see RingEnd.
    """

    fd: int
    size: int
    longest: int
    nap_s: float
    patience_ns: int = 0


class Ring:
    """Memory of one ring, owned by the supervisor: file descriptors that a fork inherits.

    queue: 0..MAX_QUEUES-1; slots: a power of two, MIN_SLOTS..MAX_SLOTS; buckets: those that the queue serves. `wake_fd`
    is an eventfd that the producer writes when the consumer has set USER_WANT_WAKE. shared: where the frames lie; None:
    in blocks of the ring's own, one a slot. Raises RingError where memory does not suffice.
    """

    domain = 0
    spread: Spread | None = None
    turn: tuple[int, int] | None = None
    refused = (0, 0)

    def __init__(
        self,
        queue: int,
        slots: int,
        ifname: str = "soft0",
        buckets: Sequence[int] = range(abi.RETA_SIZE + 1),
        shared: SharedBuffer | None = None,
    ) -> None:
        self.ifname, self.queue, self.slots, self.buckets = ifname, queue, check_slots(slots), buckets
        self._ring_size = ring_size(slots)
        with Undo() as undo:
            self._ring_fd = undo.fd(make_memory(f"zc-ring-{queue}", self._ring_size))
            self._user_fd = undo.fd(make_memory(f"zc-user-{queue}", abi.PAGE_SIZE))
            if shared is None:
                size = slots * abi.BLOCK_SIZE
                fd = undo.fd(make_memory(f"zc-buffer-{queue}", size))
                self._buffer = SharedBuffer(fd, size, abi.BLOCK_SIZE, NAP_S)
            else:
                self._buffer = shared
            self._shares = shared is not None
            self.wake_fd = undo.fd(os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK))
            os.pwrite(self._ring_fd, make_header(queue, slots, ifname, self._buffer.longest, self._buffer.size), 0)
            self._undo = undo.pop_all()

    @property
    def memory(self) -> int:
        """A buffer that several rings share counts in the first of them."""
        own = 0 if self._shares and self.queue else self._buffer.size
        return self._ring_size + abi.PAGE_SIZE + own

    def _end(self, *, producer: bool) -> RingEnd:
        ring = Mapping(self._ring_fd, self._ring_size, writable=producer, populate=True)
        user = Mapping(self._user_fd, abi.PAGE_SIZE, writable=not producer, populate=True)
        # The producer of several rings has a mapping of their buffer already.
        size = abi.PAGE_SIZE if producer and self._shares else self._buffer.size
        buffer = Mapping(self._buffer.fd, size, writable=producer, populate=True)
        shared, fd = self._buffer, self.wake_fd
        return RingEnd(ring, user, buffer, fd, fd, nap_s=shared.nap_s, patience_ns=shared.patience_ns)

    def producer(self) -> RingEnd:
        """Map as the NIC does: descriptors and blocks writable, the user's page read-only. Before `seal()`."""
        return self._end(producer=True)

    def consumer(self) -> RingEnd:
        """Map as a worker does: the user's page writable, all else read-only."""
        return self._end(producer=False)

    def observer(self) -> Mapping:
        """Map the header page alone, read-only, to count."""
        return Mapping(self._ring_fd, abi.PAGE_SIZE, writable=False)

    def account(self) -> None:
        """Nothing to do: the producer counts."""

    def seal(self) -> None:
        """Close the producer's part against new writable mappings."""
        seal_writes(self._ring_fd)
        seal_writes(self._buffer.fd)

    def close(self) -> None:
        """Give the memory back; may be called again."""
        self._undo.close()
