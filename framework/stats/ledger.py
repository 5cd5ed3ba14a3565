"""Where every frame went: two sums that must close, per queue and in total.

    arrived   = delivered + nic_drop + ring_full + in_flight
    delivered = accepted + Σ dropped_by[filter or plugin] + faulted

A frame that is missing has a row that names the cause, or the ledger does not close and that is a bug.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


def _sum(a: Mapping[str, int], b: Mapping[str, int]) -> dict[str, int]:
    total = Counter(a)
    total.update(b)
    return dict(total)


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
        into_ring = self.arrived == self.delivered + self.nic_drop + self.ring_full + self.in_flight
        through_chain = self.delivered == self.accepted + self.dropped + self.faulted
        return into_ring and through_chain

    @property
    def dropped(self) -> int:
        """Frames that the filter or a plugin dropped on purpose: not a loss."""
        return sum(self.dropped_by.values())

    @property
    def lost(self) -> int:
        """Frames that arrived and never reached a worker."""
        return self.nic_drop + self.ring_full

    @property
    def loss(self) -> float:
        """Lost frames as a fraction of those that arrived, 0..1."""
        return self.lost / self.arrived if self.arrived else 0.0

    def __add__(self, other: Ledger) -> Ledger:
        return Ledger(
            arrived=self.arrived + other.arrived,
            delivered=self.delivered + other.delivered,
            nic_drop=self.nic_drop + other.nic_drop,
            ring_full=self.ring_full + other.ring_full,
            in_flight=self.in_flight + other.in_flight,
            accepted=self.accepted + other.accepted,
            faulted=self.faulted + other.faulted,
            truncated=self.truncated + other.truncated,
            dropped_by=_sum(self.dropped_by, other.dropped_by),
            faulted_by=_sum(self.faulted_by, other.faulted_by),
            at_least=self.at_least or other.at_least,
        )

    def as_json(self) -> dict[str, Any]:
        """The ledger's rows for the JSON document; `faulted_by` stands there only where something faulted."""
        rows: dict[str, Any] = {
            "arrived": self.arrived,
            "delivered": self.delivered,
            "nic_drop": self.nic_drop,
            "ring_full": self.ring_full,
            "in_flight": self.in_flight,
            "accepted": self.accepted,
            "faulted": self.faulted,
            "truncated": self.truncated,
            "dropped_by": dict(self.dropped_by),
            "at_least": self.at_least,
        }
        return rows | ({"faulted_by": dict(self.faulted_by)} if self.faulted_by else {})
