"""What became of the records of a worker, by their kind: a page of books of an output for rows.

    book (framework/chain/handover.py)
    kept     a line of the book, as it was when a plugin was asked about a packet that is a burst by itself
    tallies  three areas: of each of the book's two lines, and of the kept one
             area: a tally for each kind of record in the run

A tally is part of its line: it is copied when a burst begins, and committed together with the burst.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from zcframe.framework.chain.handover import END, FRAMES, FULL, HAND, LINE
from zcframe.framework.jit.address import work_load_u64, work_store_u64
from zcframe.framework.jit.compiler import inlined, outlined
from zcframe.framework.jit.words import numbered

MAX_KINDS: Final = 32
KEPT: Final = 512
TALLIES: Final = 1024
AREA: Final = 1024


class Tally(NamedTuple):
    """Words of a tally: records that were made, that found no room, and of which a field was cut."""

    made: int
    full: int
    cut: int


TALLY: Final = numbered(Tally)
WORDS: Final = len(TALLY)
# Number of the kept line.
BEFORE: Final = 2


@inlined
def line_of(place):  # type: ignore[no-untyped-def]
    """Offset in a book of line 0, of line 1, and of the kept one."""
    return KEPT if place == BEFORE else place * LINE


@outlined
def copy_line(book, tallies, kinds, source, target):  # type: ignore[no-untyped-def]
    """Copy a line of a book with its tallies. source, target: 0, 1 or BEFORE."""
    old, new = book + line_of(source), book + line_of(target)
    for word in (END, FRAMES, FULL):
        work_store_u64(new + word, work_load_u64(old + word))
    old, new = tallies + source * AREA, tallies + target * AREA
    for offset in range(0, kinds * WORDS * 8, 8):
        work_store_u64(new + offset, work_load_u64(old + offset))


@inlined
def take_up_records(ctx, at, line):  # type: ignore[no-untyped-def]
    """Begin a burst, as `take_up` does for frames. at: place of the output's words in `ctx`."""
    place = line // LINE
    copy_line(ctx[at + HAND.books], ctx[at + HAND.tallies], ctx[at + HAND.kinds], 1 - place, place)


@inlined
def keep_records(ctx, at, line):  # type: ignore[no-untyped-def]
    """Remember what was emitted before a plugin is asked that may raise."""
    copy_line(ctx[at + HAND.books], ctx[at + HAND.tallies], ctx[at + HAND.kinds], line // LINE, BEFORE)


@inlined
def take_back_records(ctx, at, line):  # type: ignore[no-untyped-def]
    """The plugin has raised: what it emitted is void."""
    copy_line(ctx[at + HAND.books], ctx[at + HAND.tallies], ctx[at + HAND.kinds], BEFORE, line // LINE)
