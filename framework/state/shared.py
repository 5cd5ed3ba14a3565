"""The shared memory that holds the state of every plugin of a run, all shards, in one sealed memfd.

The supervisor makes and maps it before it forks, so that it lies at the same address in every worker and survives each
of them. Pages come into being when a worker first writes them; reading here goes by file, which leaves holes alone.
"""

from __future__ import annotations

import errno
import mmap
import os
import secrets
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from zcframe.framework import abi
from zcframe.framework.ring.large import HUGETLB, SMALL, make_large_memory
from zcframe.framework.ring.mapping import HUGE_PAGE, MAP_NORESERVE, make_memory

from .journal import MAX_SECRETS
from .layout import TABLE_PART, StateLayout, TableLayout
from .merge import State, read_shard
from .overflow.memory import WORD, Directory, Entry

# Python 3.11 has no name for it.
MADV_WIPEONFORK = 18
# Bytes that one call copies.
PIECE = 1 << 28

Shard = np.ndarray[Any, np.dtype[np.uint8]]


def data_extents(fd: int, start: int, end: int) -> Iterator[tuple[int, int]]:
    """(begin, end) of the parts of [start, end) of a sparse file that hold data, in order."""
    at = start
    while at < end:
        try:
            at = os.lseek(fd, at, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:
                return
            raise
        if at >= end:
            return
        hole = min(os.lseek(fd, at, os.SEEK_HOLE), end)
        yield at, hole
        at = hole


def _sparse_bytes(size: int) -> Shard:
    """Zeros that take memory only where they are written, page by page, and that forks find zero again.

    Not MADV_DONTFORK: a fork would map its own memory into the hole, and lose it where it drops the inherited object.
    """
    memory = mmap.mmap(-1, size, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | MAP_NORESERVE)
    for advice in (mmap.MADV_NOHUGEPAGE, MADV_WIPEONFORK):
        memory.madvise(advice)
    return np.frombuffer(memory, np.uint8)


class StateMemory:
    """State of the plugins with these layouts. `address(k, domain)` is plugin k's first shard there, for compiled code.

    Shards are counted through: bucket b of domain d is shard d * layout.shards + b; state per worker knows no domains.
    Raises RingError where the memory cannot be made.
    """

    def __init__(self, layouts: Sequence[StateLayout], domains: int = 1) -> None:
        self.layouts, self.domains = tuple(layouts), domains
        sizes = [layout.size * (1 if layout.per_worker else domains) for layout in self.layouts]
        self._offsets = [sum(sizes[:k]) for k in range(len(sizes))]
        self.size = max(sum(sizes), os.sysconf("SC_PAGESIZE"))
        starts = [
            range(start, start + size, layout.size)
            for start, size, layout in zip(self._offsets, sizes, self.layouts, strict=True)
        ]
        self._directory = Directory(self.layouts, starts)
        self._memory = make_large_memory("zc-state", self.size, reserve=False)
        self._fd, behind = self._memory.fd, self._memory.size + HUGE_PAGE
        # In small pages always: a shard that overflows writes to few.
        self._more = make_memory("zc-overflow", behind + self._directory.size, reserve=False)
        self._mapping = self._memory.map(writable=True, behind=self._more)
        self.low = self._mapping.address
        self.high = self.low + self._memory.size + self._directory.size
        self._directory.write(self._mapping, self._memory.size)
        # Address of the directory of the tables' overflow.
        self.overflow = self.low + self._memory.size
        self._copy = _sparse_bytes(self.size)
        self._written: set[tuple[int, int]] = set()
        self._nodes: dict[tuple[int, int], dict[str, Shard]] = {}
        # Of the tables' hash: nobody outside can choose keys that collide.
        self.secrets = secrets.token_bytes(8 * MAX_SECRETS)

    def address(self, plugin: int, domain: int = 0) -> int:
        layout = self.layouts[plugin]
        return self.low + self._offsets[plugin] + (0 if layout.per_worker else domain * layout.size)

    def places(self, domain: int, worker: int) -> list[range]:
        """Addresses of all that this worker writes: shards of its domain, and those that are its own.

        In whole pages of the memory: a huge page may hold what is others' as well.
        """
        page = HUGE_PAGE if self._memory.pages != SMALL else abi.PAGE_SIZE
        found = []
        for plugin, layout in enumerate(self.layouts):
            first, size = self.address(plugin, domain), layout.size
            if layout.per_worker:
                first, size = first + worker * layout.shard_size, layout.shard_size
            found.append(range(first // page * page, -(-(first + size) // page) * page))
        parts = self._directory.places(self.layouts, domain, worker)
        return [*found, *(range(self.overflow + part.start, self.overflow + part.stop) for part in parts)]

    def live(self, plugin: int, shard: int) -> Shard:
        """All bytes from the beginning of one shard on, as they lie in memory, uint8; reading them may fill holes."""
        start = self._start(plugin, shard)
        return self._mapping.view(np.uint8, start, self.high - self.low - start)

    def copy(self, plugin: int, shard: int) -> Shard | None:
        """Copy one shard and return the copy, as `copied` does; no page of it that a worker never wrote is touched.

        A page once written stays, so each copy overwrites all of the one before.
        """
        for begin, end in self._extents(plugin, shard):
            os.preadv(self._fd, [self._copy[begin:end].data], begin)
            self._written.add((plugin, shard))
        copied = self.copied(plugin, shard)
        if copied is not None:
            self._nodes[plugin, shard] = self._overflow(plugin, shard, copied)
        return copied

    def read(self, plugin: int, shard: int) -> State | None:
        """The state of one shard as last copied; None where it was never written to."""
        copied = self.copied(plugin, shard)
        if copied is None:
            return None
        return read_shard(self.layouts[plugin], copied, self._nodes[plugin, shard])

    def _overflow(self, plugin: int, shard: int, copied: Shard) -> dict[str, Shard]:
        """By table: bytes of the nodes that a shard has in the overflow. copied: the shard."""
        found = {}
        for table in self.layouts[plugin].tables:
            nodes = table.nodes(copied)
            if nodes:
                entry, number = self._entry(plugin, shard, table)
                found[table.name] = self._directory.read(self._more, self._mapping.behind, entry, table, number, nodes)
        return found

    def take_over(self, before: StateMemory, shards: Callable[[StateLayout], Iterable[int]]) -> None:
        """Copy what another memory has in these shards, of each plugin whose layout is the same there."""
        for k, (layout, old) in enumerate(zip(self.layouts, before.layouts, strict=True)):
            if not layout.holds(old):
                continue
            offset = self._offsets[k] - before._offsets[k]
            for begin, end in (extent for shard in shards(layout) for extent in before._extents(k, shard)):
                for at in range(begin, end, PIECE):
                    piece = self._mapping.view(np.uint8, at + offset, min(PIECE, end - at))
                    os.preadv(before._fd, [piece.data], at)
            for shard in shards(layout):
                self._take_over_nodes(before, k, shard)

    def _take_over_nodes(self, before: StateMemory, plugin: int, shard: int) -> None:
        """Copy what a shard has in the overflow of another memory, and note where it lies in this one."""
        start = self._start(plugin, shard)
        for table in self.layouts[plugin].tables:
            part = self._mapping.view(np.uint64, start + table.offset + TABLE_PART, 1)
            if not part[0]:
                continue
            to, number = self._entry(plugin, shard, table)
            come, _ = before._entry(plugin, shard, table)
            part[0] = self.overflow + to.parts + number * to.part_size
            word = number * WORD
            place, source = self._memory.size, before._mapping.behind
            for at, there, size in (
                (to.book + word, come.book + word, WORD),
                (to.parts + number * to.part_size, come.parts + number * come.part_size, to.part_size),
            ):
                for begin, end in data_extents(before._more, source + there, source + there + size):
                    into = place + at + begin - source - there
                    os.preadv(before._more, [self._mapping.view(np.uint8, into, end - begin).data], begin)

    def _entry(self, plugin: int, shard: int, table: TableLayout) -> tuple[Entry, int]:
        """Where the overflow of a table lies, and the number of a shard's part there."""
        layout = self.layouts[plugin]
        domain, number = (0, shard) if layout.per_worker else divmod(shard, layout.shards)
        return self._directory.entries[plugin, domain, table.name], number

    def _extents(self, plugin: int, shard: int) -> Iterable[tuple[int, int]]:
        """(begin, end) of the parts of a shard that were ever written."""
        start, size = self._start(plugin, shard), self.layouts[plugin].shard_size
        if self._memory.pages != HUGETLB:
            return data_extents(self._fd, start, start + size)
        written = (plugin, shard) in self._written or bool(self._mapping.view(np.uint64, start, size // 8).any())
        return [(start, start + size)] if written else []

    def copied(self, plugin: int, shard: int) -> Shard | None:
        """Bytes of one shard as last copied, uint8[shard_size]; None where it was never written to."""
        start = self._start(plugin, shard)
        size = self.layouts[plugin].shard_size
        return self._copy[start : start + size] if (plugin, shard) in self._written else None

    def _start(self, plugin: int, shard: int) -> int:
        return self._offsets[plugin] + shard * self.layouts[plugin].shard_size

    def close(self) -> None:
        """Give the memory back; may be called again."""
        if self._fd >= 0:
            self._mapping.close()
            os.close(self._fd)
            os.close(self._more)
            self._fd = -1
