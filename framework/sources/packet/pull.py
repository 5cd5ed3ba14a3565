"""From blocks of a TPACKET_V3 ring to descriptors, and back: the frames stay where the kernel put them.

A worker that is killed between any two stores is succeeded by one that calls `pull` again, with the notes that it left.
What makes that exact:

- A frame is there for the chain from the store of `write` on, and never before. How far the walk had come at that
  moment (block, offset, frames left) was noted before, in whichever of two copies was not in force: in force is the
  copy that bears the value of `write`. So `write` and the place of the walk change by one and the same store. A worker
  that is killed before it has done nothing, and its successor describes the same frames into the same slots once more.
- A block is given back when `read` has passed its last frame: the chain commits before it moves `read`, so that nobody
  will ask for these frames again. Up to which frame a block reaches is noted before `write` shows that frame.
- Giving back is a store to the block, then one to the notes. A successor that finds the first without the second knows
  from the block itself: the kernel has it (its status says so), or has filled it again (its sequence number is another
  one). The status is looked at first, since the kernel writes it last. So no block is given back twice, which would
  throw away what the kernel has filled in meanwhile, and none is forgotten, which would stop the kernel there for good.

Notes, zeroed when they were made:

    0    sequence of the block that was given back last, u64
    64   place of the walk: write u32 | frames left u32 | block's sequence u64 | offset of the next frame u64 |
         frames truncated so far u64
    128  its other copy
    192  for each block, `write` behind its last frame, u32
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

from numba.core import types

from zcframe.framework import abi
from zcframe.framework.jit.address import (
    acquire_u32,
    load_u16,
    load_u32,
    load_u64,
    prefetch_read,
    release_u32,
    release_u64,
    store_u32,
    store_u64,
)
from zcframe.framework.jit.compiler import compiled, inlined, precompile
from zcframe.framework.jit.words import Words, numbered
from zcframe.framework.ring.describe import describe
from zcframe.framework.rss.toeplitz import ETHERTYPE_VLAN, hash_untagged
from zcframe.framework.sources.capture.framing import HEADER

from .cooked import has_ethernet, make_ethernet
from .tpacket import (
    BLOCK_FIRST,
    BLOCK_FRAMES,
    BLOCK_SEQUENCE,
    BLOCK_STATUS,
    FRAME_CAPTURED,
    FRAME_LENGTH,
    FRAME_MAC,
    FRAME_NANOSECONDS,
    FRAME_NEXT,
    FRAME_SECONDS,
    FRAME_STATUS,
    FRAME_TPID_VALID,
    FRAME_VLAN_TCI,
    FRAME_VLAN_TPID,
    FRAME_VLAN_VALID,
    STATUS_KERNEL,
    STATUS_USER,
    TAG_SIZE,
)

# Frames of one call: they and their descriptors stay in the first-level cache until the chain takes them.
AT_MOST: Final = 256
COUNTER_BITS: Final = 0xFFFFFFFF
HALF_COUNTER: Final = 1 << 31
SECOND: Final = 1_000_000_000
# Prefetch: bytes ahead of the walk, and cache lines from there. The walk cannot run ahead of itself, since
# each header tells where the next one is, and the lines lie in the cache of the core that wrote them.
AHEAD: Final = 1024
LINES: Final = 3

GIVEN_BACK: Final = 0
PLACE: Final = 64
OTHER_PLACE: Final = 128
ENDS: Final = 192
PLACE_WRITE: Final = 0
PLACE_LEFT: Final = 4
PLACE_SEQUENCE: Final = 8
PLACE_OFFSET: Final = 16
PLACE_TRUNCATED: Final = 24


class PullContext(NamedTuple):
    """The words that `pull` is called with: addresses, where nothing else is said."""

    header: int
    descriptors: int
    user: int
    slots: int  # a number
    notes: int
    blocks: int  # the first one, from which descriptors' offsets count
    block_size: int  # bytes
    block_count: int
    longest: int  # bytes of a frame at most
    tables: int  # as for `rss_hash`
    fields: int  # a mask
    hashes: int  # whether descriptors get the hash: 1 or 0
    port: int  # a number


CTX: Final = numbered(PullContext)


def notes_size(blocks: int) -> int:
    """Bytes of notes for a ring of so many blocks."""
    return ENDS + 4 * blocks


@inlined
def place_in_force(notes, write):  # type: ignore[no-untyped-def]
    return notes + PLACE if load_u32(notes + PLACE + PLACE_WRITE) == write else notes + OTHER_PLACE


@inlined
def block_of(ctx, sequence):  # type: ignore[no-untyped-def]
    return ctx[CTX.blocks] + (sequence - 1) % ctx[CTX.block_count] * ctx[CTX.block_size]


@inlined
def end_of(ctx, sequence):  # type: ignore[no-untyped-def]
    return ctx[CTX.notes] + ENDS + (sequence - 1) % ctx[CTX.block_count] * 4


@inlined
def is_ready(block, sequence):  # type: ignore[no-untyped-def]
    """Whether the kernel has handed over this very block, not an older one in the same place."""
    return acquire_u32(block + BLOCK_STATUS) & STATUS_USER != 0 and load_u64(block + BLOCK_SEQUENCE) == sequence


@inlined
def give_back(ctx):  # type: ignore[no-untyped-def]
    """Give the kernel every block whose frames are all behind `read`."""
    notes, user = ctx[CTX.notes], ctx[CTX.user]
    place = place_in_force(notes, load_u32(ctx[CTX.header] + abi.HEADER_WRITE))
    walked = load_u64(place + PLACE_SEQUENCE) - (1 if load_u32(place + PLACE_LEFT) else 0)
    read = load_u32(user + abi.USER_READ)
    for sequence in range(load_u64(notes + GIVEN_BACK) + 1, walked + 1):
        if (read - load_u32(end_of(ctx, sequence))) & COUNTER_BITS >= HALF_COUNTER:
            break
        block = block_of(ctx, sequence)
        if is_ready(block, sequence):
            release_u32(block + BLOCK_STATUS, STATUS_KERNEL)
        release_u64(notes + GIVEN_BACK, sequence)


@inlined
def stripped_tag(found):  # type: ignore[no-untyped-def]
    """Ethertype of the tag that the kernel took from a frame; 0: none."""
    status = load_u32(found + FRAME_STATUS)
    if status & FRAME_VLAN_VALID == 0:
        return 0
    return load_u16(found + FRAME_VLAN_TPID) if status & FRAME_TPID_VALID else ETHERTYPE_VLAN


@inlined
def prefetch_lines(address):  # type: ignore[no-untyped-def]
    for line in range(LINES):
        prefetch_read(address + line * abi.CACHE_LINE)


@inlined
def describe_frame(ctx, found, desc, mixed):  # type: ignore[no-untyped-def]
    """Write the descriptor of the frame whose header is at `found`; returns whether it is cut.

    mixed: as for `walk`. A header of ours counts as captured, but was not on the wire: so it is with capture files.
    """
    frame = found + load_u16(found + FRAME_MAC)
    captured, wire = load_u32(found + FRAME_CAPTURED), load_u32(found + FRAME_LENGTH)
    added = 0
    if mixed and not has_ethernet(found):
        frame, own = make_ethernet(found, captured)
        added = HEADER
        captured, wire = captured - own + added, wire - own
    length = min(captured, ctx[CTX.longest])
    tpid = stripped_tag(found)
    hashed = hash_untagged(frame, length, tpid, ctx[CTX.tables], ctx[CTX.fields]) if ctx[CTX.hashes] else 0
    cut = length < wire + added
    status = abi.STATUS_TRUNCATED if cut else 0
    tci = 0
    if tpid != 0:
        status |= abi.STATUS_VLAN
        tci = load_u32(found + FRAME_VLAN_TCI)
        wire += TAG_SIZE
    timestamp = load_u32(found + FRAME_SECONDS) * SECOND + load_u32(found + FRAME_NANOSECONDS)
    describe(desc, timestamp, frame - ctx[CTX.blocks], length, wire, hashed, tpid, tci, status, ctx[CTX.port])
    return cut


@inlined
def publish(ctx, write, taken, sequence, left, offset, truncated):  # type: ignore[no-untyped-def]
    """Show `taken` frames behind `write`: note the place in the copy that is not in force, then put it in force."""
    notes, header = ctx[CTX.notes], ctx[CTX.header]
    place = 2 * notes + PLACE + OTHER_PLACE - place_in_force(notes, write)
    behind = (write + taken) & COUNTER_BITS
    store_u32(place + PLACE_LEFT, left)
    store_u64(place + PLACE_SEQUENCE, sequence)
    store_u64(place + PLACE_OFFSET, offset)
    store_u64(place + PLACE_TRUNCATED, truncated)
    release_u32(place + PLACE_WRITE, behind)
    release_u32(header + abi.HEADER_WRITE, behind)  # B, matches C


@inlined
def walk(ctx, mixed):  # type: ignore[no-untyped-def]
    """Describe frames as long as there are frames and slots, at most AT_MOST; returns their number.

    mixed: whether frames without Ethernet header may be among them; a constant, so that others do not pay for these.
    """
    write = load_u32(ctx[CTX.header] + abi.HEADER_WRITE)
    place = place_in_force(ctx[CTX.notes], write)
    left, sequence = load_u32(place + PLACE_LEFT), load_u64(place + PLACE_SEQUENCE)
    found, truncated = ctx[CTX.blocks] + load_u64(place + PLACE_OFFSET), load_u64(place + PLACE_TRUNCATED)
    store_u64(ctx[CTX.header] + abi.HEADER_TRUNCATED, truncated)
    descriptors, mask = ctx[CTX.descriptors], ctx[CTX.slots] - 1
    room = ctx[CTX.slots] - ((write - load_u32(ctx[CTX.user] + abi.USER_READ)) & COUNTER_BITS)
    room = min(room, AT_MOST)
    taken = 0
    while taken < room:
        if left == 0:
            block = block_of(ctx, sequence + 1)
            if not is_ready(block, sequence + 1):
                break
            sequence += 1
            left = load_u32(block + BLOCK_FRAMES)
            found = block + load_u32(block + BLOCK_FIRST)
        frames = min(left, room - taken)
        for slot in range(write + taken, write + taken + frames):
            prefetch_lines(found + AHEAD)
            truncated += describe_frame(ctx, found, descriptors + (slot & mask) * abi.DESC_SIZE, mixed)
            found += load_u32(found + FRAME_NEXT)
        taken += frames
        left -= frames
        if left == 0:
            store_u32(end_of(ctx, sequence), write + taken)
    if taken:
        publish(ctx, write, taken, sequence, left, found - ctx[CTX.blocks], truncated)
    return taken


@compiled
def pull(ctx):  # type: ignore[no-untyped-def]
    """Give back what was read, then describe what has come; returns how many frames that were.

    ctx: words of PullContext. Nobody else writes `write` of this ring, its descriptors, its notes, or `read`
    meanwhile.
    """
    give_back(ctx)
    return walk(ctx, False)


@compiled
def pull_mixed(ctx):  # type: ignore[no-untyped-def]
    """As `pull`, where frames may come without an Ethernet header."""
    give_back(ctx)
    return walk(ctx, True)


def pull_for(mixed: bool) -> Callable[[Words], int]:
    """The function that a worker calls. mixed: whether frames may come without an Ethernet header."""
    return pull_mixed if mixed else pull


def warm_up(mixed: bool = False) -> None:
    """Compile, in the supervisor, what every worker calls."""
    precompile(pull_for(mixed), types.Array(types.int64, 1, "C"))
