"""The undo journal: a packet is a transaction on the shared state.

Before a store into state the old bytes go onto the worker's journal, a stack. A packet that faults, or whose worker was
killed in the middle of it, is rolled back, so that nothing is counted twice and nothing half.

    head     u64: packet number << 16 | bytes used; it belongs to a packet in progress only while packet number == done
    now      u64: time of arrival of that packet, for tables with an idle time
    entry    old bytes, padded to 8 | u64 address | u64 size

The journal and the state are memory that outlives the worker. After a kill its successor sees the dead worker's stores
in program order; a release store keeps LLVM from moving the new value above its journal entry.
"""

from __future__ import annotations

from typing import Any

from zcframe.framework.errors import JournalFullError
from zcframe.framework.jit.address import (
    copy_bytes,
    load_u8,
    load_u16,
    load_u32,
    load_u64,
    release_u8,
    release_u16,
    release_u32,
    release_u64,
    store_u8,
    store_u16,
    store_u32,
    store_u64,
)
from zcframe.framework.jit.compiler import inlined

CAPACITY = 32 * 1024
HEAD_SIZE = 64
NOW = 8
TRAILER = 16
JOURNAL_SIZE = HEAD_SIZE + CAPACITY


@inlined
def reserve(journal, address, size):  # type: ignore[no-untyped-def]
    """(entry, head): put the old bytes of [address, address + size) at `entry`, `enter` head, then change the state."""
    head = load_u64(journal)
    used, room = head & 0xFFFF, (size + 7) & ~7
    if used + room + TRAILER > CAPACITY:
        raise JournalFullError("a plugin changed more than 32 KiB of state for one packet")
    entry = journal + HEAD_SIZE + used
    store_u64(entry + room, address)
    store_u64(entry + room + 8, size)
    return entry, head + room + TRAILER


@inlined
def enter(journal, head):  # type: ignore[no-untyped-def]
    """Make the entry that was reserved, and filled, part of the journal."""
    release_u64(journal, head)


@inlined
def remember(journal, address, size):  # type: ignore[no-untyped-def]
    """Put `size` bytes at `address` onto the journal, before they are changed."""
    entry, head = reserve(journal, address, size)
    copy_bytes(entry, address, size)
    enter(journal, head)


@inlined
def roll_back(journal, mark, low, high):  # type: ignore[no-untyped-def]
    """Undo the packet in progress down to `mark` bytes, newest first; nothing outside [low, high) is ever touched."""
    head = load_u64(journal)
    used = min(head & 0xFFFF, CAPACITY)
    while used - TRAILER > mark:
        trailer = journal + HEAD_SIZE + used - TRAILER
        address, size = load_u64(trailer), load_u64(trailer + 8)
        room = (size + 7) & ~7
        if size < 0 or room > used - TRAILER:
            break
        used -= room + TRAILER
        if low <= address <= high - size:
            copy_bytes(address, journal + HEAD_SIZE + used, size)
    store_u64(journal, (head & ~0xFFFF) | mark)


def _make_write(release: Any, size: int) -> Any:
    @inlined
    def write(journal, address, value):  # type: ignore[no-untyped-def]
        remember(journal, address, size)
        release(address, value)

    return write


LOAD = {1: load_u8, 2: load_u16, 4: load_u32, 8: load_u64}
STORE = {1: release_u8, 2: release_u16, 4: release_u32, 8: release_u64}
PLAIN = {1: store_u8, 2: store_u16, 4: store_u32, 8: store_u64}
WRITE = {size: _make_write(store, size) for size, store in STORE.items()}
