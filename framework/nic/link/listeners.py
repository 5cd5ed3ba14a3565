"""Packet sockets that listen on an interface, as /proc/net/packet tells of all programs of this network namespace."""

from __future__ import annotations

from pathlib import Path
from typing import Final

TABLE: Final = Path("/proc/net/packet")
EVERY_PROTOCOL: Final = "0003"
# Columns: sk RefCnt Type Proto Iface R Rmem User Inode; R: whether it runs.
PROTOCOL, INDEX, RUNS = 3, 4, 5


def listeners(index: int, table: Path = TABLE) -> tuple[int, int]:
    """How many sockets for all protocols are bound to the interface with this index, and how many to every one.

    (0, 1) where the kernel does not tell: somebody may listen.
    """
    try:
        rows = [line.split() for line in table.read_text().splitlines()[1:]]
    except OSError:
        return 0, 1
    bound = [int(row[INDEX]) for row in rows if row[PROTOCOL] == EVERY_PROTOCOL and row[RUNS] == "1"]
    return bound.count(index), bound.count(0)
