"""Which source captures from an interface, where nobody chose."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from ..nic import Interface
from .plan import Backend

SYSFS: Final = Path("/sys/class/net")
# Drivers that share their rings with PF_ZEROCOPY.
SHARING: Final = ("zc82576",)


def choose_backend(ifname: str, wanted: str, root: Path = SYSFS) -> Backend:
    """`wanted`, or for "auto" zerocopy where the interface's driver shares its rings, else packet.

    Raises NicError where there is no such interface.
    """
    Interface(ifname, root)
    if wanted in ("zerocopy", "packet", "xdp"):
        return wanted  # type: ignore[return-value]  # just compared
    driver = root / ifname / "device" / "driver"
    return "zerocopy" if driver.exists() and driver.resolve().name in SHARING else "packet"
