"""The rings that PF_ZEROCOPY shares here (/proc/memshare), and their counters (/proc/net/zerocopy)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from zcframe.framework.sysfs import ROOT

RingName = tuple[str, int, str]

# Interface, queue, direction, slots, bytes of the User Buffer, state, epoch, write, read (kernel/family/proc.c).
RING_WORDS: Final = 9
# Socket, user, interface, queue, direction, then the counters; a socket that is not bound has a dash.
SOCKET_WORDS: Final = 10


@dataclass(frozen=True)
class SharedRing:
    """One ring of an interface. direction: "rx" or "tx"; waiting: descriptors that the other side has not read yet."""

    ifname: str
    queue: int
    direction: str
    slots: int
    state: str
    waiting: int
    arrived: int = 0
    nic_drop: int = 0
    ring_full: int = 0


def _rows(path: Path, words: int) -> list[list[str]]:
    """Rows of a table of the kernel, without its head, that have this many words."""
    try:
        rows = [line.split() for line in path.read_text().splitlines()[1:]]
    except OSError:
        return []
    return [row for row in rows if len(row) == words]


def _name(row: list[str]) -> RingName:
    ifname, queue, direction = row[:3]
    return ifname, int(queue), direction


def _counters(root: Path) -> dict[RingName, tuple[int, int, int]]:
    """(arrived, nic_drop, ring_full) of each ring."""
    found = {}
    for row in _rows(root / "proc/net/zerocopy", SOCKET_WORDS):
        arrived, _, nic_drop, ring_full, _ = map(int, row[5:])
        found[_name(row[2:])] = (arrived, nic_drop, ring_full)
    return found


def shared_rings(ifname: str, root: Path = ROOT) -> list[SharedRing]:
    """Shared rings of an interface, by direction and queue; none where the module is not loaded."""
    counters, found = _counters(root), []
    for row in _rows(root / "proc/memshare", RING_WORDS):
        slots, _, state, _, write, read = row[3:]
        name = _name(row)
        if name[0] == ifname:
            waiting = (int(write) - int(read)) % (1 << 32)
            found.append(SharedRing(*name, int(slots), state, waiting, *counters.get(name, (0, 0, 0))))
    return sorted(found, key=lambda ring: (ring.direction, ring.queue))
