"""What a card reported of a frame, on its way into the descriptor: records are written here octet by octet."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from zcframe.framework import abi
from zcframe.framework.jit.words import words_of
from zcframe.framework.rss import SYMMETRIC_KEY, field_mask
from zcframe.framework.rss.toeplitz import hash_frame, toeplitz_tables
from zcframe.framework.sources.xdp.metadata import abi_types
from zcframe.framework.sources.xdp.pull import PullContext, pull

NOW = 1_790_000_000_000_000_000
MINUTE = 60 * 10**9
DAY = 1440 * MINUTE
TIME, HASH, VLAN = 1, 2, 4
MAGIC = 0x7A636D00
TABLES = toeplitz_tables(SYMMETRIC_KEY)

# Where what is in the memory: a page each for header, user, notes, guard, receive ring, fill ring, descriptors, chunks.
HEADER, USER, NOTES, GUARD, RECEIVE, FILL, DESCRIPTORS, CHUNKS = (page * 4096 for page in range(8))
FRAME_AT = 256

UDP = bytes(12) + bytes.fromhex("0800 45000024000000004011 0000 0a000001 0a000002 0035 1234 0010 0000") + bytes(8)
# What remains of it where another tag was in front of this one.
TAGGED = UDP[:12] + bytes.fromhex("8100 0007") + UDP[12:]
SOFTWARE = hash_frame(UDP, SYMMETRIC_KEY, "5-tuple")

Describe = Callable[..., Any]


def record(
    flags: int, time: int = 0, hashed: int = 0, kind: int = 0, tpid: int = 0, tci: int = 0, magic: int = MAGIC
) -> bytes:
    return struct.pack("=QII", time, hashed, kind) + struct.pack("!H", tpid) + struct.pack("=HI", tci, magic | flags)


@pytest.fixture
def describe() -> Describe:
    """The descriptor of one frame, with what stands in front of it."""
    memory = np.zeros(8 * 4096, np.uint8)

    def call(
        front: bytes, frame: bytes = UDP, reported: int = TIME | HASH | VLAN, fields: str = "5-tuple"
    ) -> np.ndarray[Any, Any]:
        memory[:] = 0
        types = abi_types(field_mask(fields))
        memory[CHUNKS + FRAME_AT - len(front) : CHUNKS + FRAME_AT] = np.frombuffer(front, np.uint8)
        memory[CHUNKS + FRAME_AT : CHUNKS + FRAME_AT + len(frame)] = np.frombuffer(frame, np.uint8)
        memory[RECEIVE + 64 : RECEIVE + 80] = np.frombuffer(struct.pack("=QII", FRAME_AT, len(frame), 0), np.uint8)
        memory[RECEIVE] = 1
        at = memory.ctypes.data
        context = PullContext(
            header=at + HEADER,
            descriptors=at + DESCRIPTORS,
            slots=16,
            user=at + USER,
            chunks=at + CHUNKS,
            notes=at + NOTES,
            guard=at + GUARD,
            number=1,
            rx_producer=at + RECEIVE,
            rx_consumer=at + RECEIVE + 4,
            rx_entries=at + RECEIVE + 64,
            rx_mask=31,
            fill_producer=at + FILL,
            fill_entries=at + FILL + 64,
            fill_flags=at + FILL + 8,
            fill_mask=31,
            tables=int(TABLES.ctypes.data),
            fields=field_mask(fields),
            hashes=1,
            socket=-1,
            reported=reported,
            types=int(types.ctypes.data),
            port=0,
        )
        assert pull(words_of(context), NOW) == 1
        found: np.ndarray[Any, Any] = memory[DESCRIPTORS : DESCRIPTORS + abi.DESC_SIZE].view(abi.DESC)[0].copy()
        assert (found["offset"], found["len"], found["flag_access"]) == (FRAME_AT, len(frame), abi.ACCESS_READABLE)
        return found

    return call


def is_untold(found: np.ndarray[Any, Any], length: int = len(UDP)) -> bool:
    hashed = (found["rss_type"], found["rss_hash"]) == SOFTWARE
    plain = (found["timestamp"], found["wire_len"], found["status"]) == (NOW, length, 0)
    return hashed and plain and (found["vlan_tpid"], found["vlan_tci"]) == (0, 0)


def test_all_of_it(describe: Describe) -> None:
    found = describe(record(7, NOW - 5, 0xDEADBEEF, 41, 0x8100, 0x2064))
    assert (found["timestamp"], found["status"]) == (NOW - 5, abi.STATUS_HW_TIME | abi.STATUS_VLAN)
    assert (found["rss_hash"], found["rss_type"]) == (0xDEADBEEF, abi.RSS_UDP_IPV4)
    assert (found["vlan_tpid"], found["vlan_tci"], found["wire_len"]) == (0x8100, 0x2064, len(UDP) + 4)


def test_only_what_holds_and_only_what_is_wanted(describe: Describe) -> None:
    """Whatever else stands in the record."""
    full = (NOW - 5, 0xDEADBEEF, 41, 0x8100, 0x2064)
    assert is_untold(describe(record(0, *full)))
    assert is_untold(describe(record(7, *full), reported=0))
    for reported, flags in ((TIME, 7), (7, TIME)):
        found = describe(record(flags, *full), reported=reported)
        assert (found["timestamp"], found["status"]) == (NOW - 5, abi.STATUS_HW_TIME)
        assert (found["rss_type"], found["rss_hash"]) == SOFTWARE
    for reported, flags in ((HASH, 7), (7, HASH)):
        found = describe(record(flags, *full), reported=reported)
        assert (found["timestamp"], found["status"], found["rss_hash"]) == (NOW, 0, 0xDEADBEEF)
    for reported, flags in ((VLAN, 7), (7, VLAN)):
        found = describe(record(flags, *full), reported=reported)
        assert (found["timestamp"], found["status"], found["vlan_tci"]) == (NOW, abi.STATUS_VLAN, 0x2064)
        assert (found["rss_type"], found["rss_hash"]) == SOFTWARE


@pytest.mark.parametrize("front", [b"", bytes(24), b"\xff" * 24, record(7, NOW, 1, 41, 0x8100, 1, magic=0)])
def test_what_is_no_record_tells_nothing(describe: Describe, front: bytes) -> None:
    assert is_untold(describe(front))


@pytest.mark.parametrize("time", [0, NOW - DAY, NOW + DAY, 5 * MINUTE, (1 << 63) + NOW, (1 << 64) - 1])
def test_a_clock_that_does_not_tell_the_time_of_day_is_not_believed(describe: Describe, time: int) -> None:
    assert is_untold(describe(record(TIME, time)))


def test_a_clock_that_is_a_little_wrong_is_believed(describe: Describe) -> None:
    """International atomic time is ahead by 37 s."""
    for time in (NOW - DAY + 1, NOW + 37 * 10**9, NOW + DAY - 1):
        assert describe(record(TIME, time))["timestamp"] == time


# Of the kernel's include/net/xdp.h, XDP_RSS_TYPE_*.
@pytest.mark.parametrize(
    ("kind", "rss_type"),
    [
        pytest.param(0b000001, abi.RSS_IPV4, id="L3_IPV4"),
        pytest.param(0b000010, abi.RSS_IPV6, id="L3_IPV6"),
        pytest.param(0b000110, abi.RSS_IPV6_EX, id="L3_IPV6_EX"),
        pytest.param(0b011001, abi.RSS_TCP_IPV4, id="L4_IPV4_TCP"),
        pytest.param(0b101001, abi.RSS_UDP_IPV4, id="L4_IPV4_UDP"),
        pytest.param(0b011010, abi.RSS_TCP_IPV6, id="L4_IPV6_TCP"),
        pytest.param(0b101010, abi.RSS_UDP_IPV6, id="L4_IPV6_UDP"),
        pytest.param(0b011110, abi.RSS_TCP_IPV6_EX, id="L4_IPV6_TCP_EX"),
        pytest.param(0b101110, abi.RSS_UDP_IPV6_EX, id="L4_IPV6_UDP_EX"),
    ],
)
def test_types_that_are_ours(describe: Describe, kind: int, rss_type: int) -> None:
    found = describe(record(HASH, hashed=0x80000001, kind=kind))
    assert (found["rss_type"], found["rss_hash"]) == (rss_type, 0x80000001)


@pytest.mark.parametrize("kind", [0, 0b101, 0b1000, 0b1001001, 0b10001001, 0b100001001, 511, 512, 1 << 31])
def test_other_types_are_hashed_again(describe: Describe, kind: int) -> None:
    """IPv4 with options, any protocol's ports, SCTP, IPsec, ICMP, none that there is yet."""
    assert is_untold(describe(record(HASH, hashed=0x80000001, kind=kind)))


def test_ports_that_the_run_does_not_hash_are_not_the_cards_either(describe: Describe) -> None:
    pair = hash_frame(UDP, SYMMETRIC_KEY, "ip-pair")
    for kind, expected in ((0b101001, pair), (0b000001, (abi.RSS_IPV4, 7))):
        found = describe(record(HASH, hashed=7, kind=kind), fields="ip-pair")
        assert (found["rss_type"], found["rss_hash"]) == expected


@pytest.mark.parametrize(
    ("tpid", "frame", "hashed"),
    [(0x8100, UDP, SOFTWARE), (0x88A8, UDP, (0, 0)), (0x8100, TAGGED, (0, 0)), (0, TAGGED, SOFTWARE)],
    ids=["one tag", "a provider's", "two", "in the frame"],
)
def test_a_tag_that_was_taken_off_is_hashed_as_if_it_were_there(
    describe: Describe, tpid: int, frame: bytes, hashed: tuple[int, int]
) -> None:
    """The card of the framework looks behind one 802.1Q tag, and behind no other."""
    found = describe(record(VLAN if tpid else 0, tpid=tpid, tci=9), frame)
    assert (found["rss_type"], found["rss_hash"]) == hashed
    assert found["wire_len"] == len(frame) + (4 if tpid else 0)
