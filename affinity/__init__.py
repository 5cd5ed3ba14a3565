"""Which CPU a worker runs on: read the topology, make a plan, apply and undo it."""

from .cpulist import format_cpu_list, parse_cpu_list
from .pin import Pin, pin, pin_to, unpin
from .plan import Assignment, Plan, describe, make_plan
from .topology import Cpu, Topology, nic_node, read_topology

__all__ = [
    "Assignment",
    "Cpu",
    "Pin",
    "Plan",
    "Topology",
    "describe",
    "format_cpu_list",
    "make_plan",
    "nic_node",
    "parse_cpu_list",
    "pin",
    "pin_to",
    "read_topology",
    "unpin",
]
