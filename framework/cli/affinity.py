"""`zcframe affinity`: the topology, what would be pinned where, and what --tune would do to an interface."""

from __future__ import annotations

import argparse
from dataclasses import replace

from zcframe.framework.config import ANY, load

from .parser import add_options


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_options(parser, ["iface", "queues", "cpus", "tune", "verbose"])


def execute(options: argparse.Namespace) -> int:
    """Print what `zcframe run` with the same options would do; nothing is pinned, nothing tuned."""
    config = load(vars(options))

    from zcframe.affinity import make_plan, nic_node, plan_tuning, read_topology
    from zcframe.framework.nic import real_names
    from zcframe.framework.show.placement import placement_lines, tuning_lines
    from zcframe.framework.supervisor.workers import with_queues

    topology = read_topology()
    config = with_queues(replace(config, iface=real_names(config.iface)), topology)
    ifnames, queues = config.iface, config.queues
    node = nic_node(ifnames[0]) if ifnames and ifnames[0] != ANY else None
    plan = make_plan(topology, queues * max(1, len(ifnames)), config.cpus, node)
    lines = placement_lines(plan, topology)
    for port, ifname in enumerate(ifnames):
        cpus = plan.cpus[port * queues : (port + 1) * queues]
        if ifname != ANY:
            lines += tuning_lines(ifname, plan_tuning(ifname, cpus, everything=True))
    print("\n".join(lines))
    return 0
