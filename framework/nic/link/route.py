"""Interfaces that this machine's own traffic goes by: a capture that takes one away would cut the machine off."""

from __future__ import annotations

import socket
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

from zcframe.framework.sysfs import CLASS_NET

RTN_UNICAST: Final = 1


def _out_interfaces(route: Any) -> Iterator[int]:
    """Indices of the interfaces that a route goes out by; several next hops are a list of their own."""
    attributes = dict(route["attrs"])
    if "RTA_OIF" in attributes:
        yield attributes["RTA_OIF"]
    for hop in attributes.get("RTA_MULTIPATH", ()):
        yield hop["oif"]


def default_devices() -> frozenset[str]:
    """Names of the interfaces that default routes, IPv4 and IPv6, of any table go out by."""
    from pyroute2 import IPRoute  # slow to import, and needed only here

    found: set[int] = set()
    with IPRoute() as netlink:
        for family in (socket.AF_INET, socket.AF_INET6):
            for route in netlink.get_routes(family=family):
                if route["dst_len"] == 0 and route["type"] == RTN_UNICAST:
                    found.update(_out_interfaces(route))
    return frozenset(name for index, name in socket.if_nameindex() if index in found)


def _below(ifname: str, root: Path) -> set[str]:
    """The interface and every interface below it: members of a bridge or bond, the card of a VLAN."""
    found, waiting = set(), [ifname]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += [path.name.removeprefix("lower_") for path in (root / name).glob("lower_*")]
    return found


def carriers(devices: Iterable[str], root: Path = CLASS_NET) -> frozenset[str]:
    """Interfaces that the traffic of `devices` leaves by, `devices` among them."""
    return frozenset(name for device in devices for name in _below(device, root))


def default_carriers() -> frozenset[str]:
    """Interfaces of this network namespace that a default route goes by, directly or through an interface above."""
    return carriers(default_devices())
