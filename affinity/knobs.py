"""The settings of an interface that can be tuned, and their values at this moment."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from zcframe.framework.errors import NicError
from zcframe.framework.nic import Coalesce, Interface, read_coalesce, read_rings
from zcframe.framework.nic.link.irq import interrupts_of, irqbalance_runs
from zcframe.framework.nic.link.namespace import file_of
from zcframe.framework.sysfs import CLASS_NET, ROOT, class_net

# Below /sys/class/net/<interface>; the kernel documents them in networking/{scaling,napi}.rst and ABI/testing.
PATTERNS: Final = (
    "queues/rx-*/rps_cpus",
    "queues/tx-*/xps_cpus",
    "threaded",
    "napi_defer_hard_irqs",
    "gro_flush_timeout",
)
SPEED: Final = "speed"


@dataclass(frozen=True)
class Knobs:
    """Tunable settings of one interface.

    files: text of each file of PATTERNS that can be read, and of smp_affinity_list of each interrupt, by its path.
    irqs: interrupt of each queue, where it is named after the queue. speed: Mb/s, 0 where it is not known. slots: size
    of a receive ring, 0 where the driver does not report it. coalesce: None where the driver does not report it.
    hidden: why no file of the interface can be read, "" where they can.
    """

    ifname: str
    files: Mapping[str, str]
    irqs: Mapping[int, int]
    speed: int = 0
    slots: int = 0
    coalesce: Coalesce | None = None
    irqbalance: bool = False
    hidden: str = ""

    def queues(self, direction: str, knob: str) -> dict[int, str]:
        """Queue -> path of its file: ("rx", "rps_cpus") or ("tx", "xps_cpus")."""
        start = f"/sys/class/net/{self.ifname}/queues/{direction}-"
        found = {path: path.removeprefix(start).partition("/") for path in self.files if path.startswith(start)}
        return {int(queue): path for path, (queue, _, name) in found.items() if name == knob}


def irq_file(irq: int) -> str:
    return f"/proc/irq/{irq}/smp_affinity_list"


def _text(path: Path) -> str | None:
    # Where an interface has one queue, its xps_cpus exists and cannot be read.
    try:
        return path.read_text().strip()
    except OSError:
        return None


def _speed(text: str | None) -> int:
    return int(text) if text is not None and text.isdecimal() else 0


def _of_interface(ifname: str, root: Path) -> tuple[dict[str, str | None], str]:
    """Texts of the files of PATTERNS and of SPEED, by the names that they have in /sys; and why there are none."""
    try:
        folder = file_of(f"{CLASS_NET}/{ifname}", root)
    except NicError as error:
        return {}, str(error)
    paths = [path for pattern in (*PATTERNS, SPEED) for path in sorted(folder.glob(pattern))]
    return {f"{CLASS_NET}/{ifname}/{path.relative_to(folder)}": _text(path) for path in paths}, ""


def read_files(ifname: str, root: Path = ROOT) -> Knobs:
    """Knobs that sysfs and procfs below `root` show. Raises NicError where there is no such interface."""
    interface = Interface(ifname, class_net(root))
    irqs = interrupts_of(interface, root / "proc")
    found, hidden = _of_interface(interface.name, root)
    found |= {irq_file(irq): _text(file_of(irq_file(irq), root)) for irq in irqs.values()}
    files = {name: text for name, text in found.items() if text is not None}
    speed = _speed(files.pop(f"{CLASS_NET}/{interface.name}/{SPEED}", None))
    return Knobs(interface.name, files, irqs, speed, irqbalance=irqbalance_runs(root / "proc"), hidden=hidden)


def read_knobs(ifname: str) -> Knobs:
    """Knobs of this machine, with the driver's own settings. Raises NicError where there is no such interface."""
    found = read_files(ifname)
    slots, coalesce = 0, None
    with contextlib.suppress(NicError):
        slots = read_rings(ifname).rx
    with contextlib.suppress(NicError):
        coalesce = read_coalesce(ifname)
    return replace(found, slots=slots, coalesce=coalesce)
