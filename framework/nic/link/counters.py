"""What an interface counts of frames that it received and lost (Documentation/networking/statistics.rst)."""

from __future__ import annotations

import socket
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from zcframe.framework.errors import NicError
from zcframe.framework.sysfs import ROOT, class_net

from .netlink import link_by_index


@dataclass(frozen=True)
class DropCounters:
    """Frames since boot, or since the driver last began to count.

    missed: the host had no room for them; overrun: the card's FIFO had none; dropped: the kernel gave them up, for
    whatever reason.
    """

    missed: int
    overrun: int
    dropped: int


def _of_folder(index: int, root: Path) -> DropCounters | None:
    try:
        folder = class_net(root) / socket.if_indextoname(index) / "statistics"
        names = ("rx_missed_errors", "rx_fifo_errors", "rx_dropped")
        return DropCounters(*(int((folder / name).read_text()) for name in names))
    except OSError:
        return None


def read_drop_counters(index: int, root: Path = ROOT) -> DropCounters | None:
    """Counters of the interface with this index; None where there is none at this moment.

    root: ROOT has the kernel asked, for an interface of this network namespace; any other one is a made-up tree.
    """
    if root != ROOT:
        return _of_folder(index, root)
    found = None
    with suppress(NicError):
        found = link_by_index(index)
    if found is None:
        return None
    return DropCounters(found.counters.missed, found.counters.fifo, found.counters.dropped)
