"""Where every frame went: two sums that must close, per queue and in total.

    arrived   = delivered + nic_drop + ring_full + in_flight
    delivered = accepted + Σ dropped_by[filter or plugin] + faulted

A frame that is missing has a row that names the cause, or the ledger does not close and that is a bug.

A new row is a field of Ledger; its name is the one in the JSON document and in tables for people. A new cause of loss
also goes into LOSSES, by which the sums, and the books of the supervisor, take it from the ring's header.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Final

# Rows of frames that arrived and never reached a worker. The producer counts them in the ring's header.
LOSSES: Final = ("nic_drop", "ring_full")
# The row in `dropped_by` of frames that do not match the run's filter.
FILTER: Final = "filter"
# Rows in the order in which tables for people show them: always, and only where there is something to see.
SHOWN: Final = ("arrived", "delivered", "accepted")
SHOWN_IF_ANY: Final = ("dropped", "faulted", *LOSSES, "in_flight", "truncated")


def _sum(a: Any, b: Any) -> Any:
    """Two values of a row as one: counts, counts by name, or marks."""
    if isinstance(a, Mapping):
        total = Counter(a)
        total.update(b)
        return dict(total)
    return a or b if isinstance(a, bool) else a + b


@dataclass(frozen=True)
class Ledger:
    """Frames of one queue, or of several added up; all fields but the last three count frames.

    `truncated` frames are delivered ones too: they were cut to a block. `dropped_by` has a row for the filter and each
    plugin that said DROP, `faulted_by` one for each plugin that raised. `at_least` marks a hardware counter that
    saturated: `nic_drop` and `arrived` are then lower bounds.
    """

    arrived: int = 0
    delivered: int = 0
    nic_drop: int = 0
    ring_full: int = 0
    in_flight: int = 0
    accepted: int = 0
    faulted: int = 0
    truncated: int = 0
    dropped_by: dict[str, int] = field(default_factory=dict)
    faulted_by: dict[str, int] = field(default_factory=dict)
    at_least: bool = False

    def closes(self) -> bool:
        """Whether both sums hold, to the frame."""
        into_ring = self.arrived == self.delivered + self.lost + self.in_flight
        through_chain = self.delivered == self.accepted + self.dropped + self.faulted
        return into_ring and through_chain

    @property
    def dropped(self) -> int:
        """Frames that the filter or a plugin dropped on purpose: not a loss."""
        return sum(self.dropped_by.values())

    @property
    def lost(self) -> int:
        """Frames that arrived and cannot reach a worker. (Those in flight at the end of a run: RunSnapshot.lost.)"""
        return sum(getattr(self, name) for name in LOSSES)

    @property
    def loss(self) -> float:
        """Lost frames as a fraction of those that arrived, 0..1."""
        return self.lost / self.arrived if self.arrived else 0.0

    def __add__(self, other: Ledger) -> Ledger:
        return Ledger(**{f.name: _sum(getattr(self, f.name), getattr(other, f.name)) for f in fields(self)})

    def as_json(self) -> dict[str, Any]:
        """The ledger's rows for the JSON document; `faulted_by` stands there only where something faulted."""
        rows = asdict(self)
        faulted_by = rows.pop("faulted_by")
        return rows | ({"faulted_by": faulted_by} if faulted_by else {})
