"""The worker's side of its ring: everything that `pull` reaches, mapped."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from zcframe.framework.jit.words import Words, words_of
from zcframe.framework.ring import Mapping, RingEnd
from zcframe.framework.sources.plan import LivePlan

from .metadata import abi_types
from .pull import PullContext, pull
from .socket import KernelRing, XdpSocket
from .umem import Umem


class Puller:
    """Kernel rings, chunks and notes of one worker; called with the end of its ring, it pulls.

    number: which of the queue's workers, from 1; fill: the queue's fill ring; told: what is taken from the card (TIME,
    HASH, VLAN). Returns how many frames waited.
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
        told: int,
    ) -> None:
        self._plan, self._number, self._tables = plan, number, tables
        self._socket, self._fill = socket, fill
        self._told, self._types = told, abi_types(plan.rss.field_mask)
        self.chunks = umem.map_chunks()
        self._guard, self._notes = umem.map_guard(), notes
        self._context: Words | None = None

    def __call__(self, end: RingEnd) -> int:
        if self._context is None:
            self._context = self._make_context(end)
        return int(pull(self._context, time.time_ns()))

    def _make_context(self, end: RingEnd) -> Words:
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
            port=self._plan.port,
            socket=self._socket.fileno(),
            told=self._told,
            types=int(self._types.ctypes.data),
        )
        return words_of(context)
