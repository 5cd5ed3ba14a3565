"""One network interface by name."""

from __future__ import annotations

import contextlib
import errno
from pathlib import Path
from typing import Final

from zcframe.framework.errors import NicError
from zcframe.framework.sysfs import CLASS_NET

IFF_UP: Final = 1


class Interface:
    """An interface; each property is read anew. Raises NicError where there is no interface of that name."""

    def __init__(self, name: str, root: Path = CLASS_NET) -> None:
        self.name, self._folder = name, root / name
        if not name or "/" in name or not self._folder.is_dir():
            known = ", ".join(sorted(path.name for path in root.iterdir())) if root.is_dir() else "none"
            raise NicError(f"there is no interface {name!r}: {known}")

    def _read(self, fact: str) -> str:
        try:
            return (self._folder / fact).read_text().strip()
        except OSError as error:
            raise NicError(f"{self.name} is gone: {error.strerror}") from error

    @property
    def index(self) -> int:
        return int(self._read("ifindex"))

    @property
    def identity(self) -> tuple[int, str, str]:
        """(index, MAC address, bus address or ""): another interface of the same name differs in it."""
        device = self._folder / "device"
        return self.index, self._read("address"), device.resolve().name if device.exists() else ""

    @property
    def up(self) -> bool:
        """Whether it was brought up; that says nothing about a link."""
        return bool(int(self._read("flags"), 16) & IFF_UP)

    @property
    def linked(self) -> bool:
        """Whether its driver sees a link; an interface that is down has none."""
        try:
            return (self._folder / "carrier").read_text().strip() == "1"
        except OSError:
            return False

    @property
    def driver(self) -> str:
        """Name of the driver of its device; "" for a virtual interface."""
        link = self._folder / "device/driver"
        return link.resolve().name if link.exists() else ""


def name_of(index: int, root: Path = CLASS_NET) -> str | None:
    """The name of the interface with this index; None where there is none."""
    for path in root.glob("*/ifindex"):
        with contextlib.suppress(OSError):
            if int(path.read_text()) == index:
                return path.parent.name
    return None


def set_up(name: str, up: bool) -> None:
    """Bring an interface up or down. Raises NicError."""
    from pyroute2 import IPRoute  # slow to import, and needed only here
    from pyroute2.netlink.exceptions import NetlinkError

    index = Interface(name).index
    try:
        with IPRoute() as route:
            route.link("set", index=index, state="up" if up else "down")
    except NetlinkError as error:
        reason = "run as root, or with CAP_NET_ADMIN" if error.code == errno.EPERM else str(error)
        raise NicError(f"cannot bring {name} {'up' if up else 'down'}: {reason}") from error
