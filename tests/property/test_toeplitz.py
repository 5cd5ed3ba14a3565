"""The table-driven hash against its definition, over arbitrary keys, addresses and damaged frames."""

from __future__ import annotations

import ctypes

from hypothesis import given, settings
from hypothesis import strategies as st

from zcframe.framework import abi
from zcframe.framework.rss import SYMMETRIC_KEY, field_mask, is_symmetric
from zcframe.framework.rss import toeplitz as compiled
from zcframe.framework.rss.toeplitz import hash_frame, toeplitz_tables

KEYS = st.binary(min_size=40, max_size=40)
INPUTS = st.sampled_from([12, 36]).flatmap(lambda size: st.binary(min_size=size, max_size=size))
TCP, UDP = 6, 17
# The first call of all compiles.
UNTIMED = settings(deadline=None)


def definition(key: bytes, data: bytes) -> int:
    """Bit n of the input, if set, xors in bits n..n+31 of the key; over strings of bits."""
    bits = "".join(f"{octet:08b}" for octet in key)
    result = 0
    for place, bit in enumerate("".join(f"{octet:08b}" for octet in data)):
        if bit == "1":
            result ^= int(bits[place : place + 32], 2)
    return result


def frame_of(data: bytes, protocol: int) -> bytes:
    """A frame whose hash input is `data`: source, destination, source port, destination port (12 or 36 bytes)."""
    addresses, ports = data[:-4], data[-4:]
    if len(data) == 12:
        header = bytes([0x45, 0, 0, 40, 0, 0, 0, 0, 64, protocol, 0, 0])
        return bytes(12) + b"\x08\x00" + header + addresses + ports + bytes(16)
    return bytes(12) + b"\x86\xdd" + bytes([0x60, 0, 0, 0, 0, 20, protocol, 64]) + addresses + ports + bytes(16)


def turned(data: bytes) -> bytes:
    size = (len(data) - 4) // 2
    return data[size : 2 * size] + data[:size] + data[-2:] + data[-4:-2]


@UNTIMED
@given(KEYS, INPUTS, st.sampled_from([TCP, UDP]))
def test_equals_the_definition(key: bytes, data: bytes, protocol: int) -> None:
    frame = frame_of(data, protocol)
    assert hash_frame(frame, key, "5-tuple")[1] == definition(key, data)
    assert hash_frame(frame, key, "ip-pair")[1] == definition(key, data[:-4])


@UNTIMED
@given(INPUTS, st.sampled_from(["ip-pair", "5-tuple"]), st.sampled_from([TCP, UDP, 1]))
def test_the_symmetric_key_is_symmetric(data: bytes, fields: str, protocol: int) -> None:
    there, back = frame_of(data, protocol), frame_of(turned(data), protocol)
    assert hash_frame(there, SYMMETRIC_KEY, fields) == hash_frame(back, SYMMETRIC_KEY, fields)


@UNTIMED
@given(KEYS, st.binary(min_size=36, max_size=36), st.binary(min_size=36, max_size=36))
def test_is_linear(key: bytes, one: bytes, other: bytes) -> None:
    """What the proof of symmetry stands on."""
    both = bytes(a ^ b for a, b in zip(one, other, strict=True))
    hashes = [hash_frame(frame_of(data, TCP), key, "5-tuple")[1] for data in (one, other, both)]
    assert hashes[0] ^ hashes[1] == hashes[2]


@UNTIMED
@given(KEYS, st.sampled_from(["ip-pair", "5-tuple"]))
def test_a_refused_key_has_a_counterexample(key: bytes, fields: str) -> None:
    """The input bit that the proof names does send the two directions apart."""
    proof = is_symmetric(key, fields)
    if proof.broken_by is None or proof.broken_bit is None:
        return
    size = 36 if "ipv6" in proof.broken_by else 12
    protocol = UDP if "udp" in proof.broken_by else TCP
    data = (1 << (8 * size - 1 - proof.broken_bit)).to_bytes(size)
    of = fields if "-" in proof.broken_by else "ip-pair"
    there, back = (hash_frame(frame_of(d, protocol), key, of) for d in (data, turned(data)))
    assert there[1] != back[1]


@UNTIMED
@given(st.binary(min_size=2, max_size=2), INPUTS)
def test_any_pattern_of_16_bits_is_symmetric(pattern: bytes, data: bytes) -> None:
    key = pattern * 20
    assert is_symmetric(key, "5-tuple")
    assert hash_frame(frame_of(data, TCP), key, "5-tuple") == hash_frame(frame_of(turned(data), TCP), key, "5-tuple")


V4, V6, TAG = b"\x08\x00\x45", b"\x86\xdd\x60", b"\x81\x00\x00\x07"
HEADS = st.sampled_from([V4, V4[:2], V6, TAG + V4, TAG + V6, TAG[:2], b""])


@UNTIMED
@given(KEYS, HEADS, st.binary(max_size=120), st.binary(min_size=16, max_size=16))
def test_what_lies_behind_a_frame_does_not_matter(key: bytes, head: bytes, body: bytes, behind: bytes) -> None:
    frame = bytes(12) + head + body
    tables, mask = toeplitz_tables(key), field_mask("5-tuple")
    memory = ctypes.create_string_buffer(frame + behind)
    found = int(compiled._hash_at(ctypes.addressof(memory), len(frame), tables.ctypes.data, mask))
    assert (found >> 32, found & 0xFFFFFFFF) == hash_frame(frame, key, "5-tuple")
    assert found >> 32 <= abi.RSS_UDP_IPV6 and (found >> 32 or found == 0)


@UNTIMED
@given(INPUTS, st.sampled_from([TCP, UDP]), st.data())
def test_cutting_a_frame_only_takes_away(data: bytes, protocol: int, draw: st.DataObject) -> None:
    """A shorter capture of the same frame has the full hash, that of the addresses, or none."""
    frame = frame_of(data, protocol)
    cut = frame[: draw.draw(st.integers(0, len(frame)))]
    whole, pair = (hash_frame(frame, SYMMETRIC_KEY, fields) for fields in ("5-tuple", "ip-pair"))
    assert hash_frame(cut, SYMMETRIC_KEY, "5-tuple") in (whole, pair, (0, 0))
