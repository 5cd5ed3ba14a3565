"""What would keep live capture from working, or from being fast, on this machine, each with what mends it.

Every check reads sysfs and procfs below `root`, changes nothing, and raises nothing: what a machine has not is "none".
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from ..abi import BLOCK_SIZE
from .irq import irqs_of

State = Literal["ok", "warn", "fail", "none"]

# Copper ports of the 82576, as zc82576 takes them.
CARDS: Final = ("0x10c9", "0x10e8", "0x1526")
INTEL: Final = "0x8086"
CAPABILITIES: Final = {"CAP_NET_ADMIN": 12, "CAP_NET_RAW": 13}
CAP_IPC_LOCK: Final = 14
OLDEST_KERNEL: Final = (6, 1)
# What the command pins unless told otherwise: 8 rings of 4096 blocks.
PINNED: Final = 8 * 4096 * BLOCK_SIZE


@dataclass(frozen=True)
class Check:
    """One finding. remedy: the command that mends it, or ""."""

    name: str
    state: State
    text: str
    remedy: str = ""


def _text(path: Path) -> str:
    try:
        return path.read_text().strip()
    except (OSError, UnicodeDecodeError):
        return ""


def _entries(folder: Path, pattern: str) -> list[Path]:
    return sorted(folder.glob(pattern)) if folder.is_dir() else []


def kernel(root: Path) -> Check:
    release = _text(root / "proc/sys/kernel/osrelease")
    numbers = tuple(int(word) for word in re.findall(r"\d+", release)[:2])
    if not numbers:
        return Check("kernel", "none", "its release is not told here")
    if numbers < OLDEST_KERNEL:
        return Check("kernel", "fail", f"{release}: the modules need 6.1 or newer")
    return Check("kernel", "ok", release)


def family(root: Path) -> Check:
    module = root / "sys/module/pf_zerocopy"
    if not module.is_dir():
        return Check("family", "fail", "PF_ZEROCOPY is not loaded", "make kernel && insmod kernel/pf_zerocopy.ko")
    return Check("family", "ok", f"PF_ZEROCOPY is loaded, number {_text(module / 'parameters/family') or 'unknown'}")


def driver(root: Path) -> Check:
    if (root / "sys/module/zc82576").is_dir():
        return Check("driver", "ok", "zc82576 is loaded")
    return Check("driver", "fail", "zc82576 is not loaded", "insmod kernel/zc82576.ko")


def _is_card(device: Path) -> bool:
    return _text(device / "vendor") == INTEL and _text(device / "device") in CARDS


def card(root: Path) -> Check:
    cards = [device for device in _entries(root / "sys/bus/pci/devices", "*") if _is_card(device)]
    if not cards:
        return Check("card", "fail", "there is no Intel 82576 in this machine; captures from files need none")
    holders = {device.name: (device / "driver").resolve().name for device in cards if (device / "driver").exists()}
    ours = [name for name, holder in holders.items() if holder == "zc82576"]
    if ours:
        return Check("card", "ok", f"zc82576 drives {', '.join(ours)}")
    name = cards[0].name
    taken = f", {holders[name]} drives it" if name in holders else ""
    remedy = f"echo {name} > /sys/bus/pci/devices/{name}/driver/unbind" if taken else ""
    return Check("card", "fail", f"{name} is an 82576{taken}", f"{remedy}; insmod kernel/zc82576.ko".lstrip("; "))


def _capabilities(root: Path) -> int:
    found = re.search(r"^CapEff:\s*([0-9a-f]+)", _text(root / "proc/self/status"), re.MULTILINE)
    return int(found[1], 16) if found else 0


def privileges(root: Path) -> Check:
    mask = _capabilities(root)
    missing = [name for name, bit in CAPABILITIES.items() if not mask >> bit & 1]
    if missing:
        return Check("privileges", "fail", f"{' and '.join(missing)} missing", "sudo zcframe run --iface ...")
    return Check("privileges", "ok", "queues may be opened and taken")


def memlock(root: Path) -> Check:
    found = re.search(r"^Max locked memory\s+(\S+)", _text(root / "proc/self/limits"), re.MULTILINE)
    limit = found[1] if found else ""
    if limit == "unlimited" or _capabilities(root) >> CAP_IPC_LOCK & 1:
        return Check("memlock", "ok", "memory may be pinned without limit")
    if not limit.isdigit():
        return Check("memlock", "none", "its limit is not told here")
    if int(limit) >= PINNED:
        return Check("memlock", "ok", f"{int(limit) >> 20} MiB may be pinned")
    text = f"{int(limit) >> 20} MiB may be pinned, {PINNED >> 20} are needed for 8 queues"
    return Check("memlock", "fail", text, f"ulimit -l {PINNED >> 10}")


def iommu(root: Path) -> Check:
    if _entries(root / "sys/class/iommu", "*"):
        return Check("iommu", "ok", "the card reaches what was mapped for it, and nothing else")
    return Check(
        "iommu",
        "warn",
        "none in force: nothing but the driver holds the card's DMA back",
        "boot the kernel with intel_iommu=on or amd_iommu=on",
    )


def governor(root: Path) -> Check:
    paths = _entries(root / "sys/devices/system/cpu", "cpu[0-9]*/cpufreq/scaling_governor")
    found = sorted({_text(path) for path in paths})
    if not found:
        return Check("governor", "none", "the clock is not this machine's to choose")
    if found == ["performance"]:
        return Check("governor", "ok", "performance")
    return Check("governor", "warn", f"{', '.join(found)}: CPUs slow down", "cpupower frequency-set -g performance")


def irqbalance(root: Path) -> Check:
    if any(_text(path) == "irqbalance" for path in _entries(root / "proc", "[0-9]*/comm")):
        text = "it runs, and moves interrupts away from their workers"
        return Check("irqbalance", "warn", text, "systemctl stop irqbalance")
    return Check("irqbalance", "ok", "it does not run")


MACHINE: Final = (kernel, family, driver, card, privileges, memlock, iommu, governor, irqbalance)


def rps(root: Path, ifname: str) -> Check:
    """Receive packet steering would have the kernel look at packets that it never sees."""
    masks = [_text(path) for path in _entries(root / "sys/class/net" / ifname / "queues", "rx-*/rps_cpus")]
    if any(mask.strip("0,") for mask in masks):
        remedy = f"for f in /sys/class/net/{ifname}/queues/rx-*/rps_cpus; do echo 0 > $f; done"
        return Check("rps", "warn", f"it is on for {ifname}", remedy)
    return Check("rps", "ok", f"it is off for {ifname}") if masks else Check("rps", "none", f"{ifname} has no queues")


def steering(root: Path, ifname: str) -> Check:
    """Whether each queue's interrupt goes to one CPU; `zcframe run` sees to it while it runs."""
    irqs = irqs_of(ifname, root / "proc")
    if not irqs:
        return Check("interrupts", "none", f"{ifname} has none while it is down, or none by queue")
    lists = (_text(root / "proc/irq" / str(irq) / "smp_affinity_list") for irq in irqs.values())
    spread = sum(not cpus.isdigit() for cpus in lists)
    text = f"{len(irqs)} queues, {spread} of them on more than one CPU; a run sends each to its worker's CPU"
    return Check("interrupts", "ok", text)


def examine(ifname: str | None = None, root: Path = Path("/")) -> list[Check]:
    """All findings, those of an interface, too, where one is named."""
    checks: list[Callable[[Path], Check]] = list(MACHINE)
    found = [check(root) for check in checks]
    if ifname is not None:
        found += [rps(root, ifname), steering(root, ifname)]
    return found
