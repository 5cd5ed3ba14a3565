"""When each shard of a plugin is to be ticked next: a word a shard, apart from the state, journaled as that is.

The words of a worker lie side by side, so that a look at all of them touches no page of a shard that was never used.

    due u64    0: no packet of the shard has come. NEVER: the run has ended. Else the end of the interval under way, in
               ns since the epoch, a multiple of the plugin's interval
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from zcframe.framework.chain.bound import BoundPlugin
from zcframe.framework.chain.handover import HandOver, flow_places
from zcframe.framework.state.declare import Array
from zcframe.framework.state.kinds import u64
from zcframe.framework.state.layout import SHARDS, StateLayout, make_layout

NEVER: Final = 1 << 62
# Time that goes back by less is packets out of order; by more, another clock, or another capture.
BACK_NS: Final = 10**9


def has_ticks(plugins: Sequence[BoundPlugin]) -> bool:
    return any(plugin.declared.tick is not None for plugin in plugins)


def due_layouts(plugins: Sequence[BoundPlugin], workers: int) -> list[StateLayout]:
    """Layout of these words, for so many workers; none where no plugin has a tick."""
    if not has_ticks(plugins):
        return []
    return [make_layout({"due": Array(u64, SHARDS * len(plugins))}, {}, {}, per_worker=True, queues=workers)]


def due_place(plugins: int, outputs: Sequence[HandOver]) -> int:
    """The number of that layout among those of the state memory."""
    return plugins + 1 + len(flow_places(plugins, outputs))
