"""Interrupts of a NIC's queues, the CPUs that they go to, and irqbalance, which moves them."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path

from zcframe.framework.sysfs import PROC

from .interface import Interface


def _names(ifname: str, device: str) -> re.Pattern[str]:
    """Names of the interrupt of queue 3: "zc0-rxtx-3", "i40e-eth0-TxRx-3", "mlx5_comp3@pci:...", "virtio0-input.3"."""
    names = [rf"(?:\w+-)?{re.escape(ifname)}-(?:rxtx|txrx|tx-rx|rx|fp)-(\d+)"]
    if device:
        names += [rf"mlx5_comp(\d+)@pci:{re.escape(device)}", rf"{re.escape(device)}-input\.(\d+)"]
    return re.compile("|".join(names), re.IGNORECASE)


def irqs_of(ifname: str, root: Path = PROC, device: str = "") -> dict[int, int]:
    """Queue -> interrupt, of an interface that is up; empty where no interrupt is named after a queue.

    device: bus address of the interface, after which some drivers name their interrupts.
    """
    pattern, table = _names(ifname, device), root / "interrupts"
    found = {}
    for row in table.read_text().splitlines() if table.exists() else ():
        words = row.split()
        named = pattern.fullmatch(words[-1]) if words and words[0].rstrip(":").isdigit() else None
        if named:
            found[int(named[named.lastindex or 1])] = int(words[0].rstrip(":"))
    return found


def interrupts_of(interface: Interface, root: Path = PROC) -> dict[int, int]:
    """Queue -> interrupt, of this very interface.

    Interrupts are the machine's, and may bear the name of an interface of another network namespace: those of another
    device are left out.
    """
    named, own = irqs_of(interface.name, root, interface.identity[2]), interface.interrupts
    return {queue: irq for queue, irq in named.items() if own is None or irq in own}


def cpus_of(irq: int, root: Path = PROC) -> str:
    """The CPUs that may take an interrupt, as a list such as "0-3"; "" where it is gone."""
    try:
        return (root / "irq" / str(irq) / "smp_affinity_list").read_text().strip()
    except OSError:
        return ""


def irqbalance_runs(root: Path = PROC) -> bool:
    """Whether a process named irqbalance runs."""
    for path in root.glob("[0-9]*/comm"):
        with contextlib.suppress(OSError, UnicodeDecodeError):
            if path.read_text().strip() == "irqbalance":
                return True
    return False
