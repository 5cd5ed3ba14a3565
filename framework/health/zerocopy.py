"""The fast path: PF_ZEROCOPY, and a card that a driver of ours drives. A machine without such a card lacks nothing."""

from __future__ import annotations

from typing import Final

from zcframe.framework import abi as layout
from zcframe.framework.nic.cards.card import CARDS, FAMILY, Card, module_path
from zcframe.framework.nic.cards.pci import PciFunction, ethernet_functions

from .check import Check, State
from .host import Host

MODULE: Final = f"sys/module/{FAMILY}"
LOAD: Final = f"make kernel && insmod {module_path(FAMILY)}"


def _cards(host: Host) -> list[tuple[PciFunction, Card]]:
    """Cards of this machine that a driver of ours takes."""
    found = ((function, function.card) for function in ethernet_functions(host.root))
    return [(function, card) for function, card in found if card is not None]


def _driver(host: Host) -> str:
    """The driver that this machine's card needs; where it has none of our cards, the first that there is."""
    return next((card.driver for _, card in _cards(host)), CARDS[0].driver)


def _lack(host: Host) -> State:
    """State of a missing part of the fast path: a warning only where the machine has a card for it."""
    return "warn" if _cards(host) else "none"


def loaded(host: Host) -> bool:
    return (host.root / MODULE).is_dir()


def family(host: Host) -> Check:
    if not loaded(host):
        return Check("family", _lack(host), "PF_ZEROCOPY is not loaded", LOAD)
    number = host.number(f"{MODULE}/parameters/family")
    return Check("family", "ok", f"PF_ZEROCOPY is loaded, number {'unknown' if number is None else number}")


def abi(host: Host) -> Check:
    version = host.number(f"{MODULE}/parameters/abi")
    if version is None:
        reason = "the module does not tell its version" if loaded(host) else "no module, no version"
        return Check("abi", "none", f"{reason}; this command speaks {layout.VERSION}")
    if version != layout.VERSION:
        reload = f"rmmod {_driver(host)} {FAMILY}; {LOAD} && insmod {module_path(_driver(host))}"
        return Check("abi", "warn", f"the module speaks {version}, this command {layout.VERSION}", reload)
    return Check("abi", "ok", f"module and command speak {version}")


def driver(host: Host) -> Check:
    name = _driver(host)
    if (host.root / "sys/module" / name).is_dir():
        return Check("driver", "ok", f"{name} is loaded")
    return Check("driver", _lack(host), f"{name} is not loaded", f"insmod {module_path(name)}")


def card(host: Host) -> Check:
    cards = _cards(host)
    if not cards:
        known = " or ".join(f"{card.vendor} {card.name}" for card in CARDS)
        return Check("card", "none", f"there is no {known} here; other cards are captured from by packet and xdp")
    name = _driver(host)
    ours = [function.address for function, _ in cards if function.driver == name]
    if ours:
        return Check("card", "ok", f"{name} drives {', '.join(ours)}")
    first, card = cards[0]
    taken = f"{first.driver} drives it" if first.driver else "no driver has it"
    return Check("card", "warn", f"{first.address} is an {card.name}, {taken}", f"zcframe nic bind {first.address}")


def privileges(host: Host) -> Check:
    missing = host.missing("CAP_NET_RAW", "CAP_NET_ADMIN")
    if missing:
        text = f"{' and '.join(missing)} missing: no queue may be taken"
        return Check("privileges", _lack(host), text, "run as root, which sets the card up")
    return Check("privileges", "ok", "queues may be opened and taken")


def iommu(host: Host) -> Check:
    if host.entries("sys/class/iommu", "*"):
        return Check("iommu", "ok", "the card reaches what was mapped for it, and nothing else")
    text = "none in force: nothing but its driver holds a card's DMA back"
    return Check("iommu", _lack(host), text, "boot the kernel with intel_iommu=on or amd_iommu=on")


CHECKS: Final = (family, abi, driver, card, privileges, iommu)
