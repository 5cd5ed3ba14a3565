"""Gives a card to another driver, or back to its own (Documentation/ABI/testing/sysfs-bus-pci).

`driver_override` names the only driver that may take a function; `unbind` frees the function; `drivers_probe` has a
driver take it. Where a step fails, the earlier steps are undone.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from zcframe.framework.errors import NicError, UsageError
from zcframe.framework.sysfs import ROOT

from .card import FAMILY, card_driven_by, module_path, shares_rings
from .pci import PciFunction, devices, driver_folder, driver_of, ethernet_function

# An empty line removes the override.
NONE: Final = "\n"


class PciBus:
    """The PCI bus below `root`. Writing is a method of its own, in whose place tests put a kernel."""

    def __init__(self, root: Path = ROOT) -> None:
        self.root = root

    def write(self, path: Path, text: str) -> None:
        """Hand the kernel a text; the file is never created. Raises NicError where the kernel refuses."""
        try:
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_TRUNC), "w") as file:
                file.write(text)
        except PermissionError:
            raise NicError(f"no permission to write to {path}: run as root") from None
        except OSError as error:
            raise NicError(f"the kernel refused {text.strip()!r} in {path}: {error.strerror}") from error

    def driver_of(self, address: str) -> str:
        return driver_of(address, self.root)

    def override(self, address: str, driver: str) -> None:
        self.write(devices(self.root) / address / "driver_override", driver or NONE)

    def release(self, address: str, driver: str) -> None:
        self.write(driver_folder(driver, self.root) / "unbind", address)

    def attach(self, address: str, driver: str) -> None:
        self.write(driver_folder(driver, self.root) / "bind", address)

    def probe(self, address: str) -> None:
        """Have any matching driver take the function. The kernel reports no error where none does."""
        self.write(self.root / "sys/bus/pci/drivers_probe", address)

    def put_back(self, before: PciFunction) -> None:
        """Give the function its former driver and override. Raises NicError."""
        self.override(before.address, before.override)
        now = self.driver_of(before.address)
        if now == before.driver:
            return
        if now:
            self.release(before.address, now)
        if before.driver:
            self.attach(before.address, before.driver)


@contextmanager
def _all_or_nothing(before: PciFunction, bus: PciBus) -> Iterator[None]:
    """Where a step inside fails, put the function back as it was."""
    try:
        yield
    except BaseException as failure:
        try:
            bus.put_back(before)
        except NicError as error:
            raise NicError(f"{failure}; and it could not be undone: {error}") from failure
        raise


def _loading(driver: str) -> str:
    if shares_rings(driver):
        return f"make kernel, then insmod {module_path(FAMILY)} and insmod {module_path(driver)}"
    return f"modprobe {driver}"


def _refuse_busy(function: PciFunction, carriers: Collection[str]) -> None:
    for ifname in function.interfaces:
        if ifname in carriers:
            raise NicError(
                f"{function.address}: {ifname} carries this machine's default route: taking its driver away would cut"
                " the machine off; move the route to another interface first"
            )


def _check_driver(function: PciFunction, driver: str, root: Path) -> None:
    # With an override the kernel does not look at the driver's own list of cards.
    card = card_driven_by(driver)
    if card is not None and function.id not in card.ids:
        raise UsageError(f"{function.address} is a {function.id}: {driver} takes only {', '.join(card.ids)}")
    if not driver or "/" in driver or not driver_folder(driver, root).is_dir():
        raise NicError(f"the driver {driver} is not loaded: {_loading(driver)}")


def _check_root(function: PciFunction, root: Path) -> None:
    path = devices(root) / function.address / "driver_override"
    if not os.access(path, os.W_OK):
        raise NicError(f"no permission to write to {path}: run as root")


def bind(text: str, driver: str, carriers: Collection[str], bus: PciBus) -> PciFunction:
    """Have `driver` take the card at an address. Returns the card as it was before.

    carriers: interfaces that must stay. Raises UsageError for a card that cannot be meant, and NicError for a refusal;
    nothing is changed then.
    """
    before = ethernet_function(text, bus.root)
    _check_driver(before, driver, bus.root)
    if before.driver == driver:
        return before
    _refuse_busy(before, carriers)
    _check_root(before, bus.root)
    address = before.address
    with _all_or_nothing(before, bus):
        bus.override(address, driver)
        if before.driver:
            bus.release(address, before.driver)
        bus.probe(address)
        if bus.driver_of(address) != driver:
            raise NicError(f"{driver} did not take {address}, which is as it was: dmesg tells why")
    return before


def _own_driver_takes(before: PciFunction, bus: PciBus) -> None:
    """Have the driver of Linux for our card take it, where loaded; else any matching driver but the former one."""
    address = before.address
    if before.card is not None and driver_folder(before.card.in_tree, bus.root).is_dir():
        bus.attach(address, before.card.in_tree)
        return
    bus.probe(address)
    if before.driver and bus.driver_of(address) == before.driver:
        bus.release(address, before.driver)


def unbind(text: str, carriers: Collection[str], bus: PciBus) -> tuple[PciFunction, str]:
    """Give the card at an address back to its own driver. Returns the card as it was, and the driver that has it now.

    That is "" where no driver is loaded that takes the card. Raises as `bind` does.
    """
    before = ethernet_function(text, bus.root)
    if before.driver and not shares_rings(before.driver) and not before.override:
        return before, before.driver
    _refuse_busy(before, carriers)
    _check_root(before, bus.root)
    address = before.address
    with _all_or_nothing(before, bus):
        if before.driver:
            bus.release(address, before.driver)
        bus.override(address, "")
        _own_driver_takes(before, bus)
    return before, bus.driver_of(address)
