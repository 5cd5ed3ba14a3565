"""Placement of workers on CPUs, and tuning of an interface to suit it: facts, plans, pinning."""

from .cpulist import format_cpu_list, parse_cpu_list
from .pin import Pin, pin, pin_to, unpin
from .placement import Assignment, Plan, make_plan
from .topology import Cpu, Topology, nic_node, read_topology
from .tuning import Tuning, plan_tuning

__all__ = [
    "Assignment",
    "Cpu",
    "Pin",
    "Plan",
    "Topology",
    "Tuning",
    "format_cpu_list",
    "make_plan",
    "nic_node",
    "parse_cpu_list",
    "pin",
    "pin_to",
    "plan_tuning",
    "read_topology",
    "unpin",
]
