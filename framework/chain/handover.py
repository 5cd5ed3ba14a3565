"""What the chain hands on: whole records in a ring in shared memory, one ring a worker and share of an output.

    book    one a share: two lines, used in turn; the line of generation g is line g & 1
            line: end | frames | full | mark, u64 each
            limit u64: what `end` may come up to, as far as the worker knows
            waiting u64: (in the first book) the worker waits for room
            two lines more, of an output that knows flows (shedding.py)
    data    one a share: a ring of `mask + 1` bytes, mapped twice in a row, so that every record is contiguous

Positions run on for ever; a record at position p begins at byte p & mask. A burst is written behind the end that was
committed, and its counts go to the line of the next generation: the ledger's store of `generation` is the commit of
what is handed on, too. Whoever takes over from a killed worker begins at the line of the current generation.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from zcframe.framework import abi
from zcframe.framework.filters.program import Program
from zcframe.framework.jit.address import (
    acquire_u64,
    copy_bytes,
    load_u64,
    rx_load_u8,
    rx_load_u16,
    rx_load_u32,
    rx_load_u64,
    seldom,
    shift_right,
    store_u64,
    work_load_u64,
    work_store_u32,
    work_store_u64,
)
from zcframe.framework.jit.compiler import inlined, outlined
from zcframe.framework.jit.words import numbered

from .workspace import GENERATION

LINE: Final = 64
BOOK: Final = 384
END, FRAMES, FULL, MARK = 0, 8, 16, 24
LIMIT: Final = 128
CROWDED: Final = 192
TALLY: Final = 256
TAG: Final = 4
ETHERTYPE_VLAN: Final = 0x8100
NS: Final = 10**9
# Packets of a flow that is shed which go on all the same: a handshake, and what tells the protocol.
KEEP: Final = 10
MODES: Final = ("off", "new", "elephants")
# The form of what plugins emit, which is no frame.
ROWS: Final = "rows"
# More bytes than any flow will ever have.
ALL: Final = 1 << 62


class HandOverContext(NamedTuple):
    """The words of one output for one worker, behind those of the plugins: addresses, where nothing else is said."""

    books: int
    data: int
    reads: int  # of the writer's word that says how far the ring of the first share is read
    mask: int  # bytes of a ring - 1, a number
    stride: int  # bytes from a ring to that of the next share, a number
    reads_stride: int  # bytes from a word of the writer's to that of the next share, a number
    shares: int  # rings of this worker, a number
    waits: int  # 1: a burst that finds no room is taken again later; 0: its frames are dropped and counted
    snaplen: int  # bytes of a frame that are handed on at most
    ident: int  # number of the worker, and of the interface in records of pcapng
    table: int  # of the share that owns each bucket, see framework/share/table.py
    stream: int = 0  # what is added to the number of a share, a number
    flows: int = 0  # flow table, its first shard; 0 where there is none
    mode: int = 0  # which flows are shed: place in MODES,
    keep: int = 0  # packets of such a flow that go on all the same,
    shunt: int = 0  # and bytes of each flow that go on, numbers
    tallies: int = 0  # of an output for rows: its tallies, see records/tally.py,
    kinds: int = 0  # how many kinds of record the run has, a number,
    taken: int = 0  # and those that it takes, a bit each


HAND: Final = numbered(HandOverContext)
WORDS: Final = len(HAND)


class Shedding(NamedTuple):
    """What of each flow an output gets. mode: one of MODES. keep: packets of a flow that is shed which go on.

    shunt: bytes of a flow behind which nothing of it goes on; None: all does.
    """

    mode: str = "off"
    keep: int = KEEP
    shunt: int | None = None

    def words(self, context: HandOverContext, flows: int) -> HandOverContext:
        """The words of an output with these, and the address of its table."""
        shunt = ALL if self.shunt is None else self.shunt
        return context._replace(flows=flows, mode=MODES.index(self.mode), keep=self.keep, shunt=shunt)


@dataclass(frozen=True)
class HandOver:
    """One output, as the chain is compiled for it.

    record: a key of RECORDS, or ROWS. share: compiled function (pkt, queue, table) -> number of the share, as
    `share_by` makes it; None: a worker has one ring. rule: its name. passes: which packets are for this output; None:
    every one is.
    shedding: which flows go on; None: it knows no flows.
    """

    record: str
    share: Callable[..., int] | None = None
    rule: str = ""
    passes: Program | None = None
    shedding: Shedding | None = None


def flow_places(plugins: int, outputs: Sequence[HandOver]) -> dict[int, int]:
    """For each output that knows flows, the number of its table among the layouts of the state memory."""
    knowing = [number for number, output in enumerate(outputs) if output.shedding is not None]
    return {number: plugins + 1 + place for place, number in enumerate(knowing)}


@inlined
def next_line(progress):  # type: ignore[no-untyped-def]
    """Offset in a book of the line that the burst in progress fills."""
    return ((load_u64(progress + GENERATION) + 1) & 1) * LINE


@inlined
def take_up(ctx, at, line):  # type: ignore[no-untyped-def]
    """Begin a burst: every share's next line is its current one. at: place of the output's words in `ctx`."""
    book = ctx[at + HAND.books]
    for _ in range(ctx[at + HAND.shares]):
        new, old = book + line, book + (line ^ LINE)
        work_store_u64(new + END, work_load_u64(old + END))
        work_store_u64(new + FRAMES, work_load_u64(old + FRAMES))
        work_store_u64(new + FULL, work_load_u64(old + FULL))
        book += BOOK


@inlined
def leave_mark(ctx, at, line, desc):  # type: ignore[no-untyped-def]
    """Note the time of the burst's last packet: what this worker hands on later is not older."""
    work_store_u64(ctx[at + HAND.books] + line + MARK, rx_load_u64(desc + abi.DESC_TIMESTAMP))


@inlined
def wait_for_room(ctx, at):  # type: ignore[no-untyped-def]
    """Tell the worker why the chain returns."""
    store_u64(ctx[at + HAND.books] + CROWDED, 1)


@outlined
def _learn_limit(ctx, at, share, book, needed):  # type: ignore[no-untyped-def]
    """Look how far the writer is; whether the ring has room up to position `needed`."""
    read = acquire_u64(ctx[at + HAND.reads] + share * ctx[at + HAND.reads_stride])
    limit = read + ctx[at + HAND.mask] + 1
    store_u64(book + LIMIT, limit)
    return needed <= limit


@outlined
def _copy_tagged(target, frame, length, desc):  # type: ignore[no-untyped-def]
    """Copy a frame with the VLAN tag that was taken off put back; length: with the tag, 16 at least."""
    tpid = rx_load_u16(desc + abi.DESC_VLAN_TPID)
    tpid = tpid if tpid != 0 else ETHERTYPE_VLAN
    tci = rx_load_u16(desc + abi.DESC_VLAN_TCI)
    tag = tpid >> 8 | (tpid & 0xFF) << 8 | (tci >> 8 | (tci & 0xFF) << 8) << 16
    copy_bytes(target, frame, 12)
    work_store_u32(target + 12, tag)
    copy_bytes(target + 16, frame + 12, length - 16)


@inlined
def copy_frame(target, frame, length, desc, tagged):  # type: ignore[no-untyped-def]
    if seldom(tagged != 0):
        _copy_tagged(target, frame, length, desc)
    else:
        copy_bytes(target, frame, length)


@inlined
def pcap_size(length):  # type: ignore[no-untyped-def]
    return 16 + length


@inlined
def head_pcap(at, ts, length, wire, ident):  # type: ignore[no-untyped-def]
    """All of a record of pcap with nanoseconds but the frame; returns where that belongs."""
    seconds = ts // NS
    work_store_u64(at, (seconds & 0xFFFFFFFF) | (ts - seconds * NS) << 32)
    work_store_u64(at + 8, length | wire << 32)
    return at + 16


@inlined
def pcapng_size(length):  # type: ignore[no-untyped-def]
    return 32 + ((length + 3) & ~3)


@inlined
def head_pcapng(at, ts, length, wire, ident):  # type: ignore[no-untyped-def]
    """All of an Enhanced Packet Block of pcapng, with nanoseconds, but the frame; returns where that belongs."""
    size = pcapng_size(length)
    # The last bytes of the padding first: what is no padding is written over.
    work_store_u32(at + size - 8, 0)
    work_store_u64(at, 6 | size << 32)
    work_store_u64(at + 8, ident | shift_right(ts, 32) << 32)
    work_store_u64(at + 16, (ts & 0xFFFFFFFF) | length << 32)
    work_store_u32(at + 24, wire)
    work_store_u32(at + size - 4, size)
    return at + 28


@inlined
def _head_pcap_of(at, desc, length, wire, ident):  # type: ignore[no-untyped-def]
    return head_pcap(at, rx_load_u64(desc + abi.DESC_TIMESTAMP), length, wire, ident)


@inlined
def _head_pcapng_of(at, desc, length, wire, ident):  # type: ignore[no-untyped-def]
    return head_pcapng(at, rx_load_u64(desc + abi.DESC_TIMESTAMP), length, wire, ident)


@inlined
def ring_size(length):  # type: ignore[no-untyped-def]
    return 40 + ((length + 7) & ~7)


@inlined
def head_ring(at, desc, length, wire, ident):  # type: ignore[no-untyped-def]
    """What a descriptor needs (framework/outputs/ring/memory.py), size and time in the places of a block of pcapng."""
    ts = rx_load_u64(desc + abi.DESC_TIMESTAMP)
    # The tag is in the frame, and who cuts it says so.
    status = rx_load_u16(desc + abi.DESC_STATUS) & ~(abi.STATUS_VLAN | abi.STATUS_TRUNCATED)
    work_store_u64(at, 6 | ring_size(length) << 32)
    work_store_u64(at + 8, rx_load_u16(desc + abi.DESC_PORT) | shift_right(ts, 32) << 32)
    work_store_u64(at + 16, (ts & 0xFFFFFFFF) | length << 32)
    work_store_u64(at + 24, wire | rx_load_u32(desc + abi.DESC_RSS_HASH) << 32)
    work_store_u64(at + 32, status | rx_load_u8(desc + abi.DESC_RSS_TYPE) << 16)
    return at + 40


def _make_hand_on(record_size: Any, head: Any) -> Any:
    """head(at, desc, length, wire, ident): makes all of a record but the frame; returns where that belongs."""

    @inlined
    def hand_on(ctx, at, line, desc, frame, length, share):  # type: ignore[no-untyped-def]
        """Hand a frame on to a share; 1 where it finds no room and the burst has to be taken again, else 0.

        desc, frame: addresses. length: bytes of the frame that may be read.
        """
        wire = rx_load_u32(desc + abi.DESC_WIRE_LEN)
        tagged = rx_load_u16(desc + abi.DESC_STATUS) & abi.STATUS_VLAN
        if seldom(tagged != 0):
            tagged = tagged if length >= 12 else 0
            length += TAG if tagged != 0 else 0
        # A synthetic Ethernet header was on no wire.
        wire = max(wire, length)
        length = min(length, ctx[at + HAND.snaplen])
        if seldom(tagged != 0 and length < 16):
            tagged = 0
        size = record_size(length)
        book = ctx[at + HAND.books] + share * BOOK
        end = work_load_u64(book + line + END)
        crowded = seldom(end + size > work_load_u64(book + LIMIT))
        if crowded and not _learn_limit(ctx, at, share, book, end + size):
            if ctx[at + HAND.waits] != 0:
                return 1
            work_store_u64(book + line + FULL, work_load_u64(book + line + FULL) + 1)
            return 0
        target = ctx[at + HAND.data] + share * ctx[at + HAND.stride] + (end & ctx[at + HAND.mask])
        body = head(target, desc, length, wire, ctx[at + HAND.ident])
        copy_frame(body, frame, length, desc, tagged)
        work_store_u64(book + line + END, end + size)
        work_store_u64(book + line + FRAMES, work_load_u64(book + line + FRAMES) + 1)
        return 0

    return hand_on


hand_on_pcap = _make_hand_on(pcap_size, _head_pcap_of)
hand_on_pcapng = _make_hand_on(pcapng_size, _head_pcapng_of)
hand_on_ring = _make_hand_on(ring_size, head_ring)
RECORDS: Final = {"pcap": hand_on_pcap, "pcapng": hand_on_pcapng, "ring": hand_on_ring}
