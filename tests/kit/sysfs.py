"""A made-up PCI bus in a folder, and a kernel that does what a write to it asks for."""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping
from pathlib import Path

from zcframe.framework.errors import NicError
from zcframe.framework.nic.cards.bind import PciBus

DEVICES = "sys/bus/pci/devices"
DRIVERS = "sys/bus/pci/drivers"
PROBE = "sys/bus/pci/drivers_probe"


def files(root: Path, content: Mapping[str, str]) -> Path:
    """Files by their paths below the root."""
    for name, text in content.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def add_driver(root: Path, name: str) -> None:
    files(root, {f"{DRIVERS}/{name}/{file}": "" for file in ("bind", "unbind")} | {PROBE: ""})


def add_function(root: Path, address: str, identity: str, driver: str = "", kind: str = "0x020000") -> Path:
    """A function that a driver has, where one is named; its folder."""
    vendor, device = identity.split(":")
    folder = f"{DEVICES}/{address}"
    facts = {"vendor": f"0x{vendor}", "device": f"0x{device}", "class": kind, "driver_override": "(null)"}
    files(root, {f"{folder}/{name}": f"{text}\n" for name, text in facts.items()})
    if driver:
        add_driver(root, driver)
        (root / folder / "driver").symlink_to(root / DRIVERS / driver)
    return root / folder


def add_interface(root: Path, name: str, device: Path | None = None, flags: int = 0x1003, carrier: str = "1") -> None:
    """An interface of a device, or a virtual one."""
    facts = {"flags": hex(flags), "carrier": carrier, "ifindex": "7", "address": "02:00:00:00:00:01", "type": "1"}
    files(root, {f"sys/class/net/{name}/{fact}": f"{text}\n" for fact, text in facts.items()})
    if device is not None:
        (root / "sys/class/net" / name / "device").symlink_to(device)
        (device / "net" / name).mkdir(parents=True)


def picture(root: Path) -> dict[str, str]:
    """What can be seen of every function: its driver and its override."""
    found = {}
    for device in (root / DEVICES).iterdir():
        link = device / "driver"
        found[f"{device.name} driver"] = link.resolve().name if link.is_symlink() else ""
        found[f"{device.name} override"] = (device / "driver_override").read_text().strip() or "(null)"
    return found


class Kernel(PciBus):
    """As drivers/pci/pci-driver.c and drivers/base/bus.c have it.

    drivers: those that are loaded, in that order, with the IDs that they take; unable: those whose probe fails; failing:
    number of the write that fails, counted from 1; written: what was written so far, as (path below the root, text).
    """

    def __init__(self, root: Path, drivers: Mapping[str, tuple[str, ...]], unable: str = "", failing: int = 0) -> None:
        super().__init__(root)
        self.drivers, self.unable, self.failing = drivers, unable, failing
        self.written: list[tuple[str, str]] = []
        for name in drivers:
            add_driver(root, name)

    def write(self, path: Path, text: str) -> None:
        self.written.append((str(path.relative_to(self.root)), text))
        if len(self.written) == self.failing:
            raise NicError(f"the kernel refused {text.strip()!r} in {path}: {os.strerror(errno.EIO)}")
        super().write(path, text)
        if path.name == "drivers_probe":
            self._probe(text)
        elif path.name in ("bind", "unbind"):
            self._by_hand(path, text)

    def _link(self, address: str) -> Path:
        return self.root / DEVICES / address / "driver"

    def _matches(self, driver: str, address: str) -> bool:
        device = self.root / DEVICES / address
        override = (device / "driver_override").read_text().strip()
        if override not in ("", "(null)"):
            return override == driver
        identity = ":".join((device / name).read_text().strip()[2:] for name in ("vendor", "device"))
        return identity in self.drivers[driver]

    def _take(self, driver: str, address: str) -> bool:
        if driver == self.unable or not self._matches(driver, address):
            return False
        self._link(address).symlink_to(self.root / DRIVERS / driver)
        return True

    def _probe(self, address: str) -> None:
        if not self._link(address).is_symlink():
            any(self._take(driver, address) for driver in self.drivers)

    def _by_hand(self, path: Path, address: str) -> None:
        link, driver = self._link(address), path.parent.name
        if path.name == "unbind" and link.is_symlink() and link.resolve().name == driver:
            link.unlink()
        elif path.name == "unbind" or link.is_symlink() or not self._take(driver, address):
            raise NicError(f"the kernel refused {address!r} in {path}: {os.strerror(errno.ENODEV)}")
