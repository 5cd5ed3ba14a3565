"""How a shard gets room in a table's overflow."""

from __future__ import annotations

from zcframe.framework.jit.address import journal_load_u64, load_u64
from zcframe.framework.jit.compiler import kept_outlined
from zcframe.framework.state.journal import OVERFLOW, WRITE
from zcframe.framework.state.layout import TABLE_ROWS

from .memory import BOOK, ENTRY_SIZE, FIRST, MOST, PART_SIZE, PARTS, SHARDS, STRIDE, WORD

write8 = WRITE[8]


@kept_outlined
def claim(journal, table, nodes, more):  # type: ignore[no-untyped-def]
    """Claim `more` nodes for a shard that has `nodes`: address of its part of the overflow, 0 where there is no room.

    table: address of the table in the shard. There is room while the nodes of all shards, and the rows of this one that
    are in no node, are fewer than the directory says.
    """
    directory = journal_load_u64(journal + OVERFLOW)
    tables = load_u64(directory) if directory else 0
    for i in range(tables):
        entry = directory + WORD + i * ENTRY_SIZE
        at, stride, shards = load_u64(entry + FIRST), load_u64(entry + STRIDE), load_u64(entry + SHARDS)
        if table < at or table >= at + stride * shards:
            continue
        # No division: authors are told of each one in their plugin's code.
        shard = 0
        while at < table:
            at, shard = at + stride, shard + 1
        if at > table:
            continue
        book = load_u64(entry + BOOK)
        claimed = max(0, load_u64(table + TABLE_ROWS) - nodes)
        for one in range(shards):
            claimed += load_u64(book + WORD * one)
        if claimed >= load_u64(entry + MOST):
            return 0
        write8(journal, book + WORD * shard, nodes + more)
        return load_u64(entry + PARTS) + shard * load_u64(entry + PART_SIZE)
    return 0
