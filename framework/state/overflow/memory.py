"""Memory of rows whose window is full: one part a shard and table, each with room for all that the table may hold.

The parts lie in a sparse memfd in small pages, so that only what was written takes memory. Compiled code finds a
shard's part by a directory at the beginning:

    directory  | u64: tables | entry of each table | books |
    entry      | addresses of the table in the first shard, of its book and of the first part; sizes of a shard and
               | a part; shards; nodes at which these claim no more |
    book       | u64[shards]: nodes that each shard has claimed |

A word of a book has one writer at a time, the worker that has the shard's bucket: it is journaled as state is. The sum
that a worker reads may be older by what others have claimed meanwhile.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np

from zcframe.framework import abi
from zcframe.framework.ring.mapping import Mapping
from zcframe.framework.state.layout import StateLayout, TableLayout

WORD: Final = 8


class Entry(NamedTuple):
    """A table as the directory has it; addresses are offsets until they are written."""

    first: int
    book: int
    parts: int
    stride: int
    part_size: int
    shards: int
    most: int


FIRST, BOOK, PARTS, STRIDE, PART_SIZE, SHARDS, MOST = (WORD * i for i in range(len(Entry._fields)))
ENTRY_SIZE: Final = WORD * len(Entry._fields)


class Directory:
    """Where each table's overflow lies, as offsets. starts: of each layout's first shards, by layout and domain."""

    def __init__(self, layouts: Sequence[StateLayout], starts: Sequence[Sequence[int]]) -> None:
        places = [
            (k, domain, table)
            for k, layout in enumerate(layouts)
            for domain in range(len(starts[k]))
            for table in layout.tables
        ]
        book = WORD + ENTRY_SIZE * len(places)
        parts = book + WORD * sum(layouts[k].shards for k, _, _ in places)
        parts = -(-parts // abi.PAGE_SIZE) * abi.PAGE_SIZE
        self.entries: dict[tuple[int, int, str], Entry] = {}
        for k, domain, table in places:
            layout = layouts[k]
            size = table.part_size(layout.shards)
            first = starts[k][domain] + table.offset
            most = table.most_nodes(layout.shards)
            self.entries[k, domain, table.name] = Entry(
                first, book, parts, layout.shard_size, size, layout.shards, most
            )
            book, parts = book + WORD * layout.shards, parts + size * layout.shards
        self.size = parts if places else 0

    def write(self, mapping: Mapping, at: int) -> None:
        """Write the directory where the overflow begins. at: offset in the mapping, whose beginning is the state's."""
        if not self.entries:
            return
        low = mapping.address
        words = [len(self.entries)]
        for entry in self.entries.values():
            words += entry._replace(first=low + entry.first, book=low + at + entry.book, parts=low + at + entry.parts)
        mapping.view(np.int64, at, len(words))[:] = words

    def places(self, layouts: Sequence[StateLayout], domain: int, worker: int) -> list[range]:
        """What a worker of this domain writes, as offsets in the overflow: the books, and its tables' parts."""
        if not self.entries:
            return []
        found = [range(min(entry.parts for entry in self.entries.values()))]
        for (plugin, of, _), entry in self.entries.items():
            per_worker = layouts[plugin].per_worker
            if per_worker or of == domain:
                first, parts = (worker, 1) if per_worker else (0, entry.shards)
                start = entry.parts + first * entry.part_size
                found.append(range(start, start + parts * entry.part_size))
        return found

    def read(self, fd: int, start: int, entry: Entry, table: TableLayout, shard: int, nodes: int) -> np.ndarray:
        """Bytes of the first nodes of a shard's part. start: of the overflow in the file."""
        octets = np.empty(nodes * table.node_size, np.uint8)
        at = start + entry.parts + shard * entry.part_size + table.nodes_offset
        done = 0
        while done < len(octets):
            done += os.preadv(fd, [octets[done:].data], at + done)
        return octets
