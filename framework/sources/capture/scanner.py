"""The plain records of a capture, scanned without its file: numbers are all that it takes, so any process can do it."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from .interfaces import FRAMING, WIDTH
from .linktype import SLL2, UNSUPPORTED
from .pcap import Pcap, scan_pcap
from .pcapng import Pcapng, scan_pcapng
from .rare import frame_rare
from .records import RecordTable, Scan

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


class Scanner:
    """Scans bytes in memory for the records of one form."""

    def __init__(self, form: Form) -> None:
        self._swapped, self._pcap = form.swapped, tuple(form.pcap)
        self._count = len(form.interfaces)
        # A simple packet block is looked up in the first row before it is known that there is none.
        self._interfaces = np.zeros((self._count + 1, WIDTH), np.int64)
        for number, row in enumerate(form.interfaces):
            self._interfaces[number] = row
        framings = self._pcap[-1:] or self._interfaces[: self._count, FRAMING].tolist()
        self._has_rare = any(framing > SLL2 for framing in framings)

    def scan(self, base: int, start: int, end: int, records: RecordTable) -> Scan:
        """Enter the whole records of bytes [start, end) at address `base`: (rows, new start, reason, its value)."""
        if self._pcap:
            head, tick, order, framing = self._pcap
            found: Scan = scan_pcap(base, start, end, self._swapped, head, tick, order, framing, records)
        else:
            found = scan_pcapng(base, start, end, self._swapped, self._interfaces, self._count, records)
        if self._has_rare and found[0]:
            frame_rare(base, records, found[0], self._swapped)
        return found
