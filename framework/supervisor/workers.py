"""How many workers an interface gets where nobody said: what its source and the CPUs suit."""

from __future__ import annotations

from dataclasses import replace

from zcframe.affinity import Topology, parse_cpu_list
from zcframe.affinity.placement import AUTO
from zcframe.framework.config import DEFAULT_QUEUES, MAX_QUEUES, RunConfig
from zcframe.framework.sources.backends import choose_backend


def _cpus(config: RunConfig, topology: Topology) -> int:
    """CPUs for the workers of one interface: those of --cpus, else those that are open to this process."""
    usable = topology.allowed if config.cpus == AUTO else parse_cpu_list(config.cpus)
    return max(1, len(usable) // len(config.iface))


def _suited(config: RunConfig, ifname: str, cpus: int) -> int:
    def queues() -> int:
        from zcframe.framework.nic.report.queues import receive_queues

        return receive_queues(ifname)

    # DEFAULT_QUEUES bounds what could be any number; a card whose queues need a worker each has as many as it has.
    return choose_backend(ifname, config.backend).suits(
        cpus=min(cpus, DEFAULT_QUEUES), fanout=config.fanout, queues=queues
    )


def with_queues(config: RunConfig, topology: Topology) -> RunConfig:
    """The options with a number of queues. Several interfaces have as many each as that which suits most workers.

    Raises NicError where an interface is missing.
    """
    if not config.iface or "queues" in config.given or config.queues != DEFAULT_QUEUES:
        return config
    cpus = _cpus(config, topology)
    most = max(_suited(config, ifname, cpus) for ifname in config.iface)
    return replace(config, queues=min(most, MAX_QUEUES))
