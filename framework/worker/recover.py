"""What a worker does before its first packet: take over exactly where its predecessor was killed."""

from __future__ import annotations

from zcframe.framework.abi import HEADER_WRITE, USER_FLAGS, USER_READ, USER_WANT_WAKE
from zcframe.framework.chain.workspace import (
    BURST,
    CAREFUL,
    CAREFUL_END,
    CTX,
    DONE,
    GENERATION,
    GIVEN_UP,
    GIVEN_UP_BY,
    JOURNAL,
    LEDGER,
    LEDGER_CODES,
    LEDGER_COPY,
    LEDGER_UPTO,
    LOOKING_AHEAD,
    MAX_CODES,
    PACKET,
    SCRATCH_COUNTS,
    STAGE,
)
from zcframe.framework.jit.address import (
    acquire_u32,
    full_fence,
    load_u32,
    load_u64,
    release_u32,
    release_u64,
    store_u64,
)
from zcframe.framework.jit.compiler import compiled
from zcframe.framework.state.journal import ALONE, OWNER, roll_back


@compiled
def recover(ctx, codes, skip):  # type: ignore[no-untyped-def]
    """Undo the burst that was in progress. The packet at which the worker died is taken by itself when it comes again.

    ctx: words of ChainContext. codes: number of verdict codes. skip: 0, or the verdict code with which the packet is
    given up: the plugin of that fault is not asked again, those before it are. Returns `done`.

    What a chain before this one counted under codes that this one has not stands in both copies of the ledger from now
    on: a burst copies those that it has.
    """
    progress = ctx[CTX.progress]
    journal, counts = progress + JOURNAL, progress + SCRATCH_COUNTS
    generation = load_u64(progress + GENERATION)
    current = progress + LEDGER + (generation & 1) * LEDGER_COPY
    other = progress + LEDGER + ((generation + 1) & 1) * LEDGER_COPY
    done = load_u64(current + LEDGER_UPTO)
    owner = load_u64(journal + OWNER)
    if owner == done or owner == ALONE | generation:
        roll_back(journal, 0, ctx[CTX.state_low], ctx[CTX.state_high])
    stage = load_u32(progress + STAGE)
    if stage:
        ahead = stage & LOOKING_AHEAD != 0
        packet = done if ahead else done + load_u32(progress + PACKET)
        store_u64(progress + CAREFUL, packet)
        store_u64(progress + CAREFUL_END, packet + (BURST if ahead else 1))
        if skip:
            store_u64(progress + GIVEN_UP, packet)
            store_u64(progress + GIVEN_UP_BY, skip - (codes - 1) // 2)
    for code in range(codes):
        store_u64(counts + code * 8, 0)
    for code in range(codes, MAX_CODES):
        at = LEDGER_CODES + code * 8
        store_u64(other + at, load_u64(current + at))
    release_u64(progress + DONE, done)
    release_u32(progress + STAGE, 0)
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
