"""Cards and interfaces in text: what `zcframe nic list` prints, and what binding one to a driver came to."""

from __future__ import annotations

from collections.abc import Iterator

from zcframe.framework.nic.cards.card import Card
from zcframe.framework.nic.cards.inventory import Controller, Inventory, Port
from zcframe.framework.nic.cards.pci import PciFunction

from .text import table

HEADER = ("address", "id", "name", "driver", "interface", "state", "")


def _remarks(port: Port | None, card: Card | None) -> str:
    words = ["default route"] if port is not None and port.default_route else []
    return ", ".join([*words, *([f"for {card.driver}"] if card is not None else [])])


def _rows(controller: Controller) -> list[tuple[str, ...]]:
    """A row an interface; one row for a card that has no interface here."""
    function = controller.function
    card = (function.address, function.id, controller.name, function.driver or "-")
    return [
        (*card, port.name if port else "-", port.state if port else "-", _remarks(port, function.card))
        for port in controller.ports or (None,)
    ]


def inventory_lines(inventory: Inventory) -> list[str]:
    """All cards with their interfaces, then the interfaces without a card."""
    rows = [row for controller in inventory.controllers for row in _rows(controller)]
    rows += [("-", "-", "virtual", "-", port.name, port.state, _remarks(port, None)) for port in inventory.virtual]
    return table(HEADER, rows)


def _interfaces(function: PciFunction) -> str:
    return f"interface {', '.join(function.interfaces)}" if function.interfaces else "no interface in this namespace"


def _change_line(before: PciFunction, now: PciFunction) -> str:
    holder = f"{now.driver} has it, {_interfaces(now)}" if now.driver else "no driver that is loaded takes it"
    return f"{now.address}: {holder}; {before.driver or 'no driver'} had it before"


def bind_lines(before: PciFunction, now: PciFunction, driver: str) -> Iterator[str]:
    """What `zcframe nic bind` did, and the command that undoes it."""
    if before.driver == driver:
        yield f"{before.address}: {driver} has it already, {_interfaces(before)}"
        return
    yield _change_line(before, now)
    former = f"bind {before.address} --driver {before.override}" if before.override else f"unbind {before.address}"
    yield f"undo: zcframe nic {former}"


def unbind_lines(before: PciFunction, now: PciFunction, driver: str) -> Iterator[str]:
    """What `zcframe nic unbind` did, and the command that undoes it. driver: the one that has the card now, or ""."""
    if driver and before.driver == driver:
        yield f"{before.address}: {driver} has it, by itself: there is nothing to give back"
        return
    yield _change_line(before, now)
    if not driver:
        yield f'to have it taken: modprobe "$(cat /sys/bus/pci/devices/{before.address}/modalias)"'
    if before.driver:
        yield f"undo: zcframe nic bind {before.address} --driver {before.driver}"
