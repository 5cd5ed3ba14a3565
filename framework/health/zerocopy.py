"""The fast path: PF_ZEROCOPY and an 82576 that zc82576 drives. Without a card, none of it is missed."""

from __future__ import annotations

from typing import Final

from zcframe.framework import abi as layout
from zcframe.framework.capabilities import setcap
from zcframe.framework.nic.cards.pci import OURS, PciFunction, ethernet_functions

from .check import Check, State
from .host import Host

MODULE: Final = "sys/module/pf_zerocopy"
LOAD: Final = "make kernel && insmod kernel/pf_zerocopy.ko"
RELOAD: Final = f"rmmod zc82576 pf_zerocopy; {LOAD} && insmod kernel/zc82576.ko"


def _cards(host: Host) -> list[PciFunction]:
    return [function for function in ethernet_functions(host.root) if function.shareable]


def _lack(host: Host) -> State:
    """How bad it is that a part of the fast path is missing."""
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
        return Check("abi", "warn", f"the module speaks {version}, this command {layout.VERSION}", RELOAD)
    return Check("abi", "ok", f"module and command speak {version}")


def driver(host: Host) -> Check:
    if (host.root / "sys/module" / OURS).is_dir():
        return Check("driver", "ok", f"{OURS} is loaded")
    return Check("driver", _lack(host), f"{OURS} is not loaded", f"insmod kernel/{OURS}.ko")


def card(host: Host) -> Check:
    cards = _cards(host)
    if not cards:
        return Check("card", "none", "there is no Intel 82576 here; other cards are captured from by packet and xdp")
    ours = [function.address for function in cards if function.driver == OURS]
    if ours:
        return Check("card", "ok", f"{OURS} drives {', '.join(ours)}")
    first = cards[0]
    taken = f"{first.driver} drives it" if first.driver else "no driver has it"
    return Check("card", "warn", f"{first.address} is an 82576, {taken}", f"zcframe nic bind {first.address}")


def privileges(host: Host) -> Check:
    missing = host.missing("CAP_NET_RAW", "CAP_NET_ADMIN")
    if missing:
        text = f"{' and '.join(missing)} missing: no queue may be taken"
        return Check("privileges", _lack(host), text, setcap("CAP_NET_RAW", "CAP_NET_ADMIN"))
    return Check("privileges", "ok", "queues may be opened and taken")


def iommu(host: Host) -> Check:
    if host.entries("sys/class/iommu", "*"):
        return Check("iommu", "ok", "the card reaches what was mapped for it, and nothing else")
    text = "none in force: nothing but its driver holds a card's DMA back"
    return Check("iommu", _lack(host), text, "boot the kernel with intel_iommu=on or amd_iommu=on")


CHECKS: Final = (family, abi, driver, card, privileges, iommu)
