"""Checks that concern every source: the kernel, the clock of the CPUs, irqbalance."""

from __future__ import annotations

import re
from typing import Final

from zcframe.framework.nic.link.irq import irqbalance_runs

from .check import Check
from .host import Host

# TPACKET_V3 is older; modules and AF_XDP are tested from here on.
OLDEST_KERNEL: Final = (6, 1)


def kernel(host: Host) -> Check:
    release = host.text("proc/sys/kernel/osrelease")
    numbers = tuple(int(word) for word in re.findall(r"\d+", release)[:2])
    if not numbers:
        return Check("kernel", "none", "its release is not told here")
    if numbers < OLDEST_KERNEL:
        return Check("kernel", "warn", f"{release}: zcframe is tested on 6.1 and newer; the modules need that")
    return Check("kernel", "ok", release)


def governor(host: Host) -> Check:
    paths = host.entries("sys/devices/system/cpu", "cpu[0-9]*/cpufreq/scaling_governor")
    found = sorted({path.read_text().strip() for path in paths})
    if not found:
        return Check("governor", "none", "the clock is not this machine's to choose")
    if found == ["performance"]:
        return Check("governor", "ok", "performance")
    return Check("governor", "warn", f"{', '.join(found)}: CPUs slow down", "cpupower frequency-set -g performance")


def irqbalance(host: Host) -> Check:
    if irqbalance_runs(host.root / "proc"):
        text = "it runs, and moves interrupts away from their workers"
        return Check("irqbalance", "warn", text, "systemctl stop irqbalance")
    return Check("irqbalance", "ok", "it does not run")


def sysfs(host: Host) -> Check:
    """Whether /sys shows the interfaces of this network namespace: after nsenter --net it shows another's."""
    found = host.sysfs
    if found.found == "none":
        return Check("sysfs", "none", f"{found.text}: what only sysfs tells of interfaces is left out")
    return Check("sysfs", "ok", found.text)


CHECKS: Final = (kernel, governor, irqbalance, sysfs)
