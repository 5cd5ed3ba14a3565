"""What is to be captured, and how."""

from __future__ import annotations

from dataclasses import dataclass

from ...rss import RssConfig
from ...rss.reta import check_queues, check_reta


@dataclass(frozen=True)
class CapturePlan:
    """Orders for an interface. cpus: that of each queue's worker, to which the queue's interrupt goes as well.

    Raises UsageError for what cannot be.
    """

    ifname: str
    rss: RssConfig
    queues: int = 8
    ring_slots: int = 4096
    cpus: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        check_queues(self.queues)
        check_reta(self.rss.reta, self.queues)
