"""`zcframe nic list|bind|unbind|status`: which cards there are, which driver has them, and how one is doing."""

from __future__ import annotations

import argparse
import re
from typing import TYPE_CHECKING

from zcframe.framework.errors import UsageError

from .parser import add_options
from .verb import Verb

if TYPE_CHECKING:
    from zcframe.framework.nic.cards.card import Card
    from zcframe.framework.nic.cards.inventory import Controller, Inventory, Port
    from zcframe.framework.nic.cards.pci import PciFunction

# Taken for a card that no driver of ours knows. Named here because help comes without numpy, which nic needs.
DRIVER = "zc82576"
HEADER = ("address", "id", "name", "driver", "interface", "state", "")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = "Verbs, each with a --help of its own: " + "; ".join(f"{n}: {v.doc}" for n, v in VERBS.items())
    add_options(parser, ["verbose"])


def execute(options: argparse.Namespace) -> int:
    """A verb is needed."""
    raise UsageError(f"zcframe nic needs a verb: {', '.join(VERBS)} (zcframe nic --help says what they do)")


def _driver(text: str) -> str:
    if not re.fullmatch(r"[\w-]+", text):
        raise argparse.ArgumentTypeError(f"{text!r} is no name of a driver")
    return text


def _list_arguments(parser: argparse.ArgumentParser) -> None:
    add_options(parser, ["json", "verbose"])


def _bind_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("pci", metavar="PCI", help="address of the card, such as 0000:02:00.0 or 02:00.0")
    parser.add_argument(
        "--driver", type=_driver, metavar="NAME", help=f"the driver that is to take it (default {DRIVER})"
    )
    add_options(parser, ["verbose"])


def _unbind_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("pci", metavar="PCI", help="address of the card")
    add_options(parser, ["verbose"])


def _status_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "name", metavar="IFACE|PCI", nargs="?", help="interface or address of a card (default: all cards)"
    )
    add_options(parser, ["json", "verbose"])


def _remarks(port: Port | None, card: Card | None) -> str:
    words = ["default route"] if port is not None and port.default_route else []
    return ", ".join([*words, *([f"for {card.driver}"] if card is not None else [])])


def _rows(controller: Controller) -> list[tuple[str, ...]]:
    """One for each interface; one without, where the card has none here."""
    function = controller.function
    card = (function.address, function.id, controller.name, function.driver or "-")
    return [
        (*card, port.name if port else "-", port.state if port else "-", _remarks(port, function.card))
        for port in controller.ports or (None,)
    ]


def _print_inventory(inventory: Inventory) -> None:
    from zcframe.framework.show.text import table

    rows = [row for controller in inventory.controllers for row in _rows(controller)]
    rows += [("-", "-", "virtual", "-", port.name, port.state, _remarks(port, None)) for port in inventory.virtual]
    print("\n".join(table(HEADER, rows)))


def _list(options: argparse.Namespace) -> int:
    from zcframe.framework.nic.cards.inventory import take_inventory
    from zcframe.framework.nic.link.route import default_carriers

    inventory = take_inventory(default_carriers())
    if getattr(options, "json", False):
        from zcframe.framework.outputs.document import one_line

        print(one_line(inventory.document()))
    else:
        _print_inventory(inventory)
    return 0


def _interfaces(function: PciFunction) -> str:
    return f"interface {', '.join(function.interfaces)}" if function.interfaces else "no interface in this namespace"


def _print_change(before: PciFunction, now: PciFunction) -> None:
    held = f"{now.driver} has it, {_interfaces(now)}" if now.driver else "no driver that is loaded takes it"
    print(f"{now.address}: {held}; {before.driver or 'no driver'} had it before")


def _bind(options: argparse.Namespace) -> int:
    from zcframe.framework.nic.cards.bind import PciBus, bind
    from zcframe.framework.nic.cards.pci import ethernet_function
    from zcframe.framework.nic.link.route import default_carriers

    bus = PciBus()
    card = ethernet_function(options.pci, bus.root).card
    driver = getattr(options, "driver", card.driver if card is not None else DRIVER)
    before = bind(options.pci, driver, default_carriers(), bus)
    if before.driver == driver:
        print(f"{before.address}: {driver} has it already, {_interfaces(before)}")
        return 0
    former = f"bind {before.address} --driver {before.override}" if before.override else f"unbind {before.address}"
    _print_change(before, ethernet_function(before.address, bus.root))
    print(f"undo: zcframe nic {former}")
    return 0


def _unbind(options: argparse.Namespace) -> int:
    from zcframe.framework.nic.cards.bind import PciBus, unbind
    from zcframe.framework.nic.cards.pci import ethernet_function
    from zcframe.framework.nic.link.route import default_carriers

    bus = PciBus()
    before, driver = unbind(options.pci, default_carriers(), bus)
    if driver and before.driver == driver:
        print(f"{before.address}: {driver} has it, by itself: there is nothing to give back")
        return 0
    _print_change(before, ethernet_function(before.address, bus.root))
    if not driver:
        print(f'to have it taken: modprobe "$(cat /sys/bus/pci/devices/{before.address}/modalias)"')
    if before.driver:
        print(f"undo: zcframe nic bind {before.address} --driver {before.driver}")
    return 0


def _named_interfaces(name: str) -> list[str]:
    """Of an interface or of the card at an address. Raises UsageError and NicError."""
    from zcframe.framework.errors import NicError
    from zcframe.framework.nic.cards.pci import ADDRESS, ethernet_function

    if not ADDRESS.fullmatch(name.lower()):
        return [name]
    function = ethernet_function(name)
    if not function.interfaces:
        holder = f"{function.driver} has it" if function.driver else "no driver has it"
        raise NicError(f"{function.address} has no interface in this network namespace: {holder}")
    return list(function.interfaces)


def _card_interfaces() -> list[str]:
    from zcframe.framework.errors import NicError
    from zcframe.framework.nic.cards.pci import ethernet_functions

    found = [name for function in ethernet_functions() for name in function.interfaces]
    if not found:
        raise NicError("no Ethernet card has an interface here: name one (zcframe nic list shows all)")
    return found


def _status(options: argparse.Namespace) -> int:
    from zcframe.framework.nic.report.overview import overview_lines, read_overview

    name = getattr(options, "name", None)
    found = [read_overview(ifname) for ifname in (_named_interfaces(name) if name else _card_interfaces())]
    if getattr(options, "json", False):
        from zcframe.framework.outputs.document import one_line

        print(one_line({"interfaces": [overview.document() for overview in found]}))
    else:
        print("\n\n".join("\n".join(overview_lines(overview)) for overview in found))
    return 0


VERBS = {
    "list": Verb("list cards and interfaces, with their drivers", _list_arguments, _list),
    "bind": Verb(f"have a driver, {DRIVER} unless told otherwise, take a card", _bind_arguments, _bind),
    "unbind": Verb("give a card back to its own driver", _unbind_arguments, _unbind),
    "status": Verb("show one card on one screen", _status_arguments, _status),
}
