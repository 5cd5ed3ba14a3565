"""Inventory of this machine: Ethernet controllers with their interfaces, and interfaces without a controller."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from zcframe.framework.errors import NicError
from zcframe.framework.nic.link.interface import Interface, interface_names
from zcframe.framework.sysfs import ROOT, class_net

from .card import CARDS
from .pci import PciFunction, ethernet_functions
from .pciids import device_names


@dataclass(frozen=True)
class Port:
    """An interface at one moment. default_route: whether a default route of this machine goes by it."""

    name: str
    up: bool
    linked: bool
    default_route: bool

    @property
    def state(self) -> str:
        return "down" if not self.up else "link" if self.linked else "no link"


@dataclass(frozen=True)
class Controller:
    """A PCI function, its name where it is known, and its interfaces."""

    function: PciFunction
    name: str
    ports: tuple[Port, ...]

    def document(self) -> dict[str, Any]:
        """The same facts for JSON."""
        function = self.function
        return {
            "address": function.address,
            "id": function.id,
            "name": self.name,
            "driver": function.driver,
            "override": function.override,
            **{card.driver: function.card is card for card in CARDS},
            "interfaces": [asdict(port) for port in self.ports],
        }


@dataclass(frozen=True)
class Inventory:
    """What there is to capture from. controllers: by address; virtual: interfaces without a controller, by name."""

    controllers: tuple[Controller, ...]
    virtual: tuple[Port, ...]

    def document(self) -> dict[str, Any]:
        """The same facts for JSON."""
        return {
            "controllers": [controller.document() for controller in self.controllers],
            "virtual": [asdict(port) for port in self.virtual],
        }


def _ports(names: Iterable[str], carriers: Collection[str], root: Path) -> Iterator[Port]:
    for name in names:
        try:
            interface = Interface(name, class_net(root))
            yield Port(name, interface.up, interface.linked, name in carriers)
        except NicError:
            # The interface went away since its name was read.
            continue


def take_inventory(carriers: Collection[str], root: Path = ROOT) -> Inventory:
    """Inventory of this network namespace. carriers: interfaces that a default route goes by."""
    functions = ethernet_functions(root)
    names = device_names([function.id for function in functions], root)
    controllers = tuple(
        Controller(function, names.get(function.id, ""), tuple(_ports(function.interfaces, carriers, root)))
        for function in functions
    )
    taken = {name for function in functions for name in function.interfaces}
    every = interface_names(class_net(root))
    return Inventory(controllers, tuple(_ports((name for name in every if name not in taken), carriers, root)))
