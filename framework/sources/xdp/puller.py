"""The worker's side of its ring: everything that `pull` reaches, mapped."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from zcframe.framework.ring import Mapping, RingEnd
from zcframe.framework.sources.plan import LivePlan

from . import pull as words
from .metadata import abi_types
from .pull import make_context, pull
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
        self._context: np.ndarray[Any, Any] | None = None

    def __call__(self, end: RingEnd) -> int:
        if self._context is None:
            self._context = self._make_context(end)
        return int(pull(self._context, time.time_ns()))

    def _make_context(self, end: RingEnd) -> np.ndarray[Any, Any]:
        rx, fill = self._socket.rx, self._fill
        return make_context(
            {
                words.HEADER: end.header_address,
                words.DESCRIPTORS: end.desc_address,
                words.SLOTS: end.slots,
                words.USER: end.user_address,
                words.CHUNKS: self.chunks.address,
                words.NOTES: self._notes.address,
                words.GUARD: self._guard.address,
                words.NUMBER: self._number,
                words.RX_PRODUCER: rx.producer,
                words.RX_CONSUMER: rx.consumer,
                words.RX_ENTRIES: rx.entries,
                words.RX_MASK: rx.size - 1,
                words.FILL_PRODUCER: fill.producer,
                words.FILL_ENTRIES: fill.entries,
                words.FILL_FLAGS: fill.flags,
                words.FILL_MASK: fill.size - 1,
                words.TABLES: int(self._tables.ctypes.data),
                words.FIELDS: self._plan.rss.field_mask,
                words.PORT: self._plan.port,
                words.SOCKET: self._socket.fileno(),
                words.TOLD: self._told,
                words.TYPES: int(self._types.ctypes.data),
            }
        )
