"""The undo journal: a burst of packets is a transaction on the shared state.

Before a store into state the old bytes go onto the worker's journal, a stack. A burst in which a packet faults, or
whose worker was killed in the middle of it, is rolled back, so that nothing is counted twice and nothing half.

    owner    u64: the packet at which the transaction began; the journal counts only while the ledger's `upto` is it.
             ALONE | the ledger's generation, of one without packets: it counts only while that is the current one
    now      u64: time of arrival of the packet in progress, for tables with an idle time
    used     u64: bytes of entries
    overflow u64: address of the directory of the tables' overflow (overflow/memory.py), 0 where there is none
    secrets  of the tables' hash, the same for all tables and workers of a run
    rows     where plugins emit records, see chain/records/emit.py: six u64
    lookups  u64 for each plugin of the run: where its lookups are, see lookup/image.py
    entry    old bytes, padded to 8 | u64: address, and in its upper 16 bits the size

The journal and the state are memory that outlives the worker. After a kill its successor sees the dead worker's stores
in program order: an entry, `used`, the new bytes. Fences keep LLVM from mixing these; they cost no instruction.
"""

from __future__ import annotations

from typing import Any

from zcframe.framework.errors import JournalFullError
from zcframe.framework.jit.address import (
    copy_bytes,
    journal_load_u64,
    journal_store_u64,
    load_u64,
    order_stores,
    shift_right,
    state_load_u8,
    state_load_u16,
    state_load_u32,
    state_load_u64,
    state_store_u8,
    state_store_u16,
    state_store_u32,
    state_store_u64,
    store_u64,
)
from zcframe.framework.jit.compiler import inlined, kept

from .declare import MAX_KEYS

CAPACITY = 64 * 1024
# More packets than there ever are.
ALONE = 1 << 62
OWNER = 0
NOW = 8
USED = 16
OVERFLOW = 24
SECRETS = 64
MAX_SECRETS = MAX_KEYS + 2
ROWS = SECRETS + -(-8 * MAX_SECRETS // 64) * 64
LOOKUPS = ROWS + 64
MAX_PLUGINS = 32
HEAD_SIZE = LOOKUPS + 8 * MAX_PLUGINS
TRAILER = 8
SIZE_AT = 48
ADDRESS = (1 << SIZE_AT) - 1
JOURNAL_SIZE = HEAD_SIZE + CAPACITY


@inlined
def begin(journal, packet):  # type: ignore[no-untyped-def]
    """Begin the transaction at `packet`: what the journal holds is void before it says whose it is."""
    journal_store_u64(journal + USED, 0)
    order_stores()
    journal_store_u64(journal + OWNER, packet)
    order_stores()


@inlined
def reserve(journal, address, size):  # type: ignore[no-untyped-def]
    """(entry, used): put the old bytes of [address, address + size) at `entry`, `enter` used, then change the state."""
    used, room = journal_load_u64(journal + USED), (size + 7) & ~7
    if used > CAPACITY - TRAILER - room:
        raise JournalFullError("a plugin changed more than 64 KiB of state for one packet")
    entry = journal + HEAD_SIZE + used
    journal_store_u64(entry + room, address | size << SIZE_AT)
    return entry, used + room + TRAILER


@inlined
def enter(journal, used):  # type: ignore[no-untyped-def]
    """Make the entry that was reserved, and filled, part of the journal; the state may change from here on."""
    order_stores()
    journal_store_u64(journal + USED, used)
    order_stores()


@kept
def roll_back(journal, mark, low, high):  # type: ignore[no-untyped-def]
    """Undo the transaction down to `mark` bytes, newest first; nothing outside [low, high) is ever touched."""
    order_stores()
    used = load_u64(journal + USED)
    used = CAPACITY if used < 0 or used > CAPACITY else used & ~7
    while used - TRAILER >= mark:
        trailer = load_u64(journal + HEAD_SIZE + used - TRAILER)
        address, size = trailer & ADDRESS, shift_right(trailer, SIZE_AT)
        room = (size + 7) & ~7
        if room > used - TRAILER - mark:
            break
        used -= room + TRAILER
        if low <= address <= high - size:
            copy_bytes(address, journal + HEAD_SIZE + used, size)
    order_stores()
    store_u64(journal + USED, mark)
    order_stores()


def _make_write(store: Any, load: Any, size: int) -> Any:
    @inlined
    def write(journal, address, value):  # type: ignore[no-untyped-def]
        entry, used = reserve(journal, address, size)
        journal_store_u64(entry, load(address))
        enter(journal, used)
        store(address, value)

    return write


LOAD = {1: state_load_u8, 2: state_load_u16, 4: state_load_u32, 8: state_load_u64}
STORE = {1: state_store_u8, 2: state_store_u16, 4: state_store_u32, 8: state_store_u64}
WRITE = {size: _make_write(store, LOAD[size], size) for size, store in STORE.items()}
