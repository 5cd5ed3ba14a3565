"""What a worker does before its first packet: take over exactly where its predecessor was killed."""

from __future__ import annotations

from zcframe.framework.abi import (
    DESC_LEN,
    DESC_OFFSET,
    DESC_SIZE,
    DESC_WIRE_LEN,
    HEADER_BLOCK_SIZE,
    HEADER_WRITE,
    USER_FLAGS,
    USER_READ,
    USER_WANT_WAKE,
)
from zcframe.framework.chain.no_ip import begin_counts, count_packet, undo_counts
from zcframe.framework.chain.parts import commit
from zcframe.framework.chain.workspace import (
    CTX,
    DONE,
    GENERATION,
    JOURNAL,
    LEDGER,
    LEDGER_COPY,
    LEDGER_UPTO,
    SCRATCH_COUNTS,
    STAGE,
    VERDICTS,
)
from zcframe.framework.jit.address import (
    acquire_u32,
    full_fence,
    load_u8,
    load_u16,
    load_u32,
    load_u64,
    release_u32,
    release_u64,
    store_u8,
    store_u64,
)
from zcframe.framework.jit.compiler import compiled
from zcframe.framework.packet.decode import MAX_LENGTH, decode
from zcframe.framework.state.journal import roll_back


@compiled
def recover(ctx, codes, skip):  # type: ignore[no-untyped-def]
    """Undo the packet that was in progress, bring the ledger and the counts up to `done`, release what is done.

    ctx: words of ChainContext. codes: number of verdict codes. skip: 0, or the verdict code with which the packet
    in progress is given up; what earlier plugins did with it then stays. Returns `done`.
    """
    progress = ctx[CTX.progress]
    journal, counts, verdicts = progress + JOURNAL, progress + SCRATCH_COUNTS, progress + VERDICTS
    done = load_u64(progress + DONE)
    low, high = ctx[CTX.state_low], ctx[CTX.state_high]
    current = progress + LEDGER + (load_u64(progress + GENERATION) & 1) * LEDGER_COPY
    first = load_u64(current + LEDGER_UPTO)
    if first < done:
        undo_counts(journal, done, low, high)
    if load_u64(journal) >> 16 == done:
        mark = load_u32(progress + STAGE) & 0xFFFF if skip else 0
        roll_back(journal, mark, low, high)
    if skip:
        store_u8(verdicts + (done & ctx[CTX.mask]), skip)
        done += 1
        release_u64(progress + DONE, done)
    release_u32(progress + STAGE, 0)
    for code in range(codes):
        store_u64(counts + code * 8, 0)
    longest = min(load_u32(ctx[CTX.header] + HEADER_BLOCK_SIZE), MAX_LENGTH)
    begin_counts(journal, done)
    wire = 0
    for packet in range(first, done):
        slot = packet & ctx[CTX.mask]
        code = min(load_u8(verdicts + slot), codes - 1)
        store_u64(counts + code * 8, load_u64(counts + code * 8) + 1)
        desc = ctx[CTX.descriptors] + slot * DESC_SIZE
        wire += load_u32(desc + DESC_WIRE_LEN)
        frame = ctx[CTX.blocks] + load_u32(desc + DESC_OFFSET)
        _, facts = decode(desc, frame, min(load_u16(desc + DESC_LEN), longest))
        count_packet(journal, ctx[CTX.no_ip], facts)
    commit(progress, done, wire, codes)
    release_u32(ctx[CTX.user] + USER_READ, done)
    return done


@compiled
def arm(ctx):  # type: ignore[no-untyped-def]
    """Ask the producer for a wake-up; True where the ring is empty, so that the worker may sleep."""
    release_u32(ctx[CTX.user] + USER_FLAGS, USER_WANT_WAKE)
    full_fence()  # E, matches F of the producer: one of us sees the other's store.
    return acquire_u32(ctx[CTX.header] + HEADER_WRITE) == load_u64(ctx[CTX.progress] + DONE) & 0xFFFFFFFF


@compiled
def disarm(ctx):  # type: ignore[no-untyped-def]
    release_u32(ctx[CTX.user] + USER_FLAGS, 0)
