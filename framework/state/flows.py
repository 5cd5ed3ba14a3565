"""The flow table: what is known of each flow, bounded, in the state memory of a run.

It is a table as plugins have them (table.py): a shard a bucket, each row journaled before it changes, so that a burst
that is taken back, or whose worker is killed, leaves nothing behind. A new flow that finds its window full takes the
slot of the flow that was silent for longest: an insert always succeeds, and looks at WINDOW slots at most.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from .declare import Table
from .kinds import u8, u32, u64
from .layout import StateLayout, make_layout

# Flows that a table holds, one a cache line; of its 17 MB, pages exist that were written to.
FLOWS: Final = 1 << 18
# A flow that was silent for so long is another one when it comes back: no shorter than what IDSes hold on to.
IDLE_NS: Final = 600 * 10**9

# Bits of `flags`: the ends that sent, as `flow_key` tells them. One of them is always set.
SENT_A: Final = 1
SENT_B: Final = 2
# One end said that the connection ends: a SYN begins another one.
CLOSING: Final = 4
# It began while flows were shed; it was chosen for its size; frames of it were left out.
NEW: Final = 8
ELEPHANT: Final = 16
LEFT_OUT: Final = 32


class FlowRow(NamedTuple):
    """A row of the table as `TableLayout.rows` has it."""

    ports: int
    a_hi: int
    a_lo: int
    b_hi: int
    b_lo: int
    proto: int
    share: int
    flags: int
    packets: int
    last: int
    bytes: int


def flow_layout() -> StateLayout:
    """Layout of a flow table, `rows` by name."""
    key = {"ports": u32, "a_hi": u64, "a_lo": u64, "b_hi": u64, "b_lo": u64, "proto": u8}
    value = {"share": u8.max, "flags": u8.bits, "packets": u32, "last": u64.max, "bytes": u64}
    rows = Table(key=key, value=value, capacity=FLOWS, done="flags", least="last")
    return make_layout({"rows": rows}, {}, {}, per_worker=False, queues=1)
