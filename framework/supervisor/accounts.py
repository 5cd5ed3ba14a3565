"""The books of a run: each queue's ledger, from the ring's header and the worker's memory."""

from __future__ import annotations

from collections.abc import Sequence

from zcframe.framework import abi
from zcframe.framework.chain.bound import BoundPlugin
from zcframe.framework.ring import Mapping as MemoryMapping
from zcframe.framework.ring import ReceiveRing
from zcframe.framework.stats import Ledger, QueueStats
from zcframe.framework.stats.ledger import FILTER, LOSSES

from .member import Member


class RingBooks:
    """The producer's counters of one ring, read-only."""

    def __init__(self, ring: ReceiveRing) -> None:
        self._ring = ring
        self._mapping: MemoryMapping = ring.observer()
        self._header = self._mapping.view(abi.RING_HEADER)
        self.slots = ring.slots

    def refresh(self) -> None:
        """Bring the counters up to date: `arrived` then includes every frame that was delivered before this call."""
        self._ring.account()

    def read(self, name: str) -> int:
        return int(self._header[name][0])

    def close(self) -> None:
        del self._header
        self._mapping.close()


def _by_name(names: Sequence[str], counts: Sequence[int]) -> dict[str, int]:
    return {name: int(count) for name, count in zip(names, counts, strict=True)}


def queue_stats(member: Member, books: RingBooks, plugins: Sequence[BoundPlugin], *, source_died: bool) -> QueueStats:
    """One queue's row. source_died: frames that the NIC counted and never published are lost, as nic_drop.

    Counters are read against the direction in which packets travel, delivered before arrived, so that a row never
    shows more delivered than arrived. What the filter refused in front of the ring counts as what it drops behind it.
    """
    names = [plugin.name for plugin in plugins]
    delivered, wire, *codes = (int(n) for n in member.post.ledger())
    unread = (books.read("write") - delivered) & 0xFFFFFFFF
    books.refresh()
    truncated = books.read("truncated")
    losses = {name: books.read(name) for name in LOSSES}
    arrived = books.read("arrived")
    unpublished = arrived - delivered - unread - sum(losses.values())
    if source_died:
        losses["nic_drop"] += unpublished
        unpublished = 0
    refused, octets = member.post.ring.refused
    filtered = {FILTER: codes.pop() + refused}
    dropped = filtered | _by_name(names, codes[1 : len(names) + 1])
    faulted = _by_name(names, codes[len(names) + 1 :])
    ledger = Ledger(
        arrived=arrived + refused,
        delivered=delivered + refused,
        **losses,
        in_flight=unread + unpublished,
        accepted=codes[0],
        faulted=sum(faulted.values()),
        truncated=truncated,
        dropped_by={name: count for name, count in dropped.items() if count},
        faulted_by={name: count for name, count in faulted.items() if count},
        at_least=bool(books.read("flags") & abi.RING_AT_LEAST),
    )
    ring = member.post.ring
    return QueueStats(
        queue=ring.queue,
        cpu=member.cpu,
        pid=member.pid,
        restarts=member.restarts,
        packets=delivered + refused,
        bytes=wire + octets,
        ring_fill=min(unread / books.slots, 1.0),
        ledger=ledger,
        ifname=ring.ifname,
        restart_ms=member.restart_ms(),
        worker=member.post.number,
        cut_at=books.read("block_size"),
    )
