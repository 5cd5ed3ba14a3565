"""Packets in which no IP header was read, by ethertype: a count beside the plugins' own, for why they saw nothing.

The state is an array a worker, one counter an ethertype: exact whatever comes, and of its 512 KiB only the pages in
use exist. A burst's packets are counted ahead of its first one, in its transaction, and only where one of them
has no IP: so packets with IP cost next to nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from zcframe.framework.jit.address import load_u64
from zcframe.framework.jit.compiler import kept_outlined
from zcframe.framework.state.declare import Array
from zcframe.framework.state.flows import flow_layout
from zcframe.framework.state.journal import WRITE
from zcframe.framework.state.kinds import u64
from zcframe.framework.state.layout import StateLayout, make_layout
from zcframe.framework.state.merge import State

from .bound import BoundPlugin
from .handover import HandOver, flow_places
from .ticks.due import due_layouts

ETHERTYPES: Final = 1 << 16
# What the facts of a decoded packet say of the IP version, and the bit that is set in 4 and in 6.
VERSION_MASK: Final = 0xFF << 8
IP_BIT: Final = 4 << 8
# Where a packet's facts stand in its note.
FACTS: Final = 8

_write_u64 = WRITE[8]


def no_ip_layout(workers: int) -> StateLayout:
    """Layout of the counts of so many workers."""
    return make_layout({"packets": Array(u64, ETHERTYPES)}, {}, {}, per_worker=True, queues=workers)


def state_layouts(plugins: Sequence[BoundPlugin], workers: int, outputs: Sequence[HandOver] = ()) -> list[StateLayout]:
    """All in a run's state memory: state of each plugin, these counts, outputs' tables of flows, times of ticks."""
    tables = [flow_layout() for _ in flow_places(len(plugins), outputs)]
    return [*(plugin.layout for plugin in plugins), no_ip_layout(workers), *tables, *due_layouts(plugins, workers)]


@kept_outlined
def count_burst(journal, counts, scratch, stride, packets):  # type: ignore[no-untyped-def]
    """Count those of a burst's packets that have no IP. counts: address of this worker's array; stride: of a note."""
    for i in range(packets):
        facts = load_u64(scratch + i * stride + FACTS)
        if facts & VERSION_MASK == 0:
            at = counts + ((facts >> 32) & 0xFFFF) * 8
            _write_u64(journal, at, load_u64(at) + 1)


def by_ethertype(states: Sequence[State]) -> dict[int, int]:
    """Packets of each ethertype that occurred, in all these states together."""
    if not states:
        return {}
    total = np.sum([state.packets for state in states], axis=0)
    return {int(ethertype): int(total[ethertype]) for ethertype in np.flatnonzero(total)}
