"""Frames that an interface dropped before AF_XDP saw them, by the interface's own counters."""

from __future__ import annotations

from pathlib import Path

from zcframe.framework.nic.link.counters import read_drop_counters
from zcframe.framework.sysfs import ROOT


class InterfaceDrops:
    """Drops of the interface with this index, from `begin()` to `end()`; its last value where the interface is gone."""

    def __init__(self, ifindex: int, root: Path = ROOT) -> None:
        self._ifindex, self._root = ifindex, root
        self._base, self._value, self._counting = 0, 0, False

    def _now(self) -> int | None:
        found = read_drop_counters(self._ifindex, self._root)
        # As the column `drop` of /proc/net/dev, where overruns have a column of their own.
        return None if found is None else found.dropped + found.missed

    def begin(self) -> None:
        """Count from now on."""
        self._base, self._counting = self._now() or 0, True

    def end(self) -> None:
        """Count no further."""
        self.read()
        self._counting = False

    def read(self) -> int:
        now = self._now() if self._counting else None
        if now is not None:
            self._value = max(self._value, now - self._base)
        return self._value
