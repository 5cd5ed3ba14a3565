"""Packets in which no IP header was read, by ethertype: a count beside the plugins' own, for why they saw nothing.

The state is an array a worker, one counter an ethertype: exact whatever comes, and of its 512 KiB only the pages in use
exist. A burst's packets are counted behind its last one, in a transaction of their own which the ledger's commit ends:
so packets with IP cost next to nothing. Where a worker was killed before that, its successor undoes what was counted,
and counts all packets anew that it commits.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from zcframe.framework.jit.address import load_u64, store_u64
from zcframe.framework.jit.compiler import inlined, outlined
from zcframe.framework.state.declare import Array, u64
from zcframe.framework.state.journal import WRITE, roll_back
from zcframe.framework.state.layout import StateLayout, make_layout
from zcframe.framework.state.merge import State

from .bound import BoundPlugin

ETHERTYPES: Final = 1 << 16
# What the facts of a decoded packet say of the IP version, and the bit that is set in 4 and in 6.
VERSION_MASK: Final = 0xFF << 8
IP_BIT: Final = 4 << 8
# In the journal's packet number: not a packet is in progress, but the counts of all before it.
COUNTING: Final = 1 << 46

_write_u64 = WRITE[8]


def no_ip_layout(workers: int) -> StateLayout:
    """Layout of the counts of so many workers."""
    return make_layout({"packets": Array(u64, ETHERTYPES)}, {}, {}, per_worker=True, queues=workers)


def state_layouts(plugins: Sequence[BoundPlugin], workers: int) -> list[StateLayout]:
    """All that lies in a run's state memory: the state of each plugin, then these counts."""
    return [*(plugin.layout for plugin in plugins), no_ip_layout(workers)]


@inlined
def begin_counts(journal, done):  # type: ignore[no-untyped-def]
    """Begin the transaction of the packets up to `done`."""
    store_u64(journal, (done | COUNTING) << 16)


@inlined
def undo_counts(journal, done, low, high):  # type: ignore[no-untyped-def]
    """Undo the counts of packets up to `done` that no commit followed."""
    if load_u64(journal) >> 16 == done | COUNTING:
        roll_back(journal, 0, low, high)


@inlined
def count_packet(journal, counts, facts):  # type: ignore[no-untyped-def]
    """Count the packet of these facts, unless it has IP. counts: address of this worker's array."""
    if facts & VERSION_MASK == 0:
        at = counts + ((facts >> 32) & 0xFFFF) * 8
        _write_u64(journal, at, load_u64(at) + 1)


@outlined
def count_burst(journal, counts, scratch, done, packets):  # type: ignore[no-untyped-def]
    """Count the `packets` up to `done`, decoded to `scratch`."""
    begin_counts(journal, done)
    for i in range(packets):
        count_packet(journal, counts, load_u64(scratch + i * 16 + 8))


def by_ethertype(states: Sequence[State]) -> dict[int, int]:
    """Packets of each ethertype that occurred, in all these states together."""
    if not states:
        return {}
    total = np.sum([state.packets for state in states], axis=0)
    return {int(ethertype): int(total[ethertype]) for ethertype in np.flatnonzero(total)}
