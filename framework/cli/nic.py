"""`zcframe nic list|bind|unbind|status`: which cards there are, which driver has them, and the state of one."""

from __future__ import annotations

import argparse
import re

from zcframe.framework.errors import UsageError

from .answer import answer
from .parser import add_options
from .verb import Verb

# Taken for a card that no driver of ours knows. Named here because help comes without numpy, which nic needs.
DRIVER = "zc82576"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = "Verbs, each with a --help of its own: " + "; ".join(f"{n}: {v.doc}" for n, v in VERBS.items())
    add_options(parser, ["verbose"])


def execute(options: argparse.Namespace) -> int:
    """Refuse the command without a verb."""
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


def _list(options: argparse.Namespace) -> int:
    from zcframe.framework.nic.cards.inventory import take_inventory
    from zcframe.framework.nic.link.route import default_carriers
    from zcframe.framework.show.inventory import inventory_lines

    inventory = take_inventory(default_carriers())
    answer(inventory.document, lambda: inventory_lines(inventory), json="json" in options)
    return 0


def _bind(options: argparse.Namespace) -> int:
    from zcframe.framework.nic.cards.bind import PciBus, bind
    from zcframe.framework.nic.cards.pci import ethernet_function
    from zcframe.framework.nic.link.route import default_carriers
    from zcframe.framework.show.inventory import bind_lines

    bus = PciBus()
    card = ethernet_function(options.pci, bus.root).card
    driver = getattr(options, "driver", card.driver if card is not None else DRIVER)
    before = bind(options.pci, driver, default_carriers(), bus)
    now = ethernet_function(before.address, bus.root)
    print("\n".join(bind_lines(before, now, driver)))
    return 0


def _unbind(options: argparse.Namespace) -> int:
    from zcframe.framework.nic.cards.bind import PciBus, unbind
    from zcframe.framework.nic.cards.pci import ethernet_function
    from zcframe.framework.nic.link.route import default_carriers
    from zcframe.framework.show.inventory import unbind_lines

    bus = PciBus()
    before, driver = unbind(options.pci, default_carriers(), bus)
    now = ethernet_function(before.address, bus.root)
    print("\n".join(unbind_lines(before, now, driver)))
    return 0


def _named_interfaces(name: str) -> list[str]:
    """The interface of this name, or the interfaces of the card at this address. Raises UsageError, NicError."""
    from zcframe.framework.errors import NicError
    from zcframe.framework.nic import Interface
    from zcframe.framework.nic.cards.pci import ADDRESS, ethernet_function

    if not ADDRESS.fullmatch(name.lower()):
        return [Interface(name).name]
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
    from zcframe.framework.nic.report.overview import read_overview
    from zcframe.framework.show.nic import overview_lines

    name = getattr(options, "name", None)
    found = [read_overview(ifname) for ifname in (_named_interfaces(name) if name else _card_interfaces())]
    answer(
        lambda: {"interfaces": [overview.document() for overview in found]},
        lambda: ["\n\n".join("\n".join(overview_lines(overview)) for overview in found)],
        json="json" in options,
    )
    return 0


VERBS = {
    "list": Verb("list cards and interfaces, with their drivers", _list_arguments, _list),
    "bind": Verb(f"have a driver, {DRIVER} unless told otherwise, take a card", _bind_arguments, _bind),
    "unbind": Verb("give a card back to its own driver", _unbind_arguments, _unbind),
    "status": Verb("show one card on one screen", _status_arguments, _status),
}
