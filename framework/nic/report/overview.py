"""One card or interface on one screen: its driver, how it spreads, where its interrupts go, what rings it shares."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from zcframe.framework.errors import NicError
from zcframe.framework.nic.cards.pci import PciFunction, function_of
from zcframe.framework.nic.ethtool.driver import read_driver
from zcframe.framework.nic.link.interface import Interface
from zcframe.framework.nic.link.irq import cpus_of, interrupts_of
from zcframe.framework.sysfs import ROOT

from .memshare import SharedRing, shared_rings
from .status import Status, read_status


@dataclass(frozen=True)
class QueueInterrupt:
    """The interrupt of a queue. cpus: those that may take it, such as "3" or "0-7"."""

    queue: int
    irq: int
    cpus: str


@dataclass(frozen=True)
class Overview:
    """An interface at one moment. function: None for a virtual interface; driver: "" where it is not reported."""

    function: PciFunction | None
    driver: str
    linked: bool
    status: Status
    interrupts: tuple[QueueInterrupt, ...]
    rings: tuple[SharedRing, ...]

    def document(self) -> dict[str, Any]:
        """The same facts for JSON."""
        return self.status.document() | {
            "pci": self.function and {"address": self.function.address, "id": self.function.id},
            "driver": self.driver,
            "linked": self.linked,
            "interrupts": [asdict(interrupt) for interrupt in self.interrupts],
            "shared_rings": [asdict(ring) for ring in self.rings],
        }


def _driver(ifname: str) -> str:
    try:
        return read_driver(ifname).name
    except NicError:
        return ""


def _interrupts(ifname: str, proc: Path) -> tuple[QueueInterrupt, ...]:
    found = sorted(interrupts_of(Interface(ifname), proc).items())
    return tuple(QueueInterrupt(queue, irq, cpus_of(irq, proc)) for queue, irq in found)


def read_overview(ifname: str, root: Path = ROOT) -> Overview:
    """Overview of an interface. Raises NicError where this network namespace has no interface of that name."""
    return Overview(
        function=function_of(ifname, root),
        driver=_driver(ifname),
        linked=Interface(ifname).linked,
        status=read_status(ifname),
        interrupts=_interrupts(ifname, root / "proc"),
        rings=tuple(shared_rings(ifname, root)),
    )
