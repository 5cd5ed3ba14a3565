"""What an interface dropped before any socket could see it.

What it counts as missed or overrun never reached the kernel. `rx_dropped` is of two minds: it holds frames for which a
CPU's backlog had no room, and as well frames that were captured and then taken by no protocol, such as all behind two
VLAN tags. CPUs count what their backlogs drop, of all interfaces: what both count is lost, the rest of it is not known.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from zcframe.framework.nic.link.counters import read_drop_counters
from zcframe.framework.sysfs import ROOT

BACKLOGS: Final = Path("proc/net/softnet_stat")
BACKLOG_DROPPED: Final = 1


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


def read_counters(index: int, root: Path) -> Counters | None:
    """Counters of the interface with this index; None where there is none now."""
    found = read_drop_counters(index, root)
    try:
        backlogs = (root / BACKLOGS).read_text().splitlines()
    except OSError:
        return None
    if found is None:
        return None
    backlog = sum(int(line.split()[BACKLOG_DROPPED], 16) for line in backlogs)
    return Counters(found.missed + found.overrun, found.dropped, backlog)


class Losses:
    """Frames lost by the interface with this index since `begin()`: `lost` for certain; more, where `at_least`."""

    def __init__(self, index: int, root: Path = ROOT) -> None:
        self._index, self._root = index, root
        self._last: Counters | None = None
        self._total = Counters()

    def begin(self) -> None:
        """Count from now on."""
        self._last = read_counters(self._index, self._root)

    def refresh(self) -> None:
        """Look again, where there still is something to look at."""
        now = read_counters(self._index, self._root)
        if self._last is not None and now is not None:
            self._total += now.since(self._last)
            self._last = now

    @property
    def lost(self) -> int:
        return self._total.lost + min(self._total.doubtful, self._total.backlog)

    @property
    def at_least(self) -> bool:
        return self._total.doubtful > self._total.backlog
