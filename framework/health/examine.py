"""All findings, in the order in which they are shown; the last one says what a run would do."""

from __future__ import annotations

from zcframe.framework.config import ANY

from . import interface, machine, memory, rights, sources, zerocopy
from .check import Check
from .host import Host
from .verdict import capture


def examine(ifname: str | None = None, host: Host | None = None) -> list[Check]:
    """Findings about the machine, and about an interface, or all (ANY), where one is named.

    Raises NicError where it is missing.
    """
    host = host or Host()
    checks = (*machine.CHECKS, *sources.CHECKS, *zerocopy.CHECKS, *rights.CHECKS, *memory.CHECKS)
    found = [check(host) for check in checks]
    if ifname is not None:
        found += [interface.every(host)] if ifname == ANY else [check(host, ifname) for check in interface.CHECKS]
    return [*found, capture(host, ifname)]
