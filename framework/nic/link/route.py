"""Interfaces that this machine's own traffic goes by: a capture that takes one away would cut the machine off."""

from __future__ import annotations

import socket
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from zcframe.framework.errors import NicError
from zcframe.framework.sysfs import CLASS_NET

from .namespace import file_of
from .netlink import links

RTN_UNICAST: Final = 1
# Kinds whose other end is beside them, not below.
PAIRS: Final = ("veth", "vxcan", "netkit")


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


def _lower_by_netlink() -> dict[str, set[str]]:
    """Interfaces directly below each interface: members of a bridge or bond, the card of a VLAN or macvlan."""
    found = links()
    names = {link.index: link.name for link in found}
    below: dict[str, set[str]] = {link.name: set() for link in found}
    for link in found:
        if link.master in names:
            below[names[link.master]].add(link.name)
        if link.lower in names and not link.elsewhere and link.kind not in PAIRS:
            below[link.name].add(names[link.lower])
    return below


def _lower_by_sysfs(ifname: str, root: Path) -> set[str]:
    """The same as sysfs has it, which knows of some kinds of tunnels, too; empty where none is within reach."""
    with suppress(NicError):
        folder = file_of(f"{CLASS_NET}/{ifname}") if root == CLASS_NET else root / ifname
        return {path.name.removeprefix("lower_") for path in folder.glob("lower_*")}
    return set()


def carriers(devices: Iterable[str], root: Path = CLASS_NET) -> frozenset[str]:
    """Interfaces that the traffic of `devices` leaves by, `devices` among them.

    root: CLASS_NET has the kernel asked; any other folder is a made-up tree.
    """
    known = _lower_by_netlink() if root == CLASS_NET else {}
    found, waiting = set[str](), list(devices)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += known.get(name, set()) | _lower_by_sysfs(name, root)
    return frozenset(found)


def default_carriers() -> frozenset[str]:
    """Interfaces of this network namespace that a default route goes by, directly or through an interface above."""
    return carriers(default_devices())
