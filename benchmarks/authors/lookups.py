"""What looking up costs: GB/s of payload for Patterns, against Hyperscan and pyahocorasick; ns for Prefixes.

Payload is that of the mix of captures; prefixes are as long as those of the Internet, a million of them, and addresses
random, so that nothing but the index is in the cache.
"""

from __future__ import annotations

import importlib
import ipaddress
import re
import struct
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

import dpkt
import numpy as np
from numba.core import types

from benchmarks.bench import Bench
from benchmarks.rounds import Spread, in_turns
from benchmarks.table import Row
from zcframe import Patterns, Prefixes
from zcframe.framework.jit.compiler import fleeting, precompile
from zcframe.framework.state.lookup.image import Piece
from zcframe.framework.state.lookup.search import find_number, find_pattern

FEW: Final = (
    *("password", "passwd", "login", "admin", "select", "union", "/etc/passwd", "cmd.exe"),
    *("powershell", "<script", "eval(", "base64", "wget", "curl", "nikto", "../.."),
)
MANY: Final = 4000
PREFIXES: Final = 1_000_000
ADDRESSES: Final = 1 << 18
# Share of each length in tables of the Internet, in about.
LENGTHS: Final = (16, 19, 20, 21, 22, 22, 23, 24, 24, 24, 24, 24)
# Bytes of payload that pyahocorasick and Hyperscan, which tell each hit to Python, are given.
PAYLOAD: Final = 4 << 20
# In front of the first lookup of a piece.
FIRST: Final = 64
BAR: Final = 0.7


@fleeting
def _count_hits(at, address, length):  # type: ignore[no-untyped-def]
    hits, end, state = -1, 0, 0
    index = 0
    while index >= 0:
        hits += 1
        index, end, state = find_pattern(at, address, length, end, state)
    return hits


@fleeting
def _find_all(at, addresses):  # type: ignore[no-untyped-def]
    found = 0
    for i in range(len(addresses)):
        found ^= find_number(at, 0, addresses[i])
    return found


def _payload(bench: Bench) -> bytes:
    """Bytes behind the headers of the mix, one packet after the other."""
    found = bytearray()
    with open(bench.mix().path, "rb") as file:
        for _, frame in dpkt.pcap.Reader(file):
            found += frame[54:]
            if len(found) > PAYLOAD:
                break
    return bytes(found)


def _seconds(run: Callable[[], object]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def _ours(patterns: Sequence[str], payload: bytes) -> Callable[[], float]:
    piece = Piece([Patterns(patterns, fold=True).built().octets])
    octets = np.frombuffer(payload, np.uint8)
    precompile(_count_hits, *[types.int64] * 3)
    search: Any = _count_hits
    return lambda: _seconds(lambda: search(piece.address + FIRST, octets.ctypes.data, len(octets)))


def _hyperscan(patterns: Sequence[str], payload: bytes) -> Callable[[], float]:
    hyperscan = importlib.import_module("hyperscan")
    database = hyperscan.Database()
    flags = [hyperscan.HS_FLAG_CASELESS | hyperscan.HS_FLAG_SINGLEMATCH] * len(patterns)
    words = [re.escape(word).encode() for word in patterns]
    database.compile(expressions=words, ids=list(range(len(words))), elements=len(words), flags=flags)
    return lambda: _seconds(lambda: database.scan(payload, match_event_handler=lambda *hit: None))


def _pyahocorasick(patterns: Sequence[str], payload: bytes) -> Callable[[], float]:
    automaton = importlib.import_module("ahocorasick").Automaton()
    for number, word in enumerate(patterns):
        automaton.add_word(word, number)
    automaton.make_automaton()
    text = payload.decode("latin-1").lower()
    return lambda: _seconds(lambda: sum(1 for _ in automaton.iter(text)))


def _patterns_row(bench: Bench, name: str, patterns: Sequence[str], payload: bytes, peer: str) -> Row:
    """GB/s. The bar is for ours alone, where it stands without a peer."""
    make = {"hyperscan": _hyperscan, "pyahocorasick": _pyahocorasick}
    measures = [_ours(patterns, payload)]
    try:
        measures += [make[peer](patterns, payload)] if peer else []
    except ImportError:
        return Row(f"{name}, over {peer}", "GB/s", not_measured=f"{peer} is not installed")
    in_turns(1, *measures)
    spreads = [Spread(spent).per(len(payload) / 1e9) for spent in in_turns(bench.rounds, *measures)]
    label = f"{name}, over {peer}" if peer else name
    return Row(label, "GB/s", *spreads, bar=None if peer else BAR)


def _networks(rng: np.random.Generator) -> list[str]:
    lengths = rng.choice(LENGTHS, PREFIXES)
    numbers = rng.integers(1 << 24, 223 << 24, PREFIXES) >> (32 - lengths) << (32 - lengths)
    pairs = dict.fromkeys(zip(numbers.tolist(), lengths.tolist(), strict=True))
    return [f"{ipaddress.IPv4Address(number)}/{length}" for number, length in pairs]


def _prefixes_rows(bench: Bench, rng: np.random.Generator) -> list[Row]:
    networks = _networks(rng)
    start = time.process_time()
    piece = Piece([Prefixes(networks).built().octets])
    building = Row(f"Prefixes, {len(networks):,}: to build", "s", time.process_time() - start, smaller_is_better=True)
    addresses = rng.integers(1 << 24, 223 << 24, ADDRESSES)
    mapped = addresses | 0xFFFF << 32
    precompile(_find_all, types.int64, types.Array(types.int64, 1, "C"))
    search: Any = _find_all
    measures = [lambda: _seconds(lambda: search(piece.address + FIRST, mapped)) / ADDRESSES * 1e9]
    try:
        tree = importlib.import_module("radix").Radix()
    except ImportError:
        return [building, Row("Prefixes.find, over py-radix", "ns", not_measured="py-radix is not installed")]
    for number, network in enumerate(networks):
        tree.add(network).data["number"] = number
    asked = [struct.pack(">I", address) for address in addresses[: ADDRESSES // 8].tolist()]
    measures.append(lambda: _seconds(lambda: [tree.search_best(packed=one) for one in asked]) / len(asked) * 1e9)
    in_turns(1, *measures)
    spreads = [Spread(one) for one in in_turns(bench.rounds, *measures)]
    return [building, Row("Prefixes.find, over py-radix", "ns", *spreads, smaller_is_better=True)]


def lookup_rows(bench: Bench) -> list[Row]:
    """GB/s of payload, ns an address, and seconds of CPU to build."""
    rng, payload = np.random.default_rng(1), _payload(bench)
    words = {bytes(rng.integers(97, 123, rng.integers(5, 16), dtype=np.uint8)).decode() for _ in range(MANY)}
    few, many = f"Patterns.find, {len(FEW)} words", f"Patterns.find, {len(words):,} words"
    return [
        _patterns_row(bench, few, FEW, payload, ""),
        _patterns_row(bench, few, FEW, payload, "pyahocorasick"),
        _patterns_row(bench, few, FEW, payload, "hyperscan"),
        _patterns_row(bench, many, sorted(words), payload, "hyperscan"),
        *_prefixes_rows(bench, rng),
    ]
