"""Topology, placement of workers and tuning in text: what `zcframe affinity` prints."""

from __future__ import annotations

from zcframe.affinity import Plan, Topology, Tuning, format_cpu_list


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _core_line(topology: Topology, siblings: tuple[int, ...]) -> str:
    cpus = [cpu for cpu in topology.cpus if cpu.number in siblings]
    place = f"node {cpus[0].node}  package {cpus[0].package}  core {cpus[0].core:>3}  CPUs {format_cpu_list(siblings)}"
    closed = [cpu.number for cpu in cpus if not cpu.allowed]
    isolated = [cpu.number for cpu in cpus if cpu.isolated]
    marks = [f"isolated {format_cpu_list(isolated)}"] if isolated else []
    marks += [f"closed {format_cpu_list(closed)}"] if closed else []
    return "  ".join(["", place, *marks])


def placement_lines(plan: Plan, topology: Topology) -> list[str]:
    """The topology, then what would be pinned where and why, then warnings."""
    counts = ", ".join(
        _count(len(things), noun)
        for things, noun in (
            (topology.cpus, "CPU"),
            (topology.cores, "physical core"),
            (topology.packages, "package"),
            (topology.nodes, "NUMA node"),
        )
    )
    kinds = (
        f"offline {format_cpu_list(topology.offline)}; isolated {format_cpu_list(topology.isolated)};"
        f" open to this process {format_cpu_list(topology.allowed)}"
    )
    return [
        f"online: {counts}",
        kinds,
        *(_core_line(topology, siblings) for siblings in topology.cores),
        f"plan for {_count(len(plan.assignments), 'worker')}, --cpus {plan.wanted}",
        *(f"  worker {a.worker:>2} -> CPU {a.cpu:>3}  {a.reason}" for a in plan.assignments),
        *(f"warning: {warning}" for warning in plan.warnings),
    ]


def tuning_lines(ifname: str, tuning: Tuning) -> list[str]:
    """What --tune would change on an interface."""
    head = f"tuning of {ifname}, by zcframe run --tune:"
    lines = [f"  {change}" for change in tuning.changes]
    return [head, *(lines or ["  nothing to change"]), *(f"warning: {warning}" for warning in tuning.warnings)]
