"""How many receive queues an interface has."""

from __future__ import annotations

from contextlib import suppress

from zcframe.framework.errors import NicError
from zcframe.framework.nic.ethtool.channels import read_channels
from zcframe.framework.nic.link.namespace import file_of
from zcframe.framework.nic.link.netlink import link_by_name


def receive_queues(ifname: str) -> int:
    """How many the driver uses now; where neither sysfs nor the driver tells it, how many it has."""
    with suppress(NicError):
        return max(1, len(list(file_of(f"/sys/class/net/{ifname}/queues").glob("rx-*"))))
    with suppress(NicError):
        return max(1, read_channels(ifname).queues)
    found = link_by_name(ifname)
    return found.rx_queues if found is not None else 1
