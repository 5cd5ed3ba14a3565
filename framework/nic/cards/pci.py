"""PCI functions that are Ethernet controllers, as sysfs shows them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from zcframe.framework.errors import UsageError
from zcframe.framework.nearest import hint
from zcframe.framework.nic.link.netlink import links
from zcframe.framework.sysfs import ROOT

from .card import Card, card_of

# "0000:02:00.0", or "02:00.0" in domain 0, as lspci prints it.
ADDRESS: Final = re.compile(r"(?:([0-9a-f]{4,8}):)?([0-9a-f]{2}:[01][0-9a-f]\.[0-7])")
ETHERNET: Final = "0x0200"
NO_OVERRIDE: Final = ("", "(null)")


@dataclass(frozen=True)
class PciFunction:
    """One Ethernet controller at one moment.

    address: "0000:02:00.0"; id: "8086:10c9"; driver, override: "" where there is none; interfaces: its interfaces in
    this network namespace.
    """

    address: str
    id: str
    driver: str
    override: str
    interfaces: tuple[str, ...]

    @property
    def card(self) -> Card | None:
        """The entry of this card in our table; None where no driver of ours takes it."""
        return card_of(self.id)


def _text(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""


def devices(root: Path) -> Path:
    return root / "sys/bus/pci/devices"


def driver_folder(driver: str, root: Path) -> Path:
    return root / "sys/bus/pci/drivers" / driver


def driver_of(address: str, root: Path) -> str:
    """Name of the driver that has the function; "" where there is none."""
    link = devices(root) / address / "driver"
    return link.resolve().name if link.exists() else ""


def parse_address(text: str) -> str:
    """The address in full. Raises UsageError where the text is no address."""
    found = ADDRESS.fullmatch(text.lower())
    if not found:
        raise UsageError(f"{text!r} is no PCI address such as 0000:02:00.0 (zcframe nic list shows them)")
    return f"{found[1] or '0000'}:{found[2]}"


def _interfaces(device: Path, root: Path) -> tuple[str, ...]:
    """Interfaces of the function itself, or of the one device below it, as with virtio."""
    if root != ROOT:
        return tuple(sorted(path.name for pattern in ("net/*", "*/net/*") for path in device.glob(pattern)))
    # A sysfs has the function's interfaces of the network namespace that it was mounted in: another one, perhaps.
    devices = {device.name, *(path.name for path in device.iterdir() if path.is_dir())}
    return tuple(sorted(link.name for link in links() if link.bus and link.parent in devices))


def _read(device: Path, root: Path) -> PciFunction:
    override = _text(device / "driver_override")
    return PciFunction(
        address=device.name,
        id=":".join(_text(device / name).removeprefix("0x") for name in ("vendor", "device")),
        driver=driver_of(device.name, root),
        override="" if override in NO_OVERRIDE else override,
        interfaces=_interfaces(device, root),
    )


def _is_ethernet(device: Path) -> bool:
    return _text(device / "class").startswith(ETHERNET)


def ethernet_functions(root: Path = ROOT) -> list[PciFunction]:
    """All Ethernet controllers of this machine, by address."""
    folder = devices(root)
    found = sorted(folder.iterdir()) if folder.is_dir() else []
    return [_read(device, root) for device in found if _is_ethernet(device)]


def ethernet_function(text: str, root: Path = ROOT) -> PciFunction:
    """The Ethernet controller at this address. Raises UsageError where there is none, or another device."""
    address = parse_address(text)
    device = devices(root) / address
    if not device.is_dir():
        known = [function.address for function in ethernet_functions(root)]
        raise UsageError(
            f"there is no PCI function {address}{hint(address, known)} (Ethernet: {', '.join(known) or 'none'})"
        )
    if not _is_ethernet(device):
        raise UsageError(f"{address} is no Ethernet controller: its class is {_text(device / 'class') or 'not told'}")
    return _read(device, root)


def function_of(ifname: str, root: Path = ROOT) -> PciFunction | None:
    """The Ethernet controller of an interface; None for a virtual interface."""
    return next((function for function in ethernet_functions(root) if ifname in function.interfaces), None)
