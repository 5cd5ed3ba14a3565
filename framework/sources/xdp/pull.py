"""From a socket's receive ring to descriptors, and from released descriptors to the fill ring; compiled.

Counters are free-running, 32 bits. A worker may be killed between any two instructions: its successor derives from
memory what was in progress, and no frame or chunk is lost or doubled.

Taking. The n-th frame of the receive ring is the n-th descriptor, so that the ring's consumer is a copy of `write`:
a pull stores the one, then the other. A kill before `write` was stored leaves frames that were not taken, one
behind it leaves frames that were, and which the kernel learns of later. All that a descriptor says, but for the time of
a burst, is in the chunk, what the card reported included (metadata.py), and the kernel leaves a chunk alone until it is
given back: a successor derives the same.

Giving back. Several workers may write one fill ring, one at a time: the word GUARD_OWNER says which.

    owner 0            nobody;       given = NOTE_GIVEN's high half
    owner CLAIMED by w by exchange;  given as before, nothing published: w's successor frees the word
    owner OPEN by w    by a store;   given = high half + (producer - low half)

NOTE_GIVEN holds (frames given back << 32 | the fill ring's producer at that moment) and is stored in one piece before
the word is OPEN and once more before it is free. Entries beyond the producer are nobody's. So the store to the producer
alone decides whether the chunks went back, and `given` follows from it, however often it is asked. A word that a killed
worker left waits for that worker's successor, which comes within milliseconds; the others go on with what the kernel
has and try again at their next pull: nobody waits.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from numba import types

from zcframe.framework import abi
from zcframe.framework.jit.address import (
    acquire_u32,
    exchange_u32,
    load_u32,
    load_u64,
    prefetch_read,
    release_u32,
    release_u64,
    store_u64,
)
from zcframe.framework.jit.calls import realtime_ns
from zcframe.framework.jit.compiler import compiled, inlined, precompile
from zcframe.framework.jit.pointer import WORDS
from zcframe.framework.jit.words import numbered
from zcframe.framework.ring.describe import describe
from zcframe.framework.rss.toeplitz import hash_untagged, rss_hash

from .metadata import RECORD_SIZE, TIME, reported_hash, reported_of, reported_tag, reported_time
from .socket import FILL_DESC_SIZE, NEED_WAKEUP, RX_DESC_SIZE

BITS: Final = 0xFFFFFFFF
AHEAD: Final = 16
TAG_SIZE: Final = 4


class PullContext(NamedTuple):
    """The words that `pull` is called with: addresses, where nothing else is said."""

    header: int
    descriptors: int
    slots: int  # of the descriptor ring, a number
    user: int
    chunks: int
    notes: int
    guard: int
    number: int  # which of the queue's workers, from 1
    rx_producer: int
    rx_consumer: int
    rx_entries: int
    rx_mask: int  # a number
    fill_producer: int
    fill_entries: int
    fill_flags: int
    fill_mask: int  # a number
    tables: int  # as for `rss_hash`
    fields: int  # a mask
    hashes: int  # whether descriptors get the hash: 1 or 0
    port: int  # a number
    socket: int  # a file descriptor
    reported: int  # what is taken from the card: a mask of metadata.py; 0: no frame has a record
    types: int  # as `abi_types` returns them


CTX: Final = numbered(PullContext)

NOTE_GIVEN: Final = 0
# Scratch memory for the clock.
NOTE_CLOCK: Final = 8
NOTES_SIZE: Final = 24

GUARD_OWNER: Final = 0
# The word: number of a worker << 1, and this bit.
OPEN: Final = 1

MSG_DONTWAIT: Final = 0x40
recvfrom = types.ExternalFunction(
    "recvfrom", types.int64(types.int32, types.int64, types.int64, types.int32, types.int64, types.int64)
)


@inlined
def succeed(ctx):  # type: ignore[no-untyped-def]
    """Finish the work of a predecessor that was killed while it held the fill ring."""
    owner = ctx[CTX.guard] + GUARD_OWNER
    mine = ctx[CTX.number] << 1
    found = acquire_u32(owner)
    if found >> 1 != ctx[CTX.number]:
        return
    if found == mine | OPEN:
        note = load_u64(ctx[CTX.notes] + NOTE_GIVEN)
        producer = load_u32(ctx[CTX.fill_producer])
        given = ((note >> 32) + producer - note) & BITS
        release_u64(ctx[CTX.notes] + NOTE_GIVEN, given << 32 | producer)
    release_u32(owner, 0)


@inlined
def give_back(ctx):  # type: ignore[no-untyped-def]
    """Give the chunks of released descriptors back, unless another worker does so now; returns the total so far."""
    owner, note = ctx[CTX.guard] + GUARD_OWNER, ctx[CTX.notes] + NOTE_GIVEN
    given = load_u64(note) >> 32 & BITS
    count = (acquire_u32(ctx[CTX.user] + abi.USER_READ) - given) & BITS
    if count == 0 or exchange_u32(owner, 0, ctx[CTX.number] << 1) == 0:
        return given
    producer = load_u32(ctx[CTX.fill_producer])
    release_u64(note, given << 32 | producer)
    release_u32(owner, ctx[CTX.number] << 1 | OPEN)
    for i in range(count):
        desc = ctx[CTX.descriptors] + ((given + i) & (ctx[CTX.slots] - 1)) * abi.DESC_SIZE
        # The kernel rounds an address down to its chunk.
        entry = ctx[CTX.fill_entries] + ((producer + i) & ctx[CTX.fill_mask]) * FILL_DESC_SIZE
        store_u64(entry, load_u32(desc + abi.DESC_OFFSET))
    release_u32(ctx[CTX.fill_producer], producer + count)
    given = (given + count) & BITS
    release_u64(note, given << 32 | (producer + count) & BITS)
    release_u32(owner, 0)
    return given


@inlined
def entry_of(ctx, number):  # type: ignore[no-untyped-def]
    """Address of the receive ring's entry for the number-th frame."""
    return ctx[CTX.rx_entries] + (number & ctx[CTX.rx_mask]) * RX_DESC_SIZE


@inlined
def desc_of(ctx, number):  # type: ignore[no-untyped-def]
    return ctx[CTX.descriptors] + (number & (ctx[CTX.slots] - 1)) * abi.DESC_SIZE


@inlined
def describe_plain(ctx, number, now):  # type: ignore[no-untyped-def]
    """Describe the number-th frame, which has no record of the card."""
    prefetch_read(ctx[CTX.chunks] + load_u32(entry_of(ctx, number + AHEAD)))
    entry = entry_of(ctx, number)
    address, length = load_u32(entry), load_u32(entry + 8)
    hashed = rss_hash(ctx[CTX.chunks] + address, length, ctx[CTX.tables], ctx[CTX.fields]) if ctx[CTX.hashes] else 0
    describe(desc_of(ctx, number), now, address, length, length, hashed, 0, 0, 0, ctx[CTX.port])


@inlined
def describe_reported(ctx, number, now):  # type: ignore[no-untyped-def]
    """Describe the number-th frame with the card's record of it; what the record lacks is computed here."""
    ahead = ctx[CTX.chunks] + load_u32(entry_of(ctx, number + AHEAD))
    prefetch_read(ahead - RECORD_SIZE)
    prefetch_read(ahead)
    entry = entry_of(ctx, number)
    address, length = load_u32(entry), load_u32(entry + 8)
    frame = ctx[CTX.chunks] + address
    reported = reported_of(frame, ctx[CTX.reported])
    tpid, tci = reported_tag(frame, reported)
    time = reported_time(frame, reported, now)
    hashed = reported_hash(frame, reported, ctx[CTX.types])
    if hashed == 0 and ctx[CTX.hashes]:
        hashed = hash_untagged(frame, length, tpid, ctx[CTX.tables], ctx[CTX.fields])
    wire, status = length, 0
    if tpid != 0:
        wire += TAG_SIZE
        status |= abi.STATUS_VLAN
    if time != 0:
        now = time
        status |= abi.STATUS_HW_TIME if reported & TIME != 0 else 0
    describe(desc_of(ctx, number), now, address, length, wire, hashed, tpid, tci, status, ctx[CTX.port])


@inlined
def take(ctx, given, now):  # type: ignore[no-untyped-def]
    """Describe the frames that wait, as many as there is room for; returns how many waited."""
    write = load_u32(ctx[CTX.header] + abi.HEADER_WRITE)
    waiting = (acquire_u32(ctx[CTX.rx_producer]) - write) & BITS
    count = min(waiting, ctx[CTX.slots] - ((write - given) & BITS))
    # Two loops: where the card reports nothing, no frame is searched for a record.
    if ctx[CTX.reported]:
        for number in range(write, write + count):
            describe_reported(ctx, number, now)
    else:
        for number in range(write, write + count):
            describe_plain(ctx, number, now)
    release_u32(ctx[CTX.header] + abi.HEADER_WRITE, write + count)  # B, matches C
    release_u32(ctx[CTX.rx_consumer], write + count)
    return waiting


@inlined
def pull_at(ctx, now):  # type: ignore[no-untyped-def]
    """Give chunks back, bring frames, and wake the driver where it waits for chunks.

    Returns how many frames waited: 0 says that the receive ring is empty.
    """
    succeed(ctx)
    waiting = take(ctx, give_back(ctx), now)
    if load_u32(ctx[CTX.fill_flags]) & NEED_WAKEUP:
        recvfrom(ctx[CTX.socket], 0, 0, MSG_DONTWAIT, 0, 0)
    return waiting


@compiled
def pull(ctx, now):  # type: ignore[no-untyped-def]
    """As `pull_now`, with the time of the burst: int64, nanoseconds since 1970."""
    return pull_at(ctx, now)


@compiled
def pull_now(ctx):  # type: ignore[no-untyped-def]
    """Give chunks back, bring frames, and wake the driver where it waits for chunks.

    ctx: words of PullContext. Returns how many frames waited: 0 says that the receive ring is empty.
    """
    return pull_at(ctx, realtime_ns(ctx[CTX.notes] + NOTE_CLOCK))


def warm_up() -> None:
    """Compile, in the supervisor, what every worker calls."""
    precompile(pull_now, WORDS)
