"""The machine's CPUs as Linux describes them in sysfs (Documentation/admin-guide/cputopology.rst)."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from zcframe.framework.errors import NicError
from zcframe.framework.nic import Interface
from zcframe.framework.sysfs import ROOT, class_net

from .cpulist import parse_cpu_list


@dataclass(frozen=True)
class Cpu:
    """One online logical CPU.

    core counts within its package only; siblings are the online CPUs of the same physical core, itself among them.
    `allowed`: this process may run there.
    """

    number: int
    core: int
    package: int
    node: int
    siblings: tuple[int, ...]
    isolated: bool
    allowed: bool


@dataclass(frozen=True)
class Topology:
    """All online CPUs, ascending, and the numbers of CPUs that are switched off."""

    cpus: tuple[Cpu, ...]
    offline: tuple[int, ...]

    def find(self, number: int) -> Cpu | None:
        """The online CPU of this number."""
        return next((cpu for cpu in self.cpus if cpu.number == number), None)

    @property
    def allowed(self) -> tuple[int, ...]:
        return tuple(cpu.number for cpu in self.cpus if cpu.allowed)

    @property
    def isolated(self) -> tuple[int, ...]:
        return tuple(cpu.number for cpu in self.cpus if cpu.isolated)

    @property
    def nodes(self) -> tuple[int, ...]:
        return tuple(sorted({cpu.node for cpu in self.cpus}))

    @property
    def packages(self) -> tuple[int, ...]:
        return tuple(sorted({cpu.package for cpu in self.cpus}))

    @property
    def cores(self) -> tuple[tuple[int, ...], ...]:
        """The online CPUs of each physical core."""
        return tuple(sorted({cpu.siblings for cpu in self.cpus}))


def _text(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""


def _number(path: Path, default: int) -> int:
    try:
        return int(_text(path))
    except ValueError:
        return default


def _cpus(path: Path) -> set[int]:
    return set(parse_cpu_list(_text(path), source=str(path)))


def _nodes(root: Path) -> dict[int, int]:
    """NUMA node of each CPU; empty on a kernel without NUMA."""
    found: dict[int, int] = {}
    for folder in sorted((root / "sys/devices/system/node").glob("node[0-9]*")):
        for cpu in _cpus(folder / "cpulist"):
            found[cpu] = int(folder.name.removeprefix("node"))
    return found


def _cgroup_folders(root: Path) -> list[Path]:
    """Folders of this process's control groups that can hold a cpuset, version 2 and version 1."""
    folders: list[Path] = []
    for line in _text(root / "proc/self/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            folders.append(root / "sys/fs/cgroup" / path.lstrip("/"))
        elif "cpuset" in controllers.split(","):
            folders.append(root / "sys/fs/cgroup/cpuset" / path.lstrip("/"))
    return folders


def _cpuset(root: Path) -> set[int] | None:
    """The CPUs that the nearest cpuset above this process grants; None where no cpuset is mounted."""
    mount = root / "sys/fs/cgroup"
    for start in _cgroup_folders(root):
        for folder in (start, *start.parents):
            for name in ("cpuset.cpus.effective", "cpuset.effective_cpus"):
                if granted := _cpus(folder / name):
                    return granted
            if folder == mount:
                break
    return None


def _allowed(root: Path, mask: set[int], online: set[int], isolated: set[int]) -> set[int]:
    """CPUs of the mask, and isolated CPUs where nothing but isolation keeps this process off them.

    The kernel leaves isolated CPUs out of every mask by default, yet lets a process move there. A mask that lacks other
    CPUs, too, was narrowed on purpose (taskset, systemd) and is obeyed.
    """
    cpuset = _cpuset(root)
    granted = online if cpuset is None else cpuset & online
    return granted if mask == granted - isolated else mask


def _cpu(root: Path, number: int, node: int, isolated: bool, allowed: bool) -> Cpu:
    folder = root / f"sys/devices/system/cpu/cpu{number}/topology"
    siblings = _cpus(folder / "core_cpus_list") or _cpus(folder / "thread_siblings_list") or {number}
    package = max(_number(folder / "physical_package_id", 0), 0)
    core = _number(folder / "core_id", number)
    return Cpu(number, core, package, node, tuple(sorted(siblings)), isolated, allowed)


def read_topology(root: Path = ROOT, mask: Iterable[int] | None = None) -> Topology:
    """Topology below `root`, which holds sys/ and proc/, as a process with this affinity mask sees it.

    mask: CPU numbers; by default those of this process. Where sysfs shows nothing, every CPU of the mask is a core of
    its own on node 0.
    """
    own = set(os.sched_getaffinity(0) if mask is None else mask)
    system = root / "sys/devices/system/cpu"
    online = _cpus(system / "online") or own
    present = _cpus(system / "present") or online
    isolated, nodes = _cpus(system / "isolated") & online, _nodes(root)
    allowed = _allowed(root, own, online, isolated)
    cpus = tuple(_cpu(root, n, nodes.get(n, 0), n in isolated, n in allowed) for n in sorted(online))
    return Topology(cpus, tuple(sorted(present - online)))


def nic_node(interface: str, root: Path = ROOT) -> int | None:
    """NUMA node of a NIC; None where it has none (virtual interfaces, machines with one node, no such interface)."""
    try:
        return Interface(interface, class_net(root)).node
    except NicError:
        return None
