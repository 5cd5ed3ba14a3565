"""Why packets faulted: what each plugin raised, how often, and the first such packet, in the worker's own memory.

    entry    plugin u64 (from 1; 0: free) | raised u64 | tally u64 | packet u64 | ts u64 | wire length u64
             source u64[2] | destination u64[2] | ports u64 | protocol u64 | bytes kept u64
             text, by the worker | the frame's first bytes

`raised` is the address of what numba keeps of an exception. It means something in the worker only: the worker writes
the text, and nobody else follows the address. `tally` is the number of packets and, in its upper half, the last one of
these: one store counts a packet, and a packet that is taken again after a kill is not counted again. The last entry
takes whatever finds no room.
"""

from __future__ import annotations

from typing import Final

from zcframe.framework.jit.address import load_u64, rx_load_u8, store_u8, store_u64
from zcframe.framework.jit.compiler import kept, outlined

from .workspace import FAULT_ENTRIES, FAULT_ENTRY, FAULTS, RAISED_AT

PLUGIN, RAISED, TALLY, NUMBER, TS, WIRE = 0, 8, 16, 24, 32, 40
SOURCE, DESTINATION, PORTS, PROTOCOL, KEPT = 48, 64, 80, 88, 96
TEXT: Final = 104
FRAME: Final = 256
TEXT_SIZE: Final = FRAME - TEXT
FRAME_SIZE: Final = FAULT_ENTRY - FRAME
LOW: Final = (1 << 32) - 1


@outlined
def entry_of(progress, plugin, raised):  # type: ignore[no-untyped-def]
    """Address of the entry for what a plugin raised, or of the one that is to become it."""
    at = progress + FAULTS
    for _ in range(FAULT_ENTRIES - 1):
        found = load_u64(at + PLUGIN)
        if found == 0 or (found == plugin and load_u64(at + RAISED) == raised):
            return at
        at += FAULT_ENTRY
    return at


@outlined
def keep_frame(at, frame, length):  # type: ignore[no-untyped-def]
    """Copy the first bytes of a frame into an entry."""
    kept = min(length, FRAME_SIZE)
    store_u64(at + KEPT, kept)
    for offset in range(kept):
        store_u8(at + FRAME + offset, rx_load_u8(frame + offset))


@kept
def count_fault(progress, packet, plugin, pkt):  # type: ignore[no-untyped-def]
    """Count a packet that is taken by itself against what its plugin (from 1) raised. packet: its number."""
    raised = load_u64(progress + RAISED_AT)
    at = entry_of(progress, plugin, raised)
    if load_u64(at + PLUGIN) == 0:
        store_u64(at + RAISED, raised)
        store_u64(at + NUMBER, packet)
        store_u64(at + TS, pkt.ts)
        store_u64(at + WIRE, pkt.wirelen)
        store_u64(at + SOURCE, pkt.src_hi)
        store_u64(at + SOURCE + 8, pkt.src_lo)
        store_u64(at + DESTINATION, pkt.dst_hi)
        store_u64(at + DESTINATION + 8, pkt.dst_lo)
        store_u64(at + PORTS, pkt.sport << 16 | pkt.dport)
        store_u64(at + PROTOCOL, pkt.ip_version << 8 | pkt.proto)
        keep_frame(at, pkt._data, pkt._facts >> 48)
        store_u64(at + PLUGIN, plugin)
    tally = load_u64(at + TALLY)
    if (tally >> 32) & LOW != ((packet + 1) & LOW):
        store_u64(at + TALLY, ((packet + 1) & LOW) << 32 | ((tally + 1) & LOW))


@outlined
def count_tick(progress, generation, plugin, number, now):  # type: ignore[no-untyped-def]
    """Count a tick without a packet against what its plugin (from 1) raised, once in this generation of the ledger.

    It is told as a packet of no length. number: of the next packet.
    """
    at = entry_of(progress, plugin, load_u64(progress + RAISED_AT))
    if load_u64(at + PLUGIN) == 0:
        store_u64(at + RAISED, load_u64(progress + RAISED_AT))
        store_u64(at + NUMBER, number)
        store_u64(at + TS, now)
        store_u64(at + PLUGIN, plugin)
    tally = load_u64(at + TALLY)
    # No packet has this number so soon.
    told = (generation ^ 1 << 31) & LOW
    if (tally >> 32) & LOW != told:
        store_u64(at + TALLY, told << 32 | ((tally + 1) & LOW))
