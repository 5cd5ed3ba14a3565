"""`zcframe affinity`: the topology and the plan, and what would be pinned where."""

from __future__ import annotations

import argparse

from ..config import load
from .parser import add_options


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_options(parser, ["queues", "cpus", "verbose"])


def execute(options: argparse.Namespace) -> int:
    """Print what `zcframe run` with the same options would do; nothing is pinned."""
    config = load(vars(options))

    from zcframe.affinity import describe, make_plan, read_topology

    topology = read_topology()
    print("\n".join(describe(make_plan(topology, config.queues, config.cpus), topology)))
    return 0
