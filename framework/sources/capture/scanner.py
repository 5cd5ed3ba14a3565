"""The plain records of a capture, scanned without its file: numbers are all that it takes, so any process can do it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np

from zcframe.framework.jit.compiler import inlined
from zcframe.framework.jit.words import Words, numbered, words_of

from .interfaces import FRAMING, WIDTH
from .linktype import SLL2, UNSUPPORTED
from .pcap import Pcap, pcap_records
from .pcapng import Pcapng, pcapng_records
from .rare import ethernet_for_rare

# More interfaces in one section are for a reader that goes in order.
MOST_INTERFACES: Final = 64


class Form(NamedTuple):
    """The form of a capture at one place; it holds up to the next block that describes a section or an interface.

    swapped: 1 where the byte order is not ours. pcap: what else `scan_pcap` is told, the framing last; empty for
    pcapng. interfaces: rows of a pcapng's table of interfaces.
    """

    swapped: int
    pcap: tuple[int, ...]
    interfaces: tuple[tuple[int, ...], ...]


def plain_form(capture: Pcap | Pcapng) -> Form | None:
    """The form of what follows in a capture; None where a frame may come of which no IP is read: these are counted."""
    if isinstance(capture, Pcap):
        form = Form(capture.swapped, capture.form, ())
        framings = [capture.form[-1]]
    else:
        table = capture.interfaces.table[: capture.interfaces.count]
        form = Form(capture.swapped, (), tuple(tuple(row) for row in table.tolist()))
        framings = table[:, FRAMING].tolist()
    return None if UNSUPPORTED in framings or len(framings) > MOST_INTERFACES else form


class Layout(NamedTuple):
    """A form as words for compiled code."""

    swapped: int
    head: int = 0  # of pcap, from here to `framing`
    tick: int = 0
    order: int = 0
    framing: int = 0
    interfaces: int = 0  # of pcapng: rows of the table


LAYOUT: Final = numbered(Layout)

# What `scan` is told of a form: words of Layout; the table of interfaces, int64, shape (n, WIDTH), None for pcap; 1
# where an interface has a rare framing, else None. By its types, a file has only that compiled which it needs.
Told = tuple[Words, Words | None, int | None]


def told_of(form: Form) -> Told:
    """What `scan` is told of a form."""
    if form.pcap:
        head, tick, order, framing = form.pcap
        return words_of(Layout(form.swapped, head, tick, order, framing)), None, _rare([framing])
    count = len(form.interfaces)
    # A simple packet block is looked up in the first row before it is known that there is none.
    table = np.zeros((count + 1, WIDTH), np.int64)
    for number, row in enumerate(form.interfaces):
        table[number] = row
    return words_of(Layout(form.swapped, interfaces=count)), table, _rare(table[:count, FRAMING].tolist())


def _rare(framings: Sequence[int]) -> int | None:
    return 1 if any(framing > SLL2 for framing in framings) else None


@inlined
def _records(base, start, end, layout, interfaces, records):  # type: ignore[no-untyped-def]
    swapped = layout[LAYOUT.swapped]
    if interfaces is None:
        head, tick = layout[LAYOUT.head], layout[LAYOUT.tick]
        order, framing = layout[LAYOUT.order], layout[LAYOUT.framing]
        return pcap_records(base, start, end, swapped, head, tick, order, framing, records)
    return pcapng_records(base, start, end, swapped, interfaces, layout[LAYOUT.interfaces], records)


@inlined
def _name_rare(base, records, rows, layout, rare):  # type: ignore[no-untyped-def]
    if rare is not None:
        ethernet_for_rare(base, records, rows, layout[LAYOUT.swapped])


@inlined
def scan(base, start, end, told, records):  # type: ignore[no-untyped-def]
    """Enter the whole records of bytes [start, end) at address `base`: (rows, new start, reason, its value)."""
    layout, interfaces, rare = told
    found = _records(base, start, end, layout, interfaces, records)
    _name_rare(base, records, found[0], layout, rare)
    return found
