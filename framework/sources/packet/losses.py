"""What an interface, or all of them, dropped before any socket could see it.

What it counts as missed or overrun never reached the kernel. `rx_dropped` is of two minds: it holds frames for which a
CPU's backlog had no room, and as well frames that were captured and then taken by no protocol, such as all behind two
VLAN tags. CPUs count what their backlogs drop, of all interfaces: what both count is lost, the rest of it is not known.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from zcframe.framework.errors import NicError
from zcframe.framework.nic.link.counters import read_drop_counters
from zcframe.framework.nic.link.netlink import links
from zcframe.framework.sysfs import ROOT

BACKLOGS: Final = Path("proc/net/softnet_stat")
BACKLOG_DROPPED: Final = 1
# Of all interfaces at once; no interface has this index.
EVERY: Final = 0
BACKLOG: Final = -1
# Kinds of interfaces that count what those below them count, too.
SUMS: Final = ("bond",)


@dataclass(frozen=True)
class Counters:
    """Frames since boot, or since the driver last began to count."""

    lost: int = 0
    doubtful: int = 0
    backlog: int = 0

    def since(self, before: Counters) -> Counters:
        """What was counted meanwhile. A counter that began anew has counted what it shows."""
        pairs = zip(vars(self).values(), vars(before).values(), strict=True)
        return Counters(*(now - then if now >= then else now for now, then in pairs))

    def __add__(self, other: Counters) -> Counters:
        return Counters(*(a + b for a, b in zip(vars(self).values(), vars(other).values(), strict=True)))


def _of_interfaces(index: int, root: Path) -> Iterator[tuple[int, Counters]]:
    """Index and counters of the interface with this index, or of EVERY one there is at this moment."""
    if index == EVERY:
        for link in links():
            if link.kind not in SUMS:
                yield link.index, Counters(link.counters.missed + link.counters.fifo, link.counters.dropped)
        return
    found = read_drop_counters(index, root)
    if found is not None:
        yield index, Counters(found.missed + found.overrun, found.dropped)


def read_counters(index: int, root: Path) -> dict[int, Counters]:
    """What each interface has counted so far, by index; what backlogs have, at BACKLOG."""
    counters = {}
    with suppress(OSError, NicError):
        backlogs = (root / BACKLOGS).read_text().splitlines()
        counters[BACKLOG] = Counters(backlog=sum(int(line.split()[BACKLOG_DROPPED], 16) for line in backlogs))
        counters |= dict(_of_interfaces(index, root))
    return counters


class Losses:
    """Frames lost by the interface with this index since `begin()`: `lost` for certain; more, where `at_least`.

    index: EVERY for all of this network namespace. An interface that appears counts from when it is seen first.
    """

    def __init__(self, index: int, root: Path = ROOT) -> None:
        self._index, self._root = index, root
        self._last: dict[int, Counters] | None = None
        self._total = Counters()

    def begin(self) -> None:
        """Count from now on."""
        self._last = read_counters(self._index, self._root)

    def refresh(self) -> None:
        """Look again, where there still is something to look at."""
        if self._last is None:
            return
        for what, now in read_counters(self._index, self._root).items():
            self._total += now.since(self._last.get(what, now))
            self._last[what] = now

    @property
    def lost(self) -> int:
        return self._total.lost + min(self._total.doubtful, self._total.backlog)

    @property
    def at_least(self) -> bool:
        return self._total.doubtful > self._total.backlog
