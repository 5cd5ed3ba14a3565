"""The Toeplitz hash as the 82576 computes it, by table, for compiled code.

What is hashed (82576 datasheet, "Receive-Side Scaling"), and what was decided where the datasheet is silent:

- One 802.1Q tag (0x8100) is looked through. Any other tag, or a second one: no hash.
- IPv4 and IPv6 with a wrong version, an IHL below 5 or without all of both addresses: no hash.
- TCP with ports (5-tuple), UDP with ports (5-tuple), everything else by its pair of addresses: ICMP, SCTP, fragments
  (also the first one, so that all fragments of a datagram stay together), and headers whose ports are not there.
- Ports are there when they lie within the captured bytes and within the datagram as its length field has it. A length
  of 0 stands for "unknown" (segmentation offload, jumbograms) and binds nothing; any other length is believed, so that
  Ethernet padding is never taken for ports. A total length shorter than the header leaves the pair of addresses.
- IPv6: hop-by-hop, routing and destination options are skipped, at most MAX_EXTENSIONS of them. The addresses are
  always those of the fixed header: no home address option, no routing header's last hop (the *_EX types do not occur).
"""

from __future__ import annotations

import functools
import sys
from typing import Any, Final

import numpy as np

from zcframe.framework import abi
from zcframe.framework.jit.address import load_be16, load_u8, load_u32, load_u64
from zcframe.framework.jit.compiler import compiled, inlined

from .fields import FIELD_TCP, FIELD_UDP, check_key, field_mask

MAX_INPUT: Final = 36
TABLE_SIZE: Final = MAX_INPUT * 256
ROW: Final = 256 * 4
# Behind the table: 1 where the key repeats itself every PERIOD bytes, as symmetric keys do. Input bytes so far apart
# contribute alike then, and all words of the input can be xored into one before the table is asked.
PERIOD: Final = 2
REPEATS: Final = TABLE_SIZE * 4
# Bytes are folded as the machine loads them, without a swap: byte n of a word lies at bit 8 * n, or at 56 - 8 * n.
FLIP_WORD: Final = 0 if sys.byteorder == "little" else 56
FLIP_HALF: Final = 0 if sys.byteorder == "little" else 24
FLIP_PAIR: Final = 0 if sys.byteorder == "little" else 8

BUCKETS: Final = abi.RETA_SIZE
UNHASHED: Final = abi.RETA_SIZE

MAX_EXTENSIONS: Final = 8

ETHERTYPE_IPV4: Final = 0x0800
ETHERTYPE_VLAN: Final = 0x8100
ETHERTYPE_IPV6: Final = 0x86DD
# Bytes 12 to 14 of a frame of IPv4 without options, behind no VLAN tag; and its bytes up to the ports, these included.
PLAIN_IPV4: Final = int.from_bytes(b"\x08\x00\x45\x00", sys.byteorder)
PLAIN_MASK: Final = int.from_bytes(b"\xff\xff\xff\x00", sys.byteorder)
PLAIN_SIZE: Final = 14 + 20 + 4
PROTO_HOP_BY_HOP: Final = 0
PROTO_TCP: Final = 6
PROTO_UDP: Final = 17
PROTO_ROUTING: Final = 43
PROTO_OPTIONS: Final = 60

TCP_IPV4: Final = abi.RSS_TCP_IPV4
TCP_IPV6: Final = abi.RSS_TCP_IPV6
UDP_IPV4: Final = abi.RSS_UDP_IPV4
UDP_IPV6: Final = abi.RSS_UDP_IPV6
PAIR_IPV4: Final = abi.RSS_IPV4
PAIR_IPV6: Final = abi.RSS_IPV6


def toeplitz_tables(key: bytes) -> np.ndarray[Any, np.dtype[np.uint32]]:
    """Contributions of every input byte: entry i * 256 + b is what byte b at input position i xors into the hash.

    Returns uint32, shape (36 * 256 + 1,), C-contiguous: 36 KiB, of which IPv4 touches the first 12 and a key that
    repeats itself the first 2, then whether it does. Raises UsageError where the key has not 40 bytes.
    """
    bits = int.from_bytes(check_key(key))
    first = 8 * abi.RSS_KEY_SIZE - 32
    tables = np.zeros((MAX_INPUT, 256), np.uint32)
    for position in range(MAX_INPUT):
        for bit in range(8):
            # A set bit of the input xors in the 32 key bits that start at its own place.
            window = bits >> (first - 8 * position - (7 - bit)) & 0xFFFFFFFF
            tables[position, 1 << bit : 2 << bit] = tables[position, : 1 << bit] ^ np.uint32(window)
    repeats = key[PERIOD:] == key[:-PERIOD]
    return np.append(tables, np.uint32(repeats))


@inlined
def fold_word(tables, position, word):  # type: ignore[no-untyped-def]
    """Contribution of 8 input bytes that start at `position`; word: as `load_u64` has them."""
    row = tables + position * ROW
    return (
        load_u32(row + (word >> (0 ^ FLIP_WORD) & 255) * 4)
        ^ load_u32(row + ROW + (word >> (8 ^ FLIP_WORD) & 255) * 4)
        ^ load_u32(row + 2 * ROW + (word >> (16 ^ FLIP_WORD) & 255) * 4)
        ^ load_u32(row + 3 * ROW + (word >> (24 ^ FLIP_WORD) & 255) * 4)
        ^ load_u32(row + 4 * ROW + (word >> (32 ^ FLIP_WORD) & 255) * 4)
        ^ load_u32(row + 5 * ROW + (word >> (40 ^ FLIP_WORD) & 255) * 4)
        ^ load_u32(row + 6 * ROW + (word >> (48 ^ FLIP_WORD) & 255) * 4)
        ^ load_u32(row + 7 * ROW + (word >> (56 ^ FLIP_WORD) & 255) * 4)
    )


@inlined
def fold_half(tables, position, half):  # type: ignore[no-untyped-def]
    """Contribution of 4 input bytes (an IPv4 address, both ports) that start at `position`; half: as by `load_u32`."""
    row = tables + position * ROW
    return (
        load_u32(row + (half >> (0 ^ FLIP_HALF) & 255) * 4)
        ^ load_u32(row + ROW + (half >> (8 ^ FLIP_HALF) & 255) * 4)
        ^ load_u32(row + 2 * ROW + (half >> (16 ^ FLIP_HALF) & 255) * 4)
        ^ load_u32(row + 3 * ROW + (half >> (24 ^ FLIP_HALF) & 255) * 4)
    )


@inlined
def fold_ipv6(tables, addresses):  # type: ignore[no-untyped-def]
    """Contribution of source and destination at int64 address `addresses` (32 bytes)."""
    return (
        fold_word(tables, 0, load_u64(addresses))
        ^ fold_word(tables, 8, load_u64(addresses + 8))
        ^ fold_word(tables, 16, load_u64(addresses + 16))
        ^ fold_word(tables, 24, load_u64(addresses + 24))
    )


@inlined
def fold_repeating(tables, word):  # type: ignore[no-untyped-def]
    """Contribution of all input, xored into the 8 bytes of `word`, for a key that repeats itself."""
    word ^= word >> 32
    word ^= word >> 16
    return load_u32(tables + (word >> (0 ^ FLIP_PAIR) & 255) * 4) ^ load_u32(
        tables + ROW + (word >> (8 ^ FLIP_PAIR) & 255) * 4
    )


@inlined
def locate_ipv4(ip, end):  # type: ignore[no-untyped-def]
    if ip + 20 > end:
        return 0, 0, 0, 0
    first = load_u8(ip)
    if first < 0x45 or first > 0x4F:
        return 0, 0, 0, 0
    protocol = load_u8(ip + 9)
    ports = ip + (first & 15) * 4
    total = load_be16(ip + 2)
    fits = ports + 4 <= end and (total == 0 or ports + 4 <= ip + total)
    fragment = load_be16(ip + 6) & 0x3FFF
    if fits and fragment == 0 and protocol in (PROTO_TCP, PROTO_UDP):
        return 4, ip + 12, ports, protocol
    return 4, ip + 12, 0, protocol


@inlined
def locate_ipv6(ip, end):  # type: ignore[no-untyped-def]
    if ip + 40 > end or load_u8(ip) >> 4 != 6:
        return 0, 0, 0, 0
    payload = load_be16(ip + 4)
    limit = end if payload == 0 else min(end, ip + 40 + payload)
    protocol = load_u8(ip + 6)
    at = ip + 40
    for _ in range(MAX_EXTENSIONS):
        if protocol not in (PROTO_HOP_BY_HOP, PROTO_ROUTING, PROTO_OPTIONS):
            break
        if at + 8 > limit:
            return 6, ip + 8, 0, protocol
        protocol = load_u8(at)
        at += (load_u8(at + 1) + 1) * 8
    if at + 4 <= limit and protocol in (PROTO_TCP, PROTO_UDP):
        return 6, ip + 8, at, protocol
    return 6, ip + 8, 0, protocol


@inlined
def locate(frame, length):  # type: ignore[no-untyped-def]
    """What could be hashed of an Ethernet frame: (IP version or 0, addresses, ports or 0, protocol).

    frame: int64 address; length: captured bytes, never read past. `addresses` is the int64 address of the source
    followed by the destination, `ports` that of both ports; `protocol` is that of the last header reached (IPv6
    fragments: 44).
    """
    if length >= PLAIN_SIZE and load_u32(frame + 12) & PLAIN_MASK == PLAIN_IPV4:
        # What most frames are; the rest of the function would find the same.
        protocol = load_u8(frame + 23)
        whole = load_be16(frame + 20) & 0x3FFF == 0 and load_be16(frame + 16) >= 24
        if whole and (protocol == PROTO_TCP or protocol == PROTO_UDP):
            return 4, frame + 26, frame + 34, protocol
    end = frame + length
    if length < 14:
        return 0, 0, 0, 0
    ethertype = load_be16(frame + 12)
    ip = frame + 14
    if ethertype == ETHERTYPE_VLAN and length >= 18:
        ethertype = load_be16(frame + 16)
        ip = frame + 18
    if ethertype == ETHERTYPE_IPV4:
        return locate_ipv4(ip, end)
    if ethertype == ETHERTYPE_IPV6:
        return locate_ipv6(ip, end)
    return 0, 0, 0, 0


@inlined
def hash_located(version, addresses, ports, protocol, tables, fields):  # type: ignore[no-untyped-def]
    """`rss_hash` of what `locate` found."""
    if version == 0:
        return 0
    tcp = protocol == PROTO_TCP
    with_ports = ports != 0 and fields & (FIELD_TCP if tcp else FIELD_UDP) != 0
    if version == 4:
        kind = (TCP_IPV4 if tcp else UDP_IPV4) if with_ports else PAIR_IPV4
        word = load_u64(addresses)
    else:
        kind = (TCP_IPV6 if tcp else UDP_IPV6) if with_ports else PAIR_IPV6
        word = load_u64(addresses) ^ load_u64(addresses + 8) ^ load_u64(addresses + 16) ^ load_u64(addresses + 24)
    if load_u32(tables + REPEATS):
        return kind << 32 | fold_repeating(tables, word ^ load_u32(ports) if with_ports else word)
    value = fold_word(tables, 0, word) if version == 4 else fold_ipv6(tables, addresses)
    if with_ports:
        value ^= fold_half(tables, 8 if version == 4 else 32, load_u32(ports))
    return kind << 32 | value


@inlined
def rss_hash(frame, length, tables, fields):  # type: ignore[no-untyped-def]
    """Hash one Ethernet frame: rss_type << 32 | hash, or 0 where the NIC does not hash.

    frame: int64 address of the frame; length: captured bytes, never read past; tables: int64 address of what
    `toeplitz_tables` returned (the caller keeps it alive); fields: mask of FIELD_*.
    """
    version, addresses, ports, protocol = locate(frame, length)
    return hash_located(version, addresses, ports, protocol, tables, fields)


@inlined
def hash_untagged(frame, length, tpid, tables, fields):  # type: ignore[no-untyped-def]
    """`rss_hash` of a frame as it was before its outer tag, of ethertype `tpid`, was taken off; tpid 0: none was."""
    if tpid != 0 and (tpid != ETHERTYPE_VLAN or load_be16(frame + 12) == ETHERTYPE_VLAN):
        return 0
    return rss_hash(frame, length, tables, fields)


@inlined
def rss_bucket(result):  # type: ignore[no-untyped-def]
    """Bucket of what `rss_hash` returned: 0..127, or 128 where nothing was hashed (its queue is 0)."""
    return UNHASHED if result == 0 else result & (BUCKETS - 1)


@compiled
def _hash_at(frame, length, tables, fields):  # type: ignore[no-untyped-def]
    return rss_hash(frame, length, tables, fields)


_cached_tables = functools.lru_cache(maxsize=16)(toeplitz_tables)


def hash_frame(frame: bytes, key: bytes, fields: str) -> tuple[int, int]:
    """Hash one Ethernet frame: (abi.RSS_*, 32-bit hash). Raises UsageError for a wrong key or field name."""
    tables = _cached_tables(key)
    memory = np.frombuffer(frame, np.uint8) if frame else np.zeros(1, np.uint8)
    result = int(_hash_at(memory.ctypes.data, len(frame), tables.ctypes.data, field_mask(fields)))
    return result >> 32, result & 0xFFFFFFFF
