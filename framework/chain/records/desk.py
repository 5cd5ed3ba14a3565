"""Where plugins' functions find the rings that records go to.

Where an output has no room and the source can wait, the burst is taken back, and taken again later. Where it cannot,
the record is dropped whole, and counted. In the journal stand:

    desk u64      address of the words (HandOverContext) of the first output for rows; those of the others follow
    outputs u64   how many there are
    base u64      number of the first kind of record of the plugin that is asked
    line u64      of the books, that the burst fills
    alone u64     whether the burst is one packet
    crowded u64   whether an output had no room, so that the burst has to be taken again
"""

from __future__ import annotations

from typing import Final, NamedTuple

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from zcframe.framework.chain.handover import END, FRAMES, FULL, HAND, LIMIT, LINE
from zcframe.framework.jit.address import (
    acquire_u64,
    journal_load_u64,
    journal_store_u64,
    load_u64,
    shift_right,
    store_u64,
    work_load_u64,
    work_store_u64,
)
from zcframe.framework.jit.compiler import inlined, outlined
from zcframe.framework.jit.words import numbered
from zcframe.framework.state.journal import ROWS

from .tally import AREA, TALLY
from .tally import WORDS as TALLY_WORDS


class Desk(NamedTuple):
    """Words in the journal."""

    desk: int
    outputs: int
    base: int
    line: int
    alone: int
    crowded: int


DESK: Final = numbered(Desk)


@intrinsic
def address_of(typingctx, words, place):  # type: ignore[no-untyped-def]
    """Address of a word of an int64 array."""

    def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
        array = context.make_array(signature.args[0])(context, builder, args[0])
        return builder.add(builder.ptrtoint(array.data, args[1].type), builder.mul(args[1], ir.IntType(64)(8)))

    return types.int64(words, types.int64), codegen


@inlined
def open_desk(journal, ctx, place, outputs):  # type: ignore[no-untyped-def]
    """The chain is called. place: of the words of the first output for rows in `ctx`."""
    journal_store_u64(journal + ROWS + DESK.desk * 8, address_of(ctx, place))
    journal_store_u64(journal + ROWS + DESK.outputs * 8, outputs)


@inlined
def begin_records(journal, line, count):  # type: ignore[no-untyped-def]
    """A burst of so many packets begins."""
    journal_store_u64(journal + ROWS + DESK.line * 8, line)
    journal_store_u64(journal + ROWS + DESK.alone * 8, count == 1)
    journal_store_u64(journal + ROWS + DESK.crowded * 8, 0)


@inlined
def whose_records(journal, base):  # type: ignore[no-untyped-def]
    """The plugin is asked whose first kind of record has this number."""
    journal_store_u64(journal + ROWS + DESK.base * 8, base)


@inlined
def crowded_records(journal):  # type: ignore[no-untyped-def]
    """1 where a record of the burst found no room and has to wait, else 0."""
    return journal_load_u64(journal + ROWS + DESK.crowded * 8)


@inlined
def _add(address, count):  # type: ignore[no-untyped-def]
    work_store_u64(address, work_load_u64(address) + count)


@outlined
def _is_full(journal, words, book, line, end):  # type: ignore[no-untyped-def]
    """Whether a ring has no room up to position `end`; the burst is then to be taken again, where that can help."""
    read = acquire_u64(load_u64(words + HAND.reads * 8))
    limit = read + load_u64(words + HAND.mask * 8) + 1
    store_u64(book + LIMIT, limit)
    if end <= limit:
        return 0
    # Where all is read that was committed, only the burst itself is in its own way.
    hopeless = work_load_u64(book + (line ^ LINE) + END) == read
    if load_u64(words + HAND.waits * 8) and not (hopeless and journal_load_u64(journal + ROWS + DESK.alone * 8)):
        journal_store_u64(journal + ROWS + DESK.crowded * 8, 1)
    return 1


@outlined
def claim(journal, words, number, ts, size, cut):  # type: ignore[no-untyped-def]
    """Address of a record behind those of the burst, with its head; 0 where there is nowhere to put it.

    words: address of an output's. number: of the record's kind. cut: 1 where a field is cut.
    """
    if shift_right(load_u64(words + HAND.taken * 8), number) & 1 == 0:
        return 0
    line = journal_load_u64(journal + ROWS + DESK.line * 8)
    book = load_u64(words + HAND.books * 8)
    tally = load_u64(words + HAND.tallies * 8) + line // LINE * AREA + number * (TALLY_WORDS * 8)
    _add(tally + TALLY.made * 8, 1)
    _add(tally + TALLY.cut * 8, cut)
    data = load_u64(words + HAND.data * 8)
    if data == 0:
        return 0
    end = work_load_u64(book + line + END)
    if end + size > work_load_u64(book + LIMIT) and _is_full(journal, words, book, line, end + size):
        _add(tally + TALLY.full * 8, 1)
        _add(book + line + FULL, 1)
        return 0
    at = data + (end & load_u64(words + HAND.mask * 8))
    work_store_u64(at, number | size << 32)
    work_store_u64(at + 8, cut | shift_right(ts, 32) << 32)
    work_store_u64(at + 16, ts & 0xFFFFFFFF)
    work_store_u64(book + line + END, end + size)
    _add(book + line + FRAMES, 1)
    return at
