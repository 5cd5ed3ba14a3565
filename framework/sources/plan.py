"""What is to be captured live, and how: the same orders for every live source."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from zcframe.framework.errors import UsageError
from zcframe.framework.nic import Change
from zcframe.framework.rss import RssConfig
from zcframe.framework.rss.reta import check_queues, check_reta

Backend = Literal["zerocopy", "packet", "xdp"]
Fanout = Literal["hash", "qm", "ip-pair"]


@dataclass(frozen=True)
class LivePlan:
    """Orders for one interface.

    cpus: that of each queue's worker; first: number of this interface's first worker in the run; port: which of the
    run's interfaces this is, as packets tell it (`pkt.iface`); set_rss: whether the card's RSS is to be set, and put
    back at the end; fanout: how AF_PACKET shares frames out; hugepages: whether User Buffers are to lie in huge pages;
    force: take an interface that this machine needs itself; verify: compare where each frame comes, and the card's own
    hash where there is one, with the card's settings; changes: asked once the interface is up, says what else is
    to be set on it, interrupts above all, and put back at the end. Raises UsageError for what cannot be.
    """

    backend: Backend
    ifname: str
    rss: RssConfig
    queues: int = 8
    ring_slots: int = 4096
    cpus: tuple[int, ...] = ()
    first: int = 0
    port: int = 0
    set_rss: bool = False
    fanout: Fanout = "hash"
    hugepages: bool = False
    force: bool = False
    verify: bool = False
    changes: Callable[[], Sequence[Change]] = tuple

    def __post_init__(self) -> None:
        check_queues(self.queues)
        check_reta(self.rss.reta, self.queues)
        if self.backend != "packet" and self.fanout != "hash":
            raise UsageError(
                f"--fanout {self.fanout}: only the packet source has it, and {self.ifname} is {self.backend}"
            )
        if self.verify and self.backend == "packet" and self.fanout != "qm":
            raise UsageError(
                f"--verify-rss: {self.ifname} is captured by the packet source, which shares frames out whatever queue"
                " the card chose: add --fanout qm, or use --backend xdp"
            )
        if self.backend != "zerocopy" and self.hugepages:
            raise UsageError(f"--hugepages: {self.ifname} is captured by the {self.backend} source, which has none")


@dataclass(frozen=True)
class SeveralPlan:
    """Orders for several interfaces at once, in the order in which they were named."""

    parts: tuple[LivePlan, ...]
