"""Whether this machine's own traffic goes by an interface: AF_XDP would take it away."""

from __future__ import annotations

import socket
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from pyroute2 import IPRoute

SYSFS: Final = Path("/sys/class/net")


def _next_hops(route: Any) -> Iterable[int]:
    """Indices of the interfaces that a route goes out by."""
    for name, value in route["attrs"]:
        if name == "RTA_OIF":
            yield value
        elif name == "RTA_MULTIPATH":
            yield from (hop["oif"] for hop in value)


def default_devices() -> set[str]:
    """Names of the interfaces that default routes, IPv4 and IPv6, go out by."""
    with IPRoute() as route:
        found = [hop for family in (socket.AF_INET, socket.AF_INET6) for hop in route.get_default_routes(family=family)]
        names = {link["index"]: link.get_attr("IFLA_IFNAME") for link in route.get_links()}
    return {names[index] for hop in found for index in _next_hops(hop) if index in names}


def carriers(ifname: str, root: Path = SYSFS) -> set[str]:
    """The interface itself, and those that carry its traffic: members of a bridge or bond, what a VLAN stands on."""
    found, waiting = set(), [ifname]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += [path.name.removeprefix("lower_") for path in (root / name).glob("lower_*")]
    return found


def carries_default_route(ifname: str) -> bool:
    """Whether a default route of this network namespace goes out by `ifname`, or by what stands on it."""
    return any(ifname in carriers(device) for device in default_devices())
