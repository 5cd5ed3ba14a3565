"""Interrupts of a NIC's queues, and the CPUs that they go to."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

PROC: Final = Path("/proc")
# "zc0-rxtx-3", "eth0-TxRx-3", "eth0-rx-3": how drivers name the vector of queue 3.
QUEUE_NAME: Final = r"-(?:rxtx|txrx|rx)-(\d+)$"


def irqs_of(ifname: str, root: Path = PROC) -> dict[int, int]:
    """Queue -> interrupt, of an interface that is up; empty where names of interrupts do not tell."""
    pattern = re.compile(re.escape(ifname) + QUEUE_NAME, re.IGNORECASE)
    found = {}
    for row in (root / "interrupts").read_text().splitlines():
        words = row.split()
        named = pattern.match(words[-1]) if words and words[0].rstrip(":").isdigit() else None
        if named:
            found[int(named[1])] = int(words[0].rstrip(":"))
    return found


class Steering:
    """Interrupts that were sent elsewhere; `undo()` sends them back, once. `warnings`: those that could not be."""

    def __init__(self) -> None:
        self.warnings: list[str] = []
        self._before: list[tuple[Path, str]] = []

    def send(self, path: Path, cpu: int) -> None:
        try:
            before = path.read_text().strip()
            path.write_text(f"{cpu}\n")
        except OSError as error:
            self.warnings.append(f"interrupt {path.parent.name} stays where it is: {error.strerror}")
            return
        self._before.append((path, before))

    def undo(self) -> None:
        while self._before:
            path, cpus = self._before.pop()
            # An interrupt that is gone goes nowhere.
            with contextlib.suppress(OSError):
                path.write_text(f"{cpus}\n")


def steer(irqs: Mapping[int, int], root: Path = PROC) -> Steering:
    """Send each interrupt to a CPU."""
    steering = Steering()
    for irq, cpu in irqs.items():
        steering.send(root / "irq" / str(irq) / "smp_affinity_list", cpu)
    return steering
