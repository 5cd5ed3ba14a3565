"""One worker's ring: an XSK on a receive queue, and the descriptors that the worker writes for its frames."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np

from zcframe.framework import abi
from zcframe.framework.jit.words import words_of
from zcframe.framework.ring import Mapping, PulledRing, Puller, RingEnd
from zcframe.framework.sources.plan import LivePlan

from .metadata import abi_types
from .pull import CTX, NOTES_SIZE, PullContext, pull_now
from .share import Seat
from .socket import KernelRing, Statistics, XdpSocket
from .umem import Umem, rx_size

BITS: Final = 0xFFFFFFFF
# A worker naps for 100 ns a slot: 10 Gbit/s of the smallest frames fill three quarters of its receive ring meanwhile.
LONGEST_NAP_S: Final = 400e-6
# Fewer frames than this are no reason to nap: their time is that of the worker that finds them.
BUSY: Final = 64
NAP_A_SLOT_S: Final = 100e-9


class Seated:
    """Kernel rings, chunks and notes of one worker.

    number: which of the queue's workers, from 1; fill: the queue's fill ring; reported: what is taken from the card
    (TIME, HASH, VLAN).
    """

    def __init__(
        self,
        plan: LivePlan,
        number: int,
        socket: XdpSocket,
        fill: KernelRing,
        umem: Umem,
        notes: Mapping,
        tables: np.ndarray[Any, Any],
        reported: int,
    ) -> None:
        self._plan, self._number, self._tables = plan, number, tables
        self._socket, self._fill = socket, fill
        self._reported, self._types = reported, abi_types(plan.rss.field_mask)
        self.chunks = umem.map_chunks()
        self._guard, self._notes = umem.map_guard(), notes

    def puller(self, end: RingEnd) -> Puller:
        """What brings frames to the worker."""
        rx, fill = self._socket.rx, self._fill
        context = PullContext(
            header=end.header_address,
            descriptors=end.desc_address,
            slots=end.slots,
            user=end.user_address,
            chunks=self.chunks.address,
            notes=self._notes.address,
            guard=self._guard.address,
            number=self._number,
            rx_producer=rx.producer,
            rx_consumer=rx.consumer,
            rx_entries=rx.entries,
            rx_mask=rx.size - 1,
            fill_producer=fill.producer,
            fill_entries=fill.entries,
            fill_flags=fill.flags,
            fill_mask=fill.size - 1,
            tables=int(self._tables.ctypes.data),
            fields=self._plan.rss.field_mask,
            hashes=1,
            port=self._plan.port,
            socket=self._socket.fileno(),
            reported=self._reported,
            types=int(self._types.ctypes.data),
        )
        return Puller(pull_now, words_of(context), CTX.hashes, self)


class XdpRing(PulledRing):
    """A worker's XSK, which shares `umem` with the queue's other workers; `first`: the one of them that registered it.

    tables: as `toeplitz_tables` returns them. Making it pins the memory where it is the first one. Raises XdpError, and
    RingError where memory does not suffice.
    """

    def __init__(
        self, plan: LivePlan, seat: Seat, umem: Umem, tables: np.ndarray[Any, Any], first: XdpRing | None
    ) -> None:
        super().__init__(
            seat.queue,
            plan.ring_slots,
            plan.ifname,
            domain=plan.first + seat.worker,
            longest=umem.longest,
            notes=NOTES_SIZE,
        )
        self.seat, self.umem = seat, umem
        self.plan, self.tables, self._first = plan, tables, first
        self._received = 0
        # What workers take from the card: TIME, HASH, VLAN.
        self.reported = 0
        # Frames that the interface dropped before it chose a queue; one ring counts them for all.
        self.foreign: Callable[[], int] = int
        with self._undo as undo:
            self.socket = undo.closing(XdpSocket())
            if first is None:
                self.socket.register_umem(umem.address, umem.size, umem.chunk_size)
                self.socket.make_fill(umem.fill_size)
            self.socket.make_rx(rx_size(self.slots))
            self._undo = undo.pop_all()

    @property
    def memory(self) -> int:
        """With the kernel's rings; the first ring of a queue has the chunks and what belongs to them."""
        return super().memory + self.socket.memory + (self.umem.memory if self._first is None else 0)

    def bind(self, ifindex: int, flags: int) -> None:
        """Take the queue; frames come once the program sends them here. Raises XdpError."""
        shared = self._first.socket if self._first is not None else None
        if shared is None:
            # A driver that writes into the UMEM itself takes chunks when the socket is bound.
            self._fill_up()
        self.socket.bind(self.ifname, ifindex, self.queue, flags, shared)

    def _fill_up(self) -> None:
        """Give the kernel all chunks."""
        fill = self.socket.fill
        memory, at = fill.mapping, fill.mapping.address
        memory.view("u8", fill.entries - at, self.umem.chunks)[:] = self.umem.addresses()
        memory.view("u4", fill.producer - at)[0] = self.umem.chunks

    def consumer(self) -> RingEnd:
        """Map as a worker does. Its `pull` brings what waits in the receive ring."""
        fill = (self._first or self).socket.fill
        seat, memory = self.seat, (self.umem, self.notes(), self.tables)
        seated = Seated(self.plan, seat.number, self.socket, fill, *memory, self.reported)
        nap_s = min(LONGEST_NAP_S, self.slots * NAP_A_SLOT_S)
        end = self.end(seated.chunks, self.socket.fileno(), seated.puller, nap_s)
        end.naps_from = BUSY
        end.inherited = (self.socket.rx.mapping, fill.mapping)
        return end

    def statistics(self) -> Statistics:
        return self.socket.statistics()

    def account(self) -> None:
        """Count arrivals: frames in the receive ring, taken or not, and frames that found no room.

        XDP_STATISTICS counts frames without a chunk and frames longer than one in rx_dropped, and for all sockets of a
        queue how often there was no chunk.
        """
        found, counters, rx = self.statistics(), self.counters, self.socket.rx
        self._received += (rx.counter(rx.producer) - self._received) & BITS
        starved = min(found.rx_dropped, found.fill_ring_empty)
        foreign = self.foreign()
        counters["ring_full"] = found.rx_ring_full + starved
        counters["nic_drop"] = found.rx_dropped - starved + foreign
        counters["arrived"] = self._received + found.lost + foreign
        # The count of an interface as a whole may include frames that were not for us.
        counters["flags"] = abi.RING_AT_LEAST if foreign else 0
