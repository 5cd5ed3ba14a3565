"""What the table of flows tells: the largest flows that were shed, and flows of which several workers saw parts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from zcframe.framework.state.addresses import ip_text
from zcframe.framework.state.flows import ELEPHANT, LEFT_OUT, NEW, SENT_A, SENT_B, FlowRow, flow_layout
from zcframe.framework.state.layout import TableLayout
from zcframe.framework.state.merge import State, merge_rows
from zcframe.framework.stats.outputs import ShedFlow

# Flows that are listed.
LISTED: Final = 10
SENT: Final = SENT_A | SENT_B


@dataclass(frozen=True)
class FlowsSeen:
    """Of one output. largest: of the flows that were shed or shunted. replaced: how many gave up their place.

    twice: by share, (flows, one-sided flows) that were counted too often, since several workers saw parts of them.
    """

    largest: Sequence[ShedFlow] = ()
    replaced: int = 0
    twice: dict[int, tuple[int, int]] = field(default_factory=dict)


def _reason(flags: int) -> str:
    return "new" if flags & NEW else "elephants" if flags & ELEPHANT else "shunt"


def _shed_flow(row: FlowRow) -> ShedFlow:
    ports = row.ports >> 16, row.ports & 0xFFFF
    ends = (ip_text(row.a_hi, row.a_lo), ip_text(row.b_hi, row.b_lo))
    return ShedFlow(row.share, _reason(row.flags), row.proto, *ends, *ports, row.packets, row.bytes)


def _largest(rows: Any) -> list[ShedFlow]:
    """Of the merged rows, those of the most bytes that were left out."""
    out = rows[rows["flags"] & LEFT_OUT != 0]
    order = np.argsort(out["bytes"], kind="stable")[::-1][:LISTED]
    return [_shed_flow(FlowRow(*row.tolist())) for row in out[order]]


def _one_sided(rows: Any) -> int:
    return int(np.count_nonzero(rows["flags"] & SENT != SENT))


def _together(rows: Any) -> Any:
    """One row for each flow, of the rows of one share."""
    (table,) = (member for member in flow_layout().members if isinstance(member, TableLayout))
    values = {name: scalar for name, _, scalar in table.fields if name not in table.keys}
    return merge_rows(rows, table.keys, values)


def flows_seen(states: Sequence[State]) -> FlowsSeen:
    """What these shards of one output's table tell together. A flow that two shares have parts of is one in each."""
    if not states:
        return FlowsSeen()
    rows = np.concatenate([state.rows for state in states])
    twice, whole = {}, [rows[:0]]
    for share in np.unique(rows["share"]).tolist():
        parts = rows[rows["share"] == share]
        whole.append(_together(parts))
        twice[share] = len(parts) - len(whole[-1]), _one_sided(parts) - _one_sided(whole[-1])
    return FlowsSeen(_largest(np.concatenate(whole)), sum(state.expired["rows"] for state in states), twice)
