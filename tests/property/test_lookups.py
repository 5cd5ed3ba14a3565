"""Patterns and Prefixes against pyahocorasick, bytes.find and py-radix, on lists that hypothesis makes."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from typing import Any

import ahocorasick
import numpy as np
import radix
from hypothesis import given
from hypothesis import strategies as st
from numba.core import types

from zcframe import Patterns, Prefixes
from zcframe.framework.jit.compiler import fleeting, precompile
from zcframe.framework.state.lookup.image import Piece
from zcframe.framework.state.lookup.search import find_pattern, find_prefix, shorter_pattern

I64 = types.int64
FIRST = 64  # bytes in front of the first lookup of a piece


@fleeting
def _found(at, address, length, start, state):  # type: ignore[no-untyped-def]
    return find_pattern(at, address, length, start, state)


@fleeting
def _shorter(at, index):  # type: ignore[no-untyped-def]
    return shorter_pattern(at, index)


@fleeting
def _value(at, hi, lo):  # type: ignore[no-untyped-def]
    return find_prefix(at, hi, lo)


for function, words in ((_found, 5), (_shorter, 2), (_value, 3)):
    precompile(function, *[I64] * words)


class Search:
    """Patterns in memory."""

    def __init__(self, patterns: list[bytes], *, fold: bool = False) -> None:
        self._piece = Piece([Patterns(patterns, fold=fold).built().octets])
        self._at = self._piece.address + FIRST

    def first(self, octets: bytes, start: int = 0, state: int = 0) -> tuple[int, int, int]:
        held = np.frombuffer(octets or b"\0", np.uint8)
        return _found(self._at, held.ctypes.data, len(octets), start, state)  # type: ignore[no-any-return]

    def all(self, *segments: bytes) -> Iterator[tuple[int, int]]:
        """(end in all segments together, index) of each hit."""
        before, state = 0, 0
        for segment in segments:
            index, end, state = self.first(segment, 0, state)
            while index >= 0:
                while index >= 0:
                    yield before + end, index
                    index = _shorter(self._at, index)
                index, end, state = self.first(segment, end, state)
            before += len(segment)


# Few letters, so that patterns overlap, and one that no pattern has.
LETTERS = st.lists(st.sampled_from(b"abAB\x00\xff"), min_size=1, max_size=9).map(bytes)
LISTS = st.lists(LETTERS, max_size=12, unique=True)
TEXTS = st.lists(st.sampled_from(b"abABc\x00\xff"), max_size=80).map(bytes)


def _expected(patterns: list[bytes], octets: bytes) -> list[tuple[int, int]]:
    automaton = ahocorasick.Automaton()
    for index, pattern in enumerate(patterns):
        automaton.add_word(pattern.decode("latin-1"), index)
    automaton.make_automaton()
    if not patterns:
        return []
    return sorted((end + 1, index) for end, index in automaton.iter(octets.decode("latin-1")))


@given(LISTS, TEXTS)
def test_all_hits_are_those_of_pyahocorasick(patterns: list[bytes], octets: bytes) -> None:
    found = list(Search(patterns).all(octets))
    assert sorted(found) == _expected(patterns, octets)
    assert found == sorted(found, key=lambda hit: (hit[0], -len(patterns[hit[1]])))


@given(LISTS, TEXTS)
def test_the_first_hit_ends_where_bytes_find_says(patterns: list[bytes], octets: bytes) -> None:
    ends = [octets.find(pattern) + len(pattern) for pattern in patterns if pattern in octets]
    index, end, _ = Search(patterns).first(octets)
    assert (index >= 0, end) == ((True, min(ends)) if ends else (False, len(octets)))
    if ends:
        there = [pattern for pattern in patterns if octets[:end].endswith(pattern)]
        assert patterns[index] == max(there, key=len)


@given(LISTS, st.lists(TEXTS, max_size=4))
def test_segments_are_searched_as_one(patterns: list[bytes], segments: list[bytes]) -> None:
    search = Search(patterns)
    assert list(search.all(*segments)) == list(search.all(b"".join(segments)))


@given(LISTS, TEXTS)
def test_folded_is_the_same_as_both_in_lower_case(patterns: list[bytes], octets: bytes) -> None:
    patterns = list(dict.fromkeys(pattern.lower() for pattern in patterns))
    assert list(Search(patterns, fold=True).all(octets)) == list(Search(patterns).all(octets.lower()))


@given(LISTS, TEXTS, st.integers(), st.integers())
def test_no_start_and_no_state_leaves_the_view(patterns: list[bytes], octets: bytes, start: int, state: int) -> None:
    search = Search(patterns)
    index, end, _ = search.first(octets, start % (1 << 63), state % (1 << 63) - (1 << 62))
    assert -1 <= index < len(patterns)
    assert 0 <= end <= len(octets)


def test_thousands_of_patterns_of_every_byte() -> None:
    rng = np.random.default_rng(1)
    made = {rng.integers(0, 256, rng.integers(2, 14), dtype=np.uint8).tobytes() for _ in range(5000)}
    patterns = sorted(made)
    octets = b"".join(rng.choice(np.array(patterns, object), 500)) + bytes(range(256))
    assert sorted(Search(patterns).all(octets)) == _expected(patterns, octets)


def _prefixes(size: int, near: list[int]) -> st.SearchStrategy[str]:
    """Prefixes of one version of IP, around a few addresses, so that they nest."""
    network: Any = ipaddress.IPv4Network if size == 32 else ipaddress.IPv6Network
    address = st.tuples(st.sampled_from(near), st.integers(0, 255)).map(lambda pair: pair[0] ^ pair[1])
    made = st.tuples(address, st.integers(0, size))
    return made.map(lambda pair: str(network(((pair[0] >> size - pair[1]) << size - pair[1], pair[1]))))


FOUR = _prefixes(32, [0, 10 << 24, (10 << 24) + (1 << 16), 192 << 24, (1 << 32) - 1])
SIX = _prefixes(128, [1, 0x20010DB8 << 96, (0x20010DB8 << 96) + (1 << 64), 0x2A << 120, (1 << 128) - 1])


def _signed(word: int) -> int:
    return word - (1 << 64) if word >> 63 else word


def _ask(piece: Piece, address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> int:
    number = int(address) | (0xFFFF << 32 if address.version == 4 else 0)
    halves = [_signed(number >> 64), _signed(number & (1 << 64) - 1)]
    return _value(piece.address + FIRST, *halves)  # type: ignore[no-any-return]


def _expected_number(tree: Any, address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> int:
    found = tree.search_best(str(address))
    return -1 if found is None else int(found.data["number"])


def _edges(prefixes: list[str]) -> Iterator[ipaddress.IPv4Address | ipaddress.IPv6Address]:
    """The first and last address of each prefix, and those beside it."""
    for prefix in [*prefixes, "0.0.0.0/0", "::/0"]:
        network = ipaddress.ip_network(prefix)
        for number in (int(network[0]) - 1, int(network[0]), int(network[-1]), int(network[-1]) + 1):
            yield type(network[0])(number % (1 << network.max_prefixlen))


@given(st.lists(FOUR | SIX, max_size=25, unique=True))
def test_the_longest_prefix_is_that_of_py_radix(prefixes: list[str]) -> None:
    tree = radix.Radix()
    for number, prefix in enumerate(prefixes):
        tree.add(prefix).data["number"] = number
    piece = Piece([Prefixes(prefixes).built().octets])
    for address in _edges(prefixes):
        if address.version == 6 and address.ipv4_mapped:
            continue
        assert _ask(piece, address) == _expected_number(tree, address), address


def test_an_ipv6_prefix_of_mapped_addresses_is_one_of_ipv4() -> None:
    piece = Piece([Prefixes({"::ffff:10.0.0.0/104": 7, "::/0": 6}).built().octets])
    assert _ask(piece, ipaddress.ip_address("10.1.2.3")) == 7
    assert _ask(piece, ipaddress.ip_address("11.0.0.1")) == -1


def test_a_hundred_thousand_random_prefixes() -> None:
    rng = np.random.default_rng(2)
    lengths = rng.integers(8, 33, 100_000)
    numbers = rng.integers(0, 1 << 32, len(lengths)) >> (32 - lengths) << (32 - lengths)
    pairs = zip(numbers.tolist(), lengths.tolist(), strict=True)
    networks = list(dict.fromkeys(f"{ipaddress.IPv4Address(number)}/{length}" for number, length in pairs))
    tree, piece = radix.Radix(), Piece([Prefixes(networks).built().octets])
    for number, network in enumerate(networks):
        tree.add(network).data["number"] = number
    for number in rng.integers(0, 1 << 32, 5000).tolist():
        address = ipaddress.IPv4Address(number)
        assert _ask(piece, address) == _expected_number(tree, address)
