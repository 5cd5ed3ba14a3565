"""One card or interface on one screen: its driver, how it spreads, where its interrupts go, what rings it shares."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from zcframe.framework.errors import NicError
from zcframe.framework.nic.cards.pci import PciFunction, function_of
from zcframe.framework.nic.cards.pciids import device_names
from zcframe.framework.nic.ethtool.driver import read_driver
from zcframe.framework.nic.link.interface import Interface
from zcframe.framework.nic.link.irq import cpus_of, irqs_of
from zcframe.framework.sysfs import ROOT

from .memshare import SharedRing, shared_rings
from .status import Status, read_status, status_lines


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
    device = Interface(ifname).identity[2]
    found = sorted(irqs_of(ifname, proc, device).items())
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


def _card_line(function: PciFunction) -> str:
    name = device_names([function.id]).get(function.id, "")
    return f"card      {function.address}  {function.id}  {name}".rstrip()


def _interrupt_lines(interrupts: tuple[QueueInterrupt, ...]) -> list[str]:
    rows = [f"queue {one.queue}: {one.irq} on CPU {one.cpus or 'unknown'}" for one in interrupts]
    return [
        f"{'' if i else 'irqs':9} {row}" for i, row in enumerate(rows or ["none by queue while it is down, or none"])
    ]


def _ring_lines(rings: tuple[SharedRing, ...]) -> list[str]:
    rows = [
        f"{ring.direction} queue {ring.queue}: {ring.state}, {ring.slots} slots, {ring.waiting} waiting;"
        f" arrived {ring.arrived:,}, nic_drop {ring.nic_drop:,}, ring_full {ring.ring_full:,}"
        for ring in rings
    ]
    return [f"{'' if i else 'shared':9} {row}" for i, row in enumerate(rows)]


def overview_lines(overview: Overview) -> list[str]:
    """For people."""
    first, *rest = status_lines(overview.status)
    card = [_card_line(overview.function)] if overview.function else []
    link = "" if not overview.status.up else ", link" if overview.linked else ", no link"
    return [
        f"{first}{link}",
        *card,
        f"driver    {overview.driver or 'not told'}",
        *rest,
        *_interrupt_lines(overview.interrupts),
        *_ring_lines(overview.rings),
    ]
