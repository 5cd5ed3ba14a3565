"""Which source captures from an interface, where nobody chose."""

from __future__ import annotations

from pathlib import Path

from zcframe.framework.nic import Interface
from zcframe.framework.nic.cards.card import shares_rings
from zcframe.framework.sysfs import CLASS_NET

from .plan import Backend


def choose_backend(ifname: str, wanted: str, root: Path = CLASS_NET) -> Backend:
    """`wanted`, or for "auto" zerocopy where the interface's driver shares its rings, else packet.

    Raises NicError where there is no such interface.
    """
    interface = Interface(ifname, root)
    if wanted in ("zerocopy", "packet", "xdp"):
        return wanted  # type: ignore[return-value]  # just compared
    return "zerocopy" if shares_rings(interface.driver) else "packet"
