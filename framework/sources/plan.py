"""Orders for a live capture, the same for every live source."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from zcframe.framework.filters.program import Program
from zcframe.framework.nic import Change
from zcframe.framework.rss import RssConfig
from zcframe.framework.rss.reta import check_queues, check_reta

from .backends import BACKENDS

Fanout = Literal["hash", "qm", "ip-pair"]


@dataclass(frozen=True)
class LivePlan:
    """Orders for one interface, or for all at once, whose `ifname` is ANY.

    backend: a key of BACKENDS. cpus: the CPU of each queue's worker. first: number of this interface's first worker in
    the run. port: number of the interface in the run (`pkt.iface`). set_rss: whether to set the card's RSS, and put it
    back at the end. fanout: how AF_PACKET shares frames out. hugepages: whether User Buffers lie in huge pages. force:
    whether to take an interface that this machine needs itself. verify: whether to compare each frame's queue, and the
    card's own hash where there is one, with the card's settings. promiscuous: whether to have frames for other machines
    come, too. stamped: whether it matters which of two frames of several interfaces came first. program: of the frames
    that anything of the run gets to see; a source may leave out the others, and count them. changes: called once the
    interface is up; returns what else to set on it, interrupts above all, and to put back at the end. Raises UsageError
    for what cannot be.
    """

    backend: str
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
    promiscuous: bool = True
    stamped: bool = False
    program: Program | None = None
    changes: Callable[[], Sequence[Change]] = tuple

    def __post_init__(self) -> None:
        check_queues(self.queues)
        check_reta(self.rss.reta, self.queues)
        BACKENDS[self.backend].check(self)


@dataclass(frozen=True)
class SeveralPlan:
    """Orders for several interfaces at once, in the order in which they were named."""

    parts: tuple[LivePlan, ...]
