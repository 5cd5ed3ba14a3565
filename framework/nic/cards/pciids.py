"""Names of PCI devices, from the list that distributions install (package pci.ids)."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final

from zcframe.framework.sysfs import ROOT

from .card import CARDS

LISTS: Final = ("usr/share/misc/pci.ids", "usr/share/hwdata/pci.ids")


def _lines(root: Path) -> Iterable[str]:
    for name in LISTS:
        if (root / name).is_file():
            return (root / name).read_text(errors="replace").splitlines()
    return ()


def device_names(ids: Iterable[str], root: Path = ROOT) -> dict[str, str]:
    """PCI ID such as "8086:10c9" -> "vendor device", of known devices. The names of our own cards need no list."""
    wanted, names = set(ids), {pci_id: name for card in CARDS for pci_id, name in card.ids.items()}
    vendor = vendor_name = ""
    for line in _lines(root):
        # "8086  Intel Corporation", then a tab and "10c9  82576 ..." for each device; two tabs: a card of that device.
        number, _, name = line.strip().partition("  ")
        if not line.startswith(("\t", "#")):
            vendor, vendor_name = number, name
        elif line.startswith("\t") and (found := f"{vendor}:{number}") in wanted:
            names.setdefault(found, f"{vendor_name} {name}")
    return {found: names[found] for found in wanted if found in names}
