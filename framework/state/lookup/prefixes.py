"""Prefixes of IP addresses, of which the longest one is found that an address has.

Prefixes nest. What they say of an address is written out beforehand: addresses in order are cut where a prefix begins
or ends, and each piece knows the longest prefix that it is in. A search is for the piece: an index by the upper bits
says among which few it is. Of IPv6, pieces are those of the upper 64 bits; one that holds longer prefixes than /64 has
pieces of its own, of the lower 64.
"""

from __future__ import annotations

import csv
import ipaddress
import os
import socket
from array import array
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np

from zcframe.framework.errors import DeclarationError
from zcframe.framework.jit.words import numbered
from zcframe.framework.state.addresses import MAPPED
from zcframe.framework.state.declare import Built, Lookup
from zcframe.framework.state.kinds import Kind, Octets, Scalar, i64, text

from .image import image
from .lines import Entry, lines_of

# Names of the first column, by which a line of names is told from prefixes.
HEADS: Final = ("prefix", "network", "cidr", "subnet", "net")
# Of a piece that has pieces of its own; the rest is their number.
NESTED: Final = 1 << 31
# Powers of two of pieces in the index, at most.
MOST_CELLS: Final = 22
SIGN: Final = np.uint64(1 << 63)
NONE: Final = -1

Numbers = np.ndarray[Any, np.dtype[Any]]


class PrefixesWords(NamedTuple):
    """The words of the image. Numbers of addresses are signed in memory: with their uppermost bit turned over."""

    four_first: int  # of IPv4's pieces: where the index begins,
    four_shift: int  # bits of a number that one cell of it stands for,
    four_cells: int  # its cells,
    four_index: Any  # u32: how many pieces begin at the cell's beginning or before it, for one cell more, too
    four_starts: Any  # i64: where each piece begins
    four_values: Any  # u32: number of its value
    six_first: int  # likewise of the upper 64 bits of IPv6
    six_shift: int
    six_cells: int
    six_index: Any
    six_starts: Any
    six_values: Any  # with NESTED: number of what is cut by the lower 64 bits
    nested: Any  # u32: where its pieces begin, and for one more
    nested_starts: Any
    nested_values: Any
    values: Any  # i64: the values; of bytes, place << 16 | length
    octets: Any  # u8: those bytes


WORDS: Final[Any] = numbered(PrefixesWords)


@dataclass(frozen=True, eq=False)
class Prefixes(Lookup):
    """Prefixes of IPv4 and IPv6 addresses with a value each, of which an address finds the longest that it has.

    source: a dict of values by prefix, a list of prefixes, or a file with a prefix on each line, and its value behind a
    comma; lines that begin with # are left out, and the first one, if its first field is `prefix`, `network`, `cidr`,
    `subnet` or `net`. value: i64, or text(n). Where no value stands, it is the prefix's place in the list from 0 on, or
    as text the prefix itself. default: what is found for all other addresses, -1 or no bytes.
    In `filter`: `state.name.find(pkt.src)` is a whole number, or a view; `pkt.src in state.name`. An address of IPv4
    has no prefix of IPv6, nor the other way round, but that ::ffff:0:0/96 and longer ones are those of IPv4.
    """

    kind: Kind = i64
    default: Any = None

    MAPS = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if not (isinstance(self.kind, text) or (isinstance(self.kind, Scalar) and self.kind.is_whole)):
            raise DeclarationError(f"Prefixes with values {getattr(self.kind, 'name', self.kind)!r}: i64 or text(n)")
        self._coded(self._missing)

    @property
    def value(self) -> Kind:
        return self.kind

    @property
    def _missing(self) -> Any:
        """What is found where there is no prefix."""
        if self.default is not None:
            return self.default
        return b"" if isinstance(self.kind, Octets) else NONE

    def _coded(self, value: Any) -> int | bytes:
        """A value as it lies in memory. Raises DeclarationError."""
        if isinstance(self.kind, Octets):
            octets = value.encode() if isinstance(value, str) else value
            if isinstance(octets, bytes) and len(octets) <= self.kind.limit:
                return octets
            raise DeclarationError(f"the value {value!r} is not text of {self.kind.limit} bytes at most")
        try:
            number = int(value)
        except (TypeError, ValueError):
            number = None
        if number is None or isinstance(value, float) or not -(1 << 63) <= number < 1 << 63:
            raise DeclarationError(f"the value {value!r} is no whole number of 64 bits: text(n) holds words")
        return number

    def built(self) -> Built:
        # 0 is no value's number, even if it is the default.
        found, values = _Found(self.source), dict[Any, int]()
        for number, (where, (prefix, value)) in enumerate(_entries(self.source)):
            bare = prefix if isinstance(self.kind, Octets) else number
            try:
                coded = self._coded(bare if value is None else value)
                found.add(prefix, values.setdefault(coded, 1 + len(values)))
            except DeclarationError as error:
                raise DeclarationError(f"{where}: {error}") from None
        return Built(image(_words(found, [self._coded(self._missing), *values])), ())


def _entries(source: Any) -> Iterator[Entry]:
    """(where, (prefix, value or None)) of each prefix."""
    if isinstance(source, str | os.PathLike):
        yield from _rows(source)
    elif isinstance(source, Mapping):
        yield from ((f"[{prefix!r}]", (str(prefix), value)) for prefix, value in source.items())
    else:
        yield from ((f"[{number}]", (str(prefix), None)) for number, prefix in enumerate(source))


def _rows(path: str | os.PathLike[str]) -> Iterator[Entry]:
    for number, (where, line) in enumerate(lines_of(path)):
        try:
            (fields,) = csv.reader([line.decode()]) if b'"' in line else [line.decode().split(",")]
        except (UnicodeDecodeError, csv.Error) as error:
            raise DeclarationError(f"{where}: {error}") from None
        prefix = fields[0].strip()
        if number or prefix.lower() not in HEADS:
            yield where, (prefix, fields[1].strip() if len(fields) > 1 else None)


def _parsed(prefix: str) -> tuple[bytes, int]:
    """(address, of 4 bytes or 16, and bits of the prefix). Raises DeclarationError."""
    address, slash, bits = prefix.partition("/")
    try:
        octets = socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address)
        size = 8 * len(octets)
        length = int(bits) if slash else size
        if not 0 <= length <= size or (slash and not bits.isdecimal()):
            raise ValueError
    except (OSError, ValueError):
        raise DeclarationError(f"{prefix!r} is no prefix, as 192.0.2.0/24 or 2001:db8::/32") from None
    if int.from_bytes(octets, "big") & (1 << size - length) - 1:
        meant = ipaddress.ip_network(prefix, strict=False)
        raise DeclarationError(f"{prefix} has bits behind its length: {meant} is the prefix")
    if size == 128 and length >= 96 and octets.startswith(MAPPED):
        return octets[12:], length - 96
    return octets, length


class _Family(NamedTuple):
    """Prefixes of one version of IP, in the order of the list: addresses, lengths, numbers of values, places."""

    octets: list[bytes]
    lengths: array[int]
    values: array[int]
    places: array[int]


class _Found:
    """All prefixes of a list."""

    def __init__(self, source: Any) -> None:
        self._source, self._count = source, 0
        self.families = {size: _Family([], array("B"), array("L"), array("L")) for size in (4, 16)}

    def add(self, prefix: str, value: int) -> None:
        octets, length = _parsed(prefix)
        family = self.families[len(octets)]
        family.octets.append(octets)
        family.lengths.append(length)
        family.values.append(value)
        family.places.append(self._count)
        self._count += 1

    def of(self, size: int) -> tuple[Numbers, Numbers, Numbers]:
        """(addresses in words of 32 or 64 bits, lengths, numbers of values). Raises DeclarationError for two alike."""
        family = self.families[size]
        words = np.frombuffer(b"".join(family.octets), ">u4" if size == 4 else ">u8").astype(np.uint64)
        words = words.reshape(len(family.octets), max(1, size // 8))
        lengths, values = np.array(family.lengths, np.int64), np.array(family.values, np.uint32)
        order = np.lexsort((lengths, *words.T))
        keys = np.column_stack([words, lengths.astype(np.uint64)])[order]
        alike = (keys[1:] == keys[:-1]).all(axis=1) & (values[order][1:] != values[order][:-1])
        if alike.any():
            at = int(np.flatnonzero(alike)[0])
            self._refuse(*sorted(family.places[place] for place in order[at : at + 2]))
        return words, lengths, values

    def _refuse(self, one: int, other: int) -> None:
        entries = [entry for number, entry in enumerate(_entries(self._source)) if number in (one, other)]
        (first, _), (where, (prefix, _)) = entries
        raise DeclarationError(f"{where}: {prefix} has another value at {first}: leave one out")


def _cut(
    starts: Numbers, lasts: Numbers, lengths: Numbers, values: Numbers, bounds: Numbers, within: Numbers
) -> tuple[Numbers, Numbers]:
    """(where pieces begin, u64; their values, u32). Longer prefixes are written over shorter ones.

    bounds, within: the pieces that there were before, which stay apart; the first begins at 0.
    """
    kept, one = bounds, np.uint64(1)
    bounds = np.unique(np.concatenate([kept, starts, lasts + one]))
    found = within[np.searchsorted(kept, bounds, "right") - 1].astype(np.uint32)
    for length in np.unique(lengths):
        these = lengths == length
        first = np.searchsorted(bounds, starts[these])
        counts = np.searchsorted(bounds, lasts[these], "right") - first
        places = np.repeat(first - (np.cumsum(counts) - counts), counts) + np.arange(counts.sum())
        found[places] = np.repeat(values[these], counts)
    stays = np.isin(bounds, kept)
    stays[1:] |= found[1:] != found[:-1]
    return bounds[stays], found[stays]


def _spans(bits: int, lengths: Numbers) -> Numbers:
    """u64: what is added to the first number of each prefix to make the last one."""
    return np.array([(1 << bits - length) - 1 for length in range(bits + 1)], np.uint64)[lengths]


def _index(starts: Numbers) -> tuple[int, int, int, Numbers]:
    """(first, shift, cells, index) of pieces."""
    first = int(starts[min(1, len(starts) - 1)])
    span = int(starts[-1]) - first
    shift = max(0, span.bit_length() - min(len(starts).bit_length(), MOST_CELLS))
    cells = (span >> shift) + 1
    begins = np.uint64(first) + (np.arange(cells, dtype=np.uint64) << np.uint64(shift))
    index = np.append(np.searchsorted(starts, begins, "right"), len(starts)).astype(np.uint32)
    return _signed(first), shift, cells, index


def _signed(number: int) -> int:
    return number - int(SIGN)


def _in_memory(numbers: Numbers) -> Numbers:
    return (numbers ^ SIGN).view(np.int64)


def _nested(
    his: Numbers, within: Numbers, words: Numbers, lengths: Numbers, values: Numbers
) -> tuple[Numbers, Numbers, Numbers]:
    """(where the pieces of each of `his` begin, u32; pieces of the lower 64 bits; their values).

    words, lengths, values: of the prefixes longer than /64. within: what each of `his` has of shorter ones.
    """
    owner = np.searchsorted(his, words[:, 0]).astype(np.uint64)
    lasts = words[:, 1] + _spans(64, lengths - 64)
    # Lower halves by rank, so that one number tells where a piece begins: owner * ranks + rank.
    halves = np.unique(np.concatenate([np.zeros(1, np.uint64), words[:, 1], lasts + np.uint64(1)]))
    ranks = np.uint64(len(halves))
    first = np.searchsorted(halves, words[:, 1]).astype(np.uint64)
    last = np.searchsorted(halves, lasts, "right").astype(np.uint64) - np.uint64(1)
    owners = np.arange(len(his), dtype=np.uint64)
    starts, found = _cut(owner * ranks + first, owner * ranks + last, lengths, values, owners * ranks, within)
    inside = starts < ranks * np.uint64(len(his))
    starts, found = starts[inside], found[inside]
    begins = np.searchsorted(starts // ranks, np.arange(len(his) + 1, dtype=np.uint64)).astype(np.uint32)
    return begins, halves[starts % ranks], found


def _words(found: _Found, values: list[Any]) -> PrefixesWords:
    zero, none = np.zeros(1, np.uint64), np.zeros(1, np.uint32)
    words, lengths, numbers = found.of(4)
    starts = words[:, 0]
    four, four_values = _cut(starts, starts + _spans(32, lengths), lengths, numbers, zero, none)
    words, lengths, numbers = found.of(16)
    long = lengths > 64
    his, short = np.unique(words[long, 0]), words[~long, 0]
    kept = np.unique(np.concatenate([zero, his, his + np.uint64(1)]))
    lasts = short + _spans(64, lengths[~long])
    six, six_values = _cut(short, lasts, lengths[~long], numbers[~long], kept, np.zeros(len(kept), np.uint32))
    places = np.searchsorted(six, his)
    nested, nested_starts, nested_values = _nested(his, six_values[places], words[long], lengths[long], numbers[long])
    six_values[places] = NESTED | np.arange(len(his), dtype=np.uint32)
    return PrefixesWords(
        *_index(four),
        _in_memory(four),
        four_values,
        *_index(six),
        _in_memory(six),
        six_values,
        nested,
        _in_memory(nested_starts),
        nested_values,
        *_valued(values),
    )


def _valued(values: list[Any]) -> tuple[Numbers, Numbers]:
    """(i64 of each value, the bytes of all)."""
    if not isinstance(values[0], bytes):
        return np.array(values, np.int64), np.zeros(0, np.uint8)
    lengths = np.array([len(value) for value in values], np.int64)
    return (np.cumsum(lengths) - lengths) << 16 | lengths, np.frombuffer(b"".join(values), np.uint8)
