"""The shared memory that holds the state of every plugin of a run, all shards, in one sealed memfd.

The supervisor makes and maps it before it forks, so that it lies at the same address in every worker and survives each
of them. Pages come into being when a worker first writes them; reading here goes by file, which leaves holes alone.
"""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from zcframe.framework.ring.mapping import Mapping, make_memory

from .layout import TABLE_SEED, StateLayout, TableLayout

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


class StateMemory:
    """State of the plugins with these layouts. `address(k)` is plugin k's first shard, for compiled code.

    Raises RingError where the memory cannot be made.
    """

    def __init__(self, layouts: Sequence[StateLayout]) -> None:
        self.layouts = tuple(layouts)
        sizes = [layout.size for layout in self.layouts]
        self._offsets = [sum(sizes[:k]) for k in range(len(sizes))]
        self.size = max(sum(sizes), os.sysconf("SC_PAGESIZE"))
        self._fd = make_memory("zc-state", self.size, reserve=False)
        self._mapping = Mapping(self._fd, self.size, writable=True)
        self.low = self._mapping.address
        self.high = self.low + self.size
        for k, layout in enumerate(self.layouts):
            self._seed_tables(self._offsets[k], layout)

    def _seed_tables(self, base: int, layout: StateLayout) -> None:
        """Give each table a secret of its own: nobody outside can choose keys that collide."""
        for member in layout.members:
            if isinstance(member, TableLayout):
                seed = secrets.token_bytes(8)
                for shard in range(layout.shards):
                    os.pwrite(self._fd, seed, base + shard * layout.shard_size + member.offset + TABLE_SEED)

    def address(self, plugin: int) -> int:
        return self.low + self._offsets[plugin]

    def copy(self, plugin: int, shard: int) -> Shard | None:
        """Bytes of one shard, uint8[shard_size]; None where no worker ever wrote to it."""
        layout = self.layouts[plugin]
        start = self._offsets[plugin] + shard * layout.shard_size
        copy: Shard | None = None
        for begin, end in data_extents(self._fd, start, start + layout.shard_size):
            if copy is None:
                copy = np.zeros(layout.shard_size, np.uint8)
            os.preadv(self._fd, [copy[begin - start : end - start].data], begin)
        return copy

    def close(self) -> None:
        self._mapping.close()
        os.close(self._fd)
