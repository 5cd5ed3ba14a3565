"""Whether QEMU lost a wake-up: a processor that it lets sleep, though an interrupt is pending that has to wake it.

No program in the guest can bring that about. A halted processor with interrupts enabled wakes by the next interrupt
above its priority (Intel SDM 3A, 11.8.3.1); here its thread sleeps for seconds with one pending, and none in service.
"""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

from .guest import Guest

LOOKS = 3
SECONDS = 1.0
INTERRUPT_FLAG = 1 << 9


def _halted(registers: str) -> set[int]:
    """Processors that are halted with interrupts enabled, of `info registers -a`."""
    rows = re.findall(r"CPU#(\d+)\n.*?RFL=([0-9a-f]+).*?HLT=(\d)", registers, re.DOTALL)
    return {int(number) for number, flags, halted in rows if halted == "1" and int(flags, 16) & INTERRUPT_FLAG}


def _pending(apic: str) -> bool:
    """Whether an interrupt waits, and none is in service, of `info lapic`."""
    rows = dict(re.findall(r"^(ISR|IRR)\s+(.*)$", apic, re.MULTILINE))
    priority = re.search(r"PPR 0x([0-9a-f]+)", apic)
    waiting = [int(vector) for vector in re.findall(r"\d+", rows.get("IRR", ""))]
    if not waiting or not priority or re.search(r"\d", rows.get("ISR", "")):
        return False
    return max(waiting) >> 4 > int(priority[1], 16) >> 4


def _state(thread: int) -> str:
    """S: the host has nothing to run for it; one that only waits for its turn is R."""
    return Path(f"/proc/{thread}/stat").read_text().rpartition(") ")[2][0]


def _look(guest: Guest) -> set[int]:
    """Processors that sleep in spite of an interrupt, at this moment."""
    found: Any = guest.ask("query-cpus-fast")
    threads = {row["cpu-index"]: row["thread-id"] for row in found}
    halted = _halted(guest.monitor("info registers -a"))
    return {cpu for cpu in halted if _state(threads[cpu]) == "S" and _pending(guest.monitor(f"info lapic {cpu}"))}


def lost_wakeups(guest: Guest) -> set[int]:
    """Processors that sleep in spite of an interrupt for as long as is looked."""
    lost = _look(guest)
    for _ in range(LOOKS - 1):
        time.sleep(SECONDS)
        lost &= _look(guest)
    return lost
