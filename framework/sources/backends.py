"""Every live source in one table: what it is called, what it can do, and what a run does with it unasked.

A new one takes a row here, its name in `config.BACKENDS`, its error in `errors`, its finding in health/sources.py, and
a folder of its own beside this file. (docs/architecture.md)
"""

from __future__ import annotations

import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

from zcframe.framework.config import ANY
from zcframe.framework.errors import UsageError
from zcframe.framework.nic import Interface
from zcframe.framework.nic.cards.card import CARDS, shares_rings
from zcframe.framework.sysfs import CLASS_NET


class Wishes(Protocol):
    """Those fields of a LivePlan that some source may refuse."""

    @property
    def backend(self) -> str: ...
    @property
    def ifname(self) -> str: ...
    @property
    def fanout(self) -> str: ...
    @property
    def hugepages(self) -> bool: ...
    @property
    def verify(self) -> bool: ...
    @property
    def promiscuous(self) -> bool: ...


@dataclass(frozen=True)
class Refusal:
    """An option that a source does not take.

    wished: whether a plan asks for it; sentence: why it is refused, with the plan's fields in braces.
    """

    wished: Callable[[Wishes], bool]
    sentence: str


NO_FANOUT: Final = Refusal(
    lambda plan: plan.fanout != "hash",
    "--fanout {fanout}: only the packet source has it, and {ifname} is {backend}",
)
NO_HUGEPAGES: Final = Refusal(
    lambda plan: plan.hugepages,
    "--hugepages: {ifname} is captured by the {backend} source, which has none",
)
NO_ANY: Final = Refusal(
    lambda plan: plan.ifname == ANY,
    "--iface {ifname} and --backend {backend}: only the packet source captures from all interfaces at once",
)
NO_ANY_BY_QUEUE: Final = Refusal(
    lambda plan: plan.ifname == ANY and plan.fanout == "qm",
    "--iface {ifname} and --fanout {fanout}: only an interface that is named has receive queues",
)
NO_ANY_VERIFIED: Final = Refusal(
    lambda plan: plan.ifname == ANY and plan.verify,
    "--iface {ifname} and --verify-rss: only an interface that is named has a card to compare with",
)
ALWAYS_PROMISCUOUS: Final = Refusal(
    lambda plan: not plan.promiscuous,
    "--no-promiscuous: {ifname} is captured by the {backend} source, which takes every frame: use --backend packet",
)
# Frames that the kernel shares out come to any worker: there is nothing to compare.
NO_VERIFY_BUT_BY_QUEUE: Final = Refusal(
    lambda plan: plan.verify and plan.fanout != "qm",
    "--verify-rss: {ifname} is captured by the {backend} source, which shares frames out whatever queue the card"
    " chose: add --fanout qm, or use --backend xdp",
)


class Suits(Protocol):
    """How many workers suit a source. queues: receive queues of the interface, asked for only where they matter."""

    def __call__(self, *, cpus: int, fanout: str, queues: Callable[[], int]) -> int: ...


def _by_cpus(*, cpus: int, fanout: str, queues: Callable[[], int]) -> int:
    """The kernel shares frames out, whatever queues there are; by queue, a worker without one would have nothing."""
    return min(cpus, queues()) if fanout == "qm" else cpus


def _by_queues(*, cpus: int, fanout: str, queues: Callable[[], int]) -> int:
    """Every queue needs a worker, and one is enough for it."""
    return queues()


def _by_card(*, cpus: int, fanout: str, queues: Callable[[], int]) -> int:
    return min(cpus, *(card.rss_queues for card in CARDS))


@dataclass(frozen=True)
class Backend:
    """One live source.

    source: its class, called with a LivePlan, as "module:name"; what it needs is imported when a capture is opened.
    findings: names of the doctor's findings without which it does not work. refusals: options that it does not take.
    suits: how many workers it has where no number is given. auto: whether --backend auto takes it for an interface, if
    no row above does. sets_link: whether it brings the
    interface up itself. sets_rss, sets_interrupts: whether a run sets these unasked, for this source.
    """

    name: str
    source: str
    findings: tuple[str, ...]
    suits: Suits
    refusals: tuple[Refusal, ...] = ()
    auto: Callable[[Interface], bool] = lambda _: False
    sets_link: bool = False
    sets_rss: bool = False
    sets_interrupts: bool = False

    def check(self, plan: Wishes) -> None:
        """Raises UsageError for an option that this source does not take."""
        for refusal in self.refusals:
            if refusal.wished(plan):
                wishes = {"fanout": plan.fanout, "ifname": plan.ifname, "backend": self.name}
                raise UsageError(refusal.sentence.format_map(wishes))

    def load(self) -> Any:
        """The class of the source."""
        return pkgutil.resolve_name(self.source)


ROWS: Final = (
    Backend(
        name="zerocopy",
        source="zcframe.framework.sources.zerocopy.source:Zerocopy",
        findings=("family", "abi", "privileges"),
        suits=_by_card,
        refusals=(NO_ANY, NO_FANOUT, ALWAYS_PROMISCUOUS),
        auto=lambda interface: shares_rings(interface.driver),
        sets_link=True,
        sets_rss=True,
        sets_interrupts=True,
    ),
    Backend(
        name="packet",
        source="zcframe.framework.sources.packet.source:Packet",
        findings=("packet",),
        suits=_by_cpus,
        refusals=(NO_ANY_VERIFIED, NO_ANY_BY_QUEUE, NO_VERIFY_BUT_BY_QUEUE, NO_HUGEPAGES),
        auto=lambda _: True,
    ),
    Backend(
        name="xdp",
        source="zcframe.framework.sources.xdp.source:Xdp",
        findings=("xdp",),
        suits=_by_queues,
        refusals=(NO_ANY, NO_FANOUT, NO_HUGEPAGES),
    ),
)
BACKENDS: Final = {row.name: row for row in ROWS}


def backend_of(interface: Interface) -> Backend:
    """The source that captures from an interface where nobody chose one."""
    return next(row for row in ROWS if row.auto(interface))


def choose_backend(ifname: str, wanted: str, root: Path = CLASS_NET) -> Backend:
    """The source named `wanted`, or for "auto" the one that suits the interface. Raises NicError without one."""
    if ifname == ANY:
        return BACKENDS["packet" if wanted == "auto" else wanted]
    interface = Interface(ifname, root)
    return backend_of(interface) if wanted == "auto" else BACKENDS[wanted]
