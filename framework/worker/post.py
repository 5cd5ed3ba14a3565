"""A worker's post: all that outlives the worker and awaits its successor.

Made by the supervisor, one per queue: the progress memory that the worker writes (chain/workspace.py), and a page of
orders that only the supervisor writes.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from zcframe.framework import abi
from zcframe.framework.chain.workspace import (
    DONE,
    GENERATION,
    LEDGER,
    LEDGER_CODES,
    LEDGER_COPY,
    LOOKING_AHEAD,
    ORDERS,
    PACKET,
    PARKED,
    PROGRESS_SIZE,
    READY,
    STAGE,
    STOP_NOW,
)
from zcframe.framework.ring import Mapping, ReceiveRing, make_memory, seal_writes

from .verify import RssVerifier


class Post:
    """Supervisor's end of one worker's memory: reads progress and ledger, gives orders.

    ring: the queue's ring; codes: number of verdict codes; number: which of the run's workers, from 0. live: whether
    its packets come as time goes by.
    """

    def __init__(self, ring: ReceiveRing, codes: int, number: int, *, live: bool = False) -> None:
        self.ring, self.codes, self.number, self.live = ring, codes, number, live
        self.verifier = RssVerifier(ring.spread, ring.queue, number) if ring.spread is not None else None
        size = PROGRESS_SIZE
        self.progress_fd = make_memory(f"zc-progress-{number}", size)
        self.orders_fd = make_memory(f"zc-orders-{number}", abi.PAGE_SIZE)
        self.progress = Mapping(self.progress_fd, size, writable=True)
        self.orders = Mapping(self.orders_fd, abi.PAGE_SIZE, writable=True)
        # Nobody else gives orders, and no worker can make its mapping of them writable.
        seal_writes(self.orders_fd)
        self._orders = self.orders.view(ORDERS)
        self._done = self.progress.view("u8", DONE)
        self._generation = self.progress.view("u8", GENERATION)
        self._stage, self._packet = (self.progress.view("u4", at) for at in (STAGE, PACKET))
        self._parked = self.progress.view("u4", PARKED)
        self._ready = self.progress.view("u8", READY)
        self._ledgers = [self.progress.view("u8", LEDGER + i * LEDGER_COPY, LEDGER_CODES // 8 + codes) for i in (0, 1)]

    @property
    def done(self) -> int:
        """Packets whose transaction is complete."""
        return int(self._done[0])

    @property
    def packet(self) -> int:
        """The packet that the worker is at, as far as it is known."""
        return self.done + (int(self._packet[0]) if self.stage and not self.prefetching else 0)

    @property
    def stage(self) -> int:
        """Plugin that the worker is in, from 1; 0 for none."""
        return int(self._stage[0]) & ~LOOKING_AHEAD

    @property
    def ready_ns(self) -> int:
        """When the last worker that came so far could take packets, by time.monotonic_ns()."""
        return int(self._ready[0])

    @property
    def prefetching(self) -> bool:
        """Whether that plugin looks ahead, so that no packet can be blamed."""
        return bool(int(self._stage[0]) & LOOKING_AHEAD)

    def ledger(self) -> np.ndarray[Any, np.dtype[np.uint64]]:
        """uint64[2 + codes]: packets, wire bytes, packets by verdict code; of one moment."""
        while True:
            generation = int(self._generation[0])
            copy = self._ledgers[generation & 1].copy()
            if int(self._generation[0]) == generation:
                return copy

    def stop(self, how: int) -> None:
        """Order STOP_DRAIN or STOP_NOW and wake the worker."""
        self._orders["stop"] = how
        if how == STOP_NOW:
            self._orders["attention"] = 1
        self.wake()

    def order(self, how: int) -> None:
        """Have this be the order to the worker that is started next, in place of all orders before it."""
        self._orders["stop"] = how
        self._orders["attention"] = int(how == STOP_NOW)

    def pause(self) -> None:
        """Order the worker to stand still between two bursts; `parked` tells when it does."""
        self._orders["pause"] += 1
        self._orders["attention"] = 1
        self.wake()

    def resume(self) -> None:
        self._orders["pause"] += 1
        self._orders["attention"] = int(self._orders["stop"][0] == STOP_NOW)

    @property
    def parked(self) -> bool:
        return int(self._parked[0]) == int(self._orders["pause"][0])

    def wake(self) -> None:
        os.eventfd_write(self.ring.wake_fd, 1)

    def close(self) -> None:
        del (
            self._orders,
            self._done,
            self._generation,
            self._stage,
            self._packet,
            self._parked,
            self._ready,
            self._ledgers,
        )
        self.progress.close()
        self.orders.close()
        if self.verifier is not None:
            self.verifier.close()
        os.close(self.progress_fd)
        os.close(self.orders_fd)
