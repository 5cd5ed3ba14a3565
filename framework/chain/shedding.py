"""Which frames of a flow an output gets: whole flows are left out where it falls behind, or where they are long.

A book of such an output (handover.py) has two lines more, used in turn as its first two, so that they are committed
together with the burst:

    new | elephants | shunt    frames that were left out, by reason
    flows | one_sided          flows that began; of them, those of which one direction only was seen
    pressed                    1: flows are shed

Flows are shed from when more than half of the share's ring waits for the writer until less than a quarter does. A flow
is never shed in parts: what is decided stands in its row of the flow table until it is idle.
"""

from __future__ import annotations

from typing import Final

from zcframe.framework import abi
from zcframe.framework.jit.address import (
    acquire_u64,
    count_ones,
    journal_load_u64,
    rx_load_u32,
    seldom,
    shift_right,
    work_load_u64,
    work_store_u64,
)
from zcframe.framework.jit.compiler import inlined
from zcframe.framework.packet.flow import flow_key, inner_packet
from zcframe.framework.state import flows as table
from zcframe.framework.state.compiled import allow_fields, state_maker
from zcframe.framework.state.journal import CAPACITY, USED

from .handover import BOOK, END, HAND, LINE, MODES, TALLY

OFF, NEWEST, LARGEST = range(len(MODES))
REASONS: Final = ("new", "elephants", "shunt")
SHED_NEW, SHED_ELEPHANTS, SHUNTED, FLOWS, ONE_SIDED, PRESSED = 0, 8, 16, 24, 32, 40
WORDS: Final = 6
# What is told of a frame: it goes on, it was left out, the burst has to be taken again in parts.
GOES_ON, LEFT_OUT, AGAIN = -1, 0, 1
SENT: Final = table.SENT_A | table.SENT_B
MOST_PACKETS: Final = (1 << 32) - 1
# Bytes of the journal that a row may take.
ROOM: Final = 512
# An elephant has 4 GiB where the ring is half full, and half as much at each of so many steps to the full one: 1 KiB.
TOP: Final = 32
STEPS: Final = 22

FIN, SYN, RST, ACK = 0x01, 0x02, 0x04, 0x10


@inlined
def take_up_tally(ctx, at, line):  # type: ignore[no-untyped-def]
    """Begin a burst, as `take_up` does."""
    new = ctx[at + HAND.books] + TALLY + line
    old = new + LINE - 2 * line
    for _ in range(ctx[at + HAND.shares]):
        for word in range(WORDS):
            work_store_u64(new + word * 8, work_load_u64(old + word * 8))
        new += BOOK
        old += BOOK


@inlined
def _add(address, count):  # type: ignore[no-untyped-def]
    work_store_u64(address, work_load_u64(address) + count)


@inlined
def _press(ctx, at, line, share, book):  # type: ignore[no-untyped-def]
    """(whether flows are shed now, bytes in the ring): from half of the ring on, down to a quarter of it."""
    size = ctx[at + HAND.mask] + 1
    fill = work_load_u64(book + line + END) - acquire_u64(ctx[at + HAND.reads] + share * ctx[at + HAND.reads_stride])
    pressed = work_load_u64(book + TALLY + line + PRESSED)
    pressed = 0 if fill < size >> 2 or ctx[at + HAND.waits] != 0 else (1 if fill > size >> 1 else pressed)
    work_store_u64(book + TALLY + line + PRESSED, pressed)
    return pressed, fill


@inlined
def _is_elephant(ctx, at, fill, octets):  # type: ignore[no-untyped-def]
    """Whether a flow of so many bytes is to go, where so many bytes are in the ring, half of it at least."""
    above = max(fill - (ctx[at + HAND.mask] + 1 >> 1), 0)
    half = count_ones(ctx[at + HAND.mask]) - 1
    return shift_right(octets, TOP - shift_right(above * STEPS, half)) != 0


@inlined
def _is_another(row, flags, pkt, ts):  # type: ignore[no-untyped-def]
    """Whether a flow begins that has the key of an older one."""
    if ts - row.last > table.IDLE_NS:
        return True
    return flags & table.CLOSING != 0 and pkt.tcp_flags & (SYN | ACK) == SYN


@inlined
def _flags_with(tally, row, flags, pkt, direction, stream, begins):  # type: ignore[no-untyped-def]
    """The row's flags with what this packet tells; flows are counted, and those of one direction."""
    sent = flags & SENT
    if begins or row.share != stream:
        # What is left out stays so in the share of a reader that died.
        _add(tally + FLOWS, 1)
        _add(tally + ONE_SIDED, 1)
        row.share, flags = stream, flags & ~SENT
    elif sent != SENT and sent != direction:
        _add(tally + ONE_SIDED, -1)
    return flags | direction | (table.CLOSING if pkt.tcp_flags & (FIN | RST) else 0)


LAYOUT: Final = table.flow_layout()
allow_fields(LAYOUT)
SHARD: Final = LAYOUT.shard_size
flows_of: Final = state_maker(LAYOUT)


@inlined
def shed(ctx, at, line, journal, pkt, bucket, share, alone):  # type: ignore[no-untyped-def]
    """Count a packet to its flow; GOES_ON, LEFT_OUT or AGAIN.

    at: place of the output's words in `ctx`. line: of the book. alone: whether the packet is a burst by itself.
    """
    inner = inner_packet(pkt)
    if inner.ip_version == 0:
        return GOES_ON
    if seldom(journal_load_u64(journal + USED) > CAPACITY - ROOM):
        return GOES_ON if alone else AGAIN
    ports, a_hi, a_lo, b_hi, b_lo, proto, direction = flow_key(inner)
    flows = flows_of(ctx[at + HAND.flows] + bucket * SHARD, journal)
    row = flows.rows.upsert(ports, a_hi, a_lo, b_hi, b_lo, proto)
    if not row:
        return GOES_ON
    book, ts, mode = ctx[at + HAND.books] + share * BOOK, pkt.ts, ctx[at + HAND.mode]
    tally = book + TALLY + line
    pressed, fill = _press(ctx, at, line, share, book) if mode != OFF else (0, 0)
    flags, packets, octets = row.flags, row.packets, row.bytes
    begins = row.new or _is_another(row, flags, inner, ts)
    if begins:
        flags, packets, octets = (table.NEW if mode == NEWEST and pressed != 0 else 0), 0, 0
    flags = _flags_with(tally, row, flags, inner, direction, ctx[at + HAND.stream] + share, begins)
    kept = packets < ctx[at + HAND.keep]
    if mode == LARGEST and pressed != 0 and not kept and _is_elephant(ctx, at, fill, octets):
        flags |= table.ELEPHANT
    reason = GOES_ON
    if flags & table.NEW != 0 and not kept:
        reason = SHED_NEW
    elif flags & table.ELEPHANT != 0:
        reason = SHED_ELEPHANTS
    elif octets >= ctx[at + HAND.shunt]:
        reason = SHUNTED
    row.packets, row.bytes = min(packets + 1, MOST_PACKETS), octets + rx_load_u32(pkt._desc + abi.DESC_WIRE_LEN)
    row.last = ts if begins else max(ts, row.last)
    row.flags = flags | (table.LEFT_OUT if reason != GOES_ON else 0)
    if reason == GOES_ON:
        return GOES_ON
    _add(tally + reason, 1)
    return LEFT_OUT
