"""Frames that an interface dropped before AF_XDP saw them, by the interface's own counters."""

from __future__ import annotations

import contextlib
import socket
from pathlib import Path
from typing import Final

# In the network namespace of who reads it. Of each interface: bytes, packets, errors, and drops: rx_dropped and
# rx_missed_errors together.
COUNTERS: Final = Path("/proc/net/dev")
RECEIVE_DROPS: Final = 3


def dropped_by(ifname: str, table: str) -> int | None:
    """From the text of /proc/net/dev; None where it has no such interface."""
    for row in table.splitlines():
        name, colon, numbers = row.rpartition(":")
        if colon and name.strip() == ifname:
            return int(numbers.split()[RECEIVE_DROPS])
    return None


class InterfaceDrops:
    """Drops of the interface with this index, from `begin()` to `end()`; its last value where the interface is gone."""

    def __init__(self, ifindex: int) -> None:
        self._ifindex, self._base, self._value, self._counting = ifindex, 0, 0, False

    def _now(self) -> int | None:
        with contextlib.suppress(OSError):
            return dropped_by(socket.if_indextoname(self._ifindex), COUNTERS.read_text())
        return None

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
