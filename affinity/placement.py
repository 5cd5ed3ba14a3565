"""Which worker runs on which CPU, and why: a pure function of the topology and of the operator's wishes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from zcframe.framework.errors import UsageError

from .cpulist import format_cpu_list, parse_cpu_list
from .topology import Cpu, Topology

AUTO = "auto"


@dataclass(frozen=True)
class Assignment:
    """The worker of queue `worker` runs on `cpu`. reason: why, in words."""

    worker: int
    cpu: int
    reason: str


@dataclass(frozen=True)
class Plan:
    """One assignment for each worker, in the order of workers, and warnings for the operator."""

    assignments: tuple[Assignment, ...]
    warnings: tuple[str, ...]
    wanted: str = AUTO

    @property
    def cpus(self) -> tuple[int, ...]:
        """CPU of each worker."""
        return tuple(assignment.cpu for assignment in self.assignments)


def _thread_ranks(cpus: Iterable[Cpu]) -> dict[int, int]:
    """0 for the first usable thread of a physical core, 1 for the next: isolated threads count first."""
    ranks: dict[int, int] = {}
    taken: dict[tuple[int, ...], int] = {}
    for cpu in sorted(cpus, key=lambda cpu: (not cpu.isolated, cpu.number)):
        ranks[cpu.number] = taken.get(cpu.siblings, 0)
        taken[cpu.siblings] = ranks[cpu.number] + 1
    return ranks


def _best_first(topology: Topology, node: int | None) -> list[Cpu]:
    """Usable CPUs: isolated ones, then whole cores before second threads, then those near the NIC."""
    usable = [cpu for cpu in topology.cpus if cpu.allowed]
    ranks = _thread_ranks(usable)
    return sorted(usable, key=lambda c: (not c.isolated, ranks[c.number], c.node != node, c.node, c.package, c.number))


def _refusal(topology: Topology, number: int) -> str | None:
    cpu = topology.find(number)
    if cpu is None:
        return "is offline" if number in topology.offline else "does not exist"
    return None if cpu.allowed else "is closed to this process (cpuset or taskset)"


def _as_listed(topology: Topology, wanted: str) -> list[Cpu]:
    """The CPUs of an explicit list, in its order. Raises UsageError for one that cannot be used."""
    numbers = parse_cpu_list(wanted)
    usable = format_cpu_list(topology.allowed)
    if not numbers:
        raise UsageError(f'--cpus "{wanted}": no CPU named; usable here: {usable}')
    for number in numbers:
        if refusal := _refusal(topology, number):
            raise UsageError(f"--cpus {wanted}: CPU {number} {refusal}; usable here: {usable}")
    return [cpu for number in numbers for cpu in topology.cpus if cpu.number == number]


def _reason(cpu: Cpu, earlier: Sequence[Cpu], node: int | None) -> str:
    shared = [other.number for other in earlier if other.siblings == cpu.siblings and other != cpu]
    words = ["isolated"] if cpu.isolated else []
    if shared:
        words.append(f"SMT sibling of CPU {format_cpu_list(shared)}")
    else:
        words.append(f"physical core {cpu.core} of package {cpu.package}")
    near = "" if node is None else ", the NIC's" if cpu.node == node else f", the NIC is on {node}"
    return ", ".join([*words, f"NUMA node {cpu.node}{near}"])


def _assign(cpus: Sequence[Cpu], queues: int, node: int | None) -> tuple[Assignment, ...]:
    assignments: list[Assignment] = []
    for worker in range(queues):
        turn, place = divmod(worker, len(cpus))
        cpu = cpus[place]
        reason = f"shared with worker {place}" if turn else _reason(cpu, cpus[:place], node)
        assignments.append(Assignment(worker, cpu.number, reason))
    return tuple(assignments)


def _warnings(topology: Topology, cpus: Sequence[Cpu], queues: int, node: int | None) -> tuple[str, ...]:
    warnings: list[str] = []
    if queues > len(cpus):
        most = -(-queues // len(cpus))
        some = "1 CPU" if len(cpus) == 1 else f"{len(cpus)} CPUs"
        named = format_cpu_list(cpu.number for cpu in cpus)
        warnings.append(f"{queues} workers share {some} ({named}) in turn, up to {most} on one")
    closed = [cpu.number for cpu in topology.cpus if cpu.isolated and not cpu.allowed]
    if closed:
        warnings.append(f"isolated CPUs {format_cpu_list(closed)} are closed to this process (cpuset or taskset)")
    if node is not None and not any(cpu.node == node for cpu in cpus):
        warnings.append(f"no worker runs on NUMA node {node}, where the NIC is: every packet crosses between nodes")
    return tuple(warnings)


def make_plan(topology: Topology, queues: int, cpus: str = AUTO, nic_node: int | None = None) -> Plan:
    """Give each of `queues` workers a CPU.

    cpus: "auto", or a list such as "0-3,8" whose order is kept. Auto takes isolated CPUs first if there are any, then
    one thread of every physical core, those on the NIC's NUMA node first, then their SMT siblings. Where workers
    outnumber CPUs they go round robin, with a warning. Raises UsageError for CPUs that do not exist, are offline or
    closed to this process.
    """
    if queues < 1:
        raise UsageError(f"--queues {queues}: at least one worker is needed")
    chosen = _best_first(topology, nic_node) if cpus.strip() == AUTO else _as_listed(topology, cpus)
    if not chosen:
        raise UsageError("this process may run on no CPU that is online; check its cpuset")
    used = chosen[:queues]
    warnings = _warnings(topology, used, queues, nic_node)
    return Plan(_assign(used, queues, nic_node), warnings, cpus.strip())
