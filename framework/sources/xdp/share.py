"""Which worker serves which receive queue of the interface.

Worker w serves queue w % queues. Where there are more workers than queues, those of one queue share out its frames by
a hash of both addresses, so that a flow, in both directions, is one worker's.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

from zcframe.framework import abi
from zcframe.framework.errors import NicError, XdpError
from zcframe.framework.nic import read_channels


@dataclass(frozen=True)
class Seat:
    """A worker's place.

    worker: its number on this interface; queue: which it serves; number: which of the queue's workers it is, from 1.
    """

    worker: int
    queue: int
    number: int


@dataclass(frozen=True)
class Share:
    """`workers` on the receive queues 0..queues-1 of an interface. Raises XdpError where a queue would have none."""

    ifname: str
    queues: int
    workers: int

    def __post_init__(self) -> None:
        if self.queues <= self.workers:
            return
        ways = [f"use --queues {self.queues}"] if self.queues <= abi.MAX_QUEUES else []
        with suppress(NicError):
            ways.append(read_channels(self.ifname).command(self.ifname, min(self.workers, abi.MAX_QUEUES)))
        raise XdpError(
            f"{self.ifname} has {self.queues} receive queues, and --queues {self.workers} would leave some without a"
            f" worker: {', or '.join(ways) or 'use --backend packet'}"
        )

    @property
    def shared(self) -> bool:
        """Whether some queue has several workers."""
        return self.workers > self.queues

    def queue_of(self, worker: int) -> int:
        return worker % self.queues

    def seat_of(self, worker: int) -> Seat:
        return Seat(worker, self.queue_of(worker), worker // self.queues + 1)

    def workers_of(self, queue: int) -> range:
        """Workers of a queue, in the order in which the hash counts them."""
        return range(queue, self.workers, self.queues)
