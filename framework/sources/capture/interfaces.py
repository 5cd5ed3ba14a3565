"""The interfaces of a pcapng section, as rows of a table that compiled code reads."""

from __future__ import annotations

from collections import Counter
from typing import Any, Final

import numpy as np

from .linktype import SLL2, UNSUPPORTED, framing_of

# Columns: int64, shape (interfaces, WIDTH).
FRAMING: Final = 0  # linktype.ETHERNET, ...
SNAPLEN: Final = 1  # bytes; 0: no limit
EPOCH: Final = 2  # nanoseconds to add (if_tsoffset)
MULTIPLIER: Final = 3  # nanoseconds a tick, where ticks are powers of ten and not finer than that
LIMIT: Final = 4  # the last tick that may be multiplied; -1: none
DIVISOR: Final = 5  # ticks a nanosecond, where they are finer powers of ten, else 1
BITS: Final = 6  # ticks of 2^-BITS seconds, else -1
PORT: Final = 7  # interfaces before this one, in all sections
ODD: Final = 8  # records so far, where the framing is UNSUPPORTED
WIDTH: Final = 9

MICROSECONDS: Final = 6
MAX_PORT: Final = 0xFFFF
LATEST: Final = int(np.iinfo(np.int64).max)

# if_tsresol: a power of ten, or with this bit a power of two. Finer ones than these leave no whole second in 64 bits.
BINARY: Final = 0x80
FINEST_BINARY: Final = 63
FINEST_DECIMAL: Final = 19

InterfaceTable = np.ndarray[Any, np.dtype[np.int64]]


def resolution_fits(resolution: int) -> bool:
    """Whether 64-bit timestamps can have this if_tsresol (libpcap accepts the same ones)."""
    return resolution & ~BINARY <= (FINEST_BINARY if resolution & BINARY else FINEST_DECIMAL)


def _ticks(resolution: int, epoch: int) -> dict[int, int]:
    columns = {MULTIPLIER: 0, LIMIT: -1, DIVISOR: 1, BITS: -1}
    if resolution & BINARY:
        return columns | {BITS: resolution & ~BINARY}
    if resolution > 9:
        return columns | {DIVISOR: 10 ** (resolution - 9)}
    multiplier = 10 ** (9 - resolution)
    return columns | {MULTIPLIER: multiplier, LIMIT: (LATEST - max(0, epoch)) // multiplier}


class Interfaces:
    """Interfaces so far. `add` adds one, `begin_section` counts anew; `table` and `count` are for compiled code."""

    def __init__(self) -> None:
        self.table: InterfaceTable = np.zeros((4, WIDTH), np.int64)
        self.link_types: list[int] = []
        self.has_rare = False
        self._before = 0
        self._odd: Counter[int] = Counter()

    @property
    def count(self) -> int:
        return len(self.link_types)

    def begin_section(self) -> None:
        """Count interfaces from 0 again."""
        self._before += self.count
        self._odd = self.odd_records()
        self.link_types = []
        self.has_rare = False

    def odd_records(self) -> Counter[int]:
        """Records so far of link types that are not read, by link type, of all sections."""
        odd = Counter(self._odd)
        for link_type, row in zip(self.link_types, self.table, strict=False):
            if row[FRAMING] == UNSUPPORTED and row[ODD]:
                odd[link_type] += int(row[ODD])
        return odd

    def add(self, link_type: int, snaplen: int, resolution: int = MICROSECONDS, offset_seconds: int = 0) -> None:
        """Add the next interface. resolution: if_tsresol; offset_seconds: if_tsoffset."""
        number = self.count
        if number == len(self.table):
            self.table = np.concatenate([self.table, np.zeros_like(self.table)])
        epoch = max(-LATEST, min(LATEST, offset_seconds * 10**9))
        columns = {FRAMING: framing_of(link_type), SNAPLEN: snaplen, EPOCH: epoch, ODD: 0}
        columns[PORT] = min(self._before + number, MAX_PORT)
        for column, value in (columns | _ticks(resolution, epoch)).items():
            self.table[number, column] = value
        self.link_types.append(link_type)
        self.has_rare |= framing_of(link_type) > SLL2
