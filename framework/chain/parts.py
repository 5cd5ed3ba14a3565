"""The names that a generated chain uses."""

from __future__ import annotations

from zcframe.framework.abi import (
    DESC_LEN,
    DESC_OFFSET,
    DESC_SIZE,
    DESC_STATUS,
    DESC_TIMESTAMP,
    DESC_VLAN_TCI,
    DESC_VLAN_TPID,
    DESC_WIRE_LEN,
    HEADER_BLOCK_SIZE,
    HEADER_WRITE,
    STATUS_VLAN,
    USER_READ,
)
from zcframe.framework.jit.address import (
    acquire_u32,
    count_ones,
    journal_load_u64,
    journal_store_u64,
    load_u16,
    load_u32,
    load_u64,
    lowest_one,
    notify_u32,
    prefetch_read,
    release_u32,
    release_u64,
    rx_load_u16,
    rx_load_u32,
    rx_load_u64,
    seldom,
    store_u64,
    without_lowest_one,
    work_load_u64,
    work_store_u64,
)
from zcframe.framework.jit.compiler import compiled, inlined, kept
from zcframe.framework.jit.pointer import call_at
from zcframe.framework.jit.waiting import wait, waited
from zcframe.framework.packet.decode import MAX_LENGTH, decode, decode_others, is_plain_ipv4, plain_ipv4
from zcframe.framework.packet.value import make_packet
from zcframe.framework.state.journal import NOW, USED, begin, roll_back

from .attempt import DROPPED, FAULTED, attempt
from .fault import count_fault
from .handover import HAND, hand_on_pcap, hand_on_pcapng, hand_on_ring, leave_mark, next_line, take_up, wait_for_room
from .no_ip import FACTS, IP_BIT, count_burst
from .records.desk import begin_records, crowded_records, open_desk, whose_records
from .records.tally import keep_records, take_back_records, take_up_records
from .shedding import GOES_ON, shed, take_up_tally
from .sleep import sleep
from .workspace import (
    BURST,
    BUSY,
    CAREFUL,
    CAREFUL_END,
    CTX,
    DONE,
    GENERATION,
    GIVEN_UP,
    GIVEN_UP_BY,
    JOURNAL,
    LEDGER,
    LEDGER_BYTES,
    LEDGER_CODES,
    LEDGER_COPY,
    LEDGER_UPTO,
    LOOKING_AHEAD,
    ORDER_ATTENTION,
    PACKET,
    RAISED_AT,
    SCRATCH,
    SCRATCH_COUNTS,
    STAGE,
    WAITING,
)

# So often a worker lets other processes of its CPU run before it sleeps: those that fill the ring are among them.
YIELDS = 100


@inlined
def stripped_tag(desc):  # type: ignore[no-untyped-def]
    """The VLAN tag that was taken off a frame, as predicates of tcpdump expressions take it; 0: none."""
    if seldom(rx_load_u16(desc + DESC_STATUS) & STATUS_VLAN != 0):
        return rx_load_u16(desc + DESC_VLAN_TPID) << 16 | rx_load_u16(desc + DESC_VLAN_TCI)
    return 0


@inlined
def careful_from(progress, first, end):  # type: ignore[no-untyped-def]
    """From now on packets [first, end) are transactions of their own."""
    store_u64(progress + CAREFUL, first)
    store_u64(progress + CAREFUL_END, end)


@inlined
def given_up(progress, packet):  # type: ignore[no-untyped-def]
    """Bits of the plugins, from 1, that are not asked about a packet."""
    return 1 << load_u64(progress + GIVEN_UP_BY) if load_u64(progress + GIVEN_UP) == packet else 0


@inlined
def forget(counts, codes):  # type: ignore[no-untyped-def]
    """Set the verdict counts of a burst back."""
    for code in range(codes):
        work_store_u64(counts + code * 8, 0)


@kept
def commit(progress, done, wire, codes):  # type: ignore[no-untyped-def]
    """Write the ledger's other copy with the burst added, then make it the current one by one store."""
    generation = load_u64(progress + GENERATION)
    old = progress + LEDGER + (generation & 1) * LEDGER_COPY
    new = progress + LEDGER + ((generation + 1) & 1) * LEDGER_COPY
    counts = progress + SCRATCH_COUNTS
    store_u64(new + LEDGER_UPTO, done)
    store_u64(new + LEDGER_BYTES, load_u64(old + LEDGER_BYTES) + wire)
    for code in range(codes):
        at = LEDGER_CODES + code * 8
        store_u64(new + at, load_u64(old + at) + work_load_u64(counts + code * 8))
        work_store_u64(counts + code * 8, 0)
    release_u64(progress + GENERATION, generation + 1)


__all__ = [name for name in dir() if not name.startswith("_") and name != "annotations"]
