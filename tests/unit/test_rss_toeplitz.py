"""Hashes against Microsoft's vectors, scapy's frames, dpkt's reading of real captures, and a bit-by-bit Toeplitz."""

from __future__ import annotations

import functools
import ipaddress
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import dpkt
import numpy as np
import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import (
    IPv6,
    IPv6ExtHdrDestOpt,
    IPv6ExtHdrFragment,
    IPv6ExtHdrHopByHop,
    IPv6ExtHdrRouting,
    PadN,
)
from scapy.layers.l2 import ARP, Dot1AD, Dot1Q, Ether
from scapy.packet import Packet, Raw

from tests.kit.places import ROOT
from zcframe.framework import abi
from zcframe.framework.errors import UsageError
from zcframe.framework.rss import FIELD_IP, FIELD_TCP, FIELD_UDP, MICROSOFT_KEY, toeplitz
from zcframe.framework.rss.toeplitz import MAX_EXTENSIONS, hash_frame, toeplitz_tables

CAPTURES = Path(os.environ.get("ZCFRAME_CAPTURES", ROOT.parent / "shared" / "captures"))

# "Verifying the RSS Hash Calculation": destination, source, hash of the addresses, hash with TCP ports.
PUBLISHED = [
    ("161.142.100.80", 1766, "66.9.149.187", 2794, 0x323E8FC2, 0x51CCC178),
    ("65.69.140.83", 4739, "199.92.111.2", 14230, 0xD718262A, 0xC626B0EA),
    ("12.22.207.184", 38024, "24.19.198.95", 12898, 0xD2D0A5DE, 0x5C2B394A),
    ("209.142.163.6", 2217, "38.27.205.30", 48228, 0x82989176, 0xAFC7327F),
    ("202.188.127.2", 1303, "153.39.163.191", 44251, 0x5D1809C5, 0x10E828A2),
    ("3ffe:2501:200:3::1", 1766, "3ffe:2501:200:1fff::7", 2794, 0x2CC18CD5, 0x40207D3D),
    ("ff02::1", 4739, "3ffe:501:8::260:97ff:fe40:efab", 14230, 0x0F0C461C, 0xDDE51BBF),
    ("fe80::200:f8ff:fe21:67cf", 38024, "3ffe:1900:4545:3:200:f8ff:fe21:67cf", 44251, 0x4B61E985, 0x02D1FEEF),
]

ether = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
A4, B4 = "10.1.2.3", "192.168.7.200"
A6, B6 = "2001:db8::17", "fd00:1:2:3:4:5:6:7"


def packed(address: str) -> bytes:
    return ipaddress.ip_address(address).packed


@functools.cache
def bit_by_bit(key: bytes, data: bytes) -> int:
    """As Microsoft words it: for each set bit of the input xor the key's top 32 bits; shift the key left by one."""
    shifted, width, result = int.from_bytes(key), 8 * len(key), 0
    for octet in data:
        for mask in (128, 64, 32, 16, 8, 4, 2, 1):
            if octet & mask:
                result ^= (shifted >> (width - 32)) & 0xFFFFFFFF
            shifted = (shifted << 1) & ((1 << width) - 1)
    return result


def pair(source: str, target: str) -> tuple[int, int]:
    data = packed(source) + packed(target)
    return (abi.RSS_IPV4 if len(data) == 8 else abi.RSS_IPV6), bit_by_bit(MICROSOFT_KEY, data)


def with_ports(rss_type: int, source: str, target: str, sport: int, dport: int) -> tuple[int, int]:
    data = packed(source) + packed(target) + sport.to_bytes(2) + dport.to_bytes(2)
    return rss_type, bit_by_bit(MICROSOFT_KEY, data)


def hashed(packet: Packet | bytes, fields: str = "5-tuple", key: bytes = MICROSOFT_KEY) -> tuple[int, int]:
    return hash_frame(bytes(packet), key, fields)


@pytest.mark.parametrize(("target", "dport", "source", "sport", "addresses", "ports"), PUBLISHED)
def test_published_vectors(target: str, dport: int, source: str, sport: int, addresses: int, ports: int) -> None:
    network = IPv6 if ":" in target else IP
    frame = ether / network(src=source, dst=target) / TCP(sport=sport, dport=dport)
    tcp, plain = (abi.RSS_TCP_IPV6, abi.RSS_IPV6) if ":" in target else (abi.RSS_TCP_IPV4, abi.RSS_IPV4)
    assert hashed(frame) == (tcp, ports)
    assert hashed(frame, "ip-pair") == (plain, addresses)
    assert bit_by_bit(MICROSOFT_KEY, packed(source) + packed(target)) == addresses


TCP4 = with_ports(abi.RSS_TCP_IPV4, A4, B4, 1234, 80)
UDP4 = with_ports(abi.RSS_UDP_IPV4, A4, B4, 1234, 53)
TCP6 = with_ports(abi.RSS_TCP_IPV6, A6, B6, 1234, 80)
UDP6 = with_ports(abi.RSS_UDP_IPV6, A6, B6, 1234, 53)
NONE = (abi.RSS_NONE, 0)

tcp, udp = TCP(sport=1234, dport=80), UDP(sport=1234, dport=53)
ip4, ip6 = IP(src=A4, dst=B4), IPv6(src=A6, dst=B6)

FRAMES = {
    "tcp4": (ether / ip4 / tcp, TCP4, pair(A4, B4)),
    "udp4": (ether / ip4 / udp / b"query", UDP4, pair(A4, B4)),
    "tcp6": (ether / ip6 / tcp, TCP6, pair(A6, B6)),
    "udp6": (ether / ip6 / udp, UDP6, pair(A6, B6)),
    "icmp4": (ether / ip4 / ICMP(), pair(A4, B4), pair(A4, B4)),
    "sctp4": (ether / IP(src=A4, dst=B4, proto=132) / Raw(bytes(12)), pair(A4, B4), pair(A4, B4)),
    "no next header 6": (ether / IPv6(src=A6, dst=B6, nh=59), pair(A6, B6), pair(A6, B6)),
    "options": (ether / IP(src=A4, dst=B4, options=b"\x01" * 12) / tcp, TCP4, pair(A4, B4)),
    "most options": (ether / IP(src=A4, dst=B4, options=b"\x01" * 40) / udp, UDP4, pair(A4, B4)),
    "vlan": (ether / Dot1Q(vlan=7) / ip4 / tcp, TCP4, pair(A4, B4)),
    "vlan 6": (ether / Dot1Q(vlan=7) / ip6 / udp, UDP6, pair(A6, B6)),
    "two tags": (ether / Dot1Q(vlan=7) / Dot1Q(vlan=8) / ip4 / tcp, NONE, NONE),
    "provider tag": (ether / Dot1AD(vlan=7) / ip4 / tcp, NONE, NONE),
    "arp": (ether / ARP(), NONE, NONE),
    "first fragment": (ether / IP(src=A4, dst=B4, flags="MF") / tcp, pair(A4, B4), pair(A4, B4)),
    "last fragment": (ether / IP(src=A4, dst=B4, frag=5, proto=6) / Raw(bytes(40)), pair(A4, B4), pair(A4, B4)),
    "do not fragment": (ether / IP(src=A4, dst=B4, flags="DF") / tcp, TCP4, pair(A4, B4)),
    "hop by hop": (ether / ip6 / IPv6ExtHdrHopByHop() / tcp, TCP6, pair(A6, B6)),
    "all extensions": (
        ether / ip6 / IPv6ExtHdrHopByHop() / IPv6ExtHdrDestOpt(options=[PadN(optdata=bytes(20))])
        / IPv6ExtHdrRouting(addresses=["2001:db8::99"]) / IPv6ExtHdrDestOpt() / udp,
        UDP6,
        pair(A6, B6),
    ),
    "first fragment 6": (ether / ip6 / IPv6ExtHdrFragment(m=1) / tcp, pair(A6, B6), pair(A6, B6)),
    "atomic fragment 6": (ether / ip6 / IPv6ExtHdrFragment() / udp, pair(A6, B6), pair(A6, B6)),
    "fragment behind options": (
        ether / ip6 / IPv6ExtHdrHopByHop() / IPv6ExtHdrFragment(offset=3) / tcp, pair(A6, B6), pair(A6, B6),
    ),
    "ihl 4": (ether / IP(src=A4, dst=B4, ihl=4) / tcp, NONE, NONE),
    "version 5": (ether / IP(src=A4, dst=B4, version=5) / tcp, NONE, NONE),
    "version 4 as 6": (ether / IPv6(src=A6, dst=B6, version=4) / tcp, NONE, NONE),
    "total length too short": (ether / IP(src=A4, dst=B4, len=10) / tcp, pair(A4, B4), pair(A4, B4)),
    "total length unknown": (ether / IP(src=A4, dst=B4, len=0) / tcp, TCP4, pair(A4, B4)),
    "ports in the padding": (
        ether / IP(src=A4, dst=B4, len=20, proto=17) / Raw(bytes(26)), pair(A4, B4), pair(A4, B4),
    ),
    "ports beyond 6": (ether / IPv6(src=A6, dst=B6, plen=2, nh=17) / Raw(bytes(26)), pair(A6, B6), pair(A6, B6)),
    "payload unknown 6": (ether / IPv6(src=A6, dst=B6, plen=0, nh=6) / tcp, TCP6, pair(A6, B6)),
}  # fmt: skip


@pytest.mark.parametrize("name", FRAMES)
def test_what_is_hashed(name: str) -> None:
    frame, five_tuple, ip_pair = FRAMES[name]
    assert hashed(frame) == five_tuple
    assert hashed(frame, "ip-pair") == ip_pair


@pytest.mark.parametrize(("headers", "found"), [(MAX_EXTENSIONS, True), (MAX_EXTENSIONS + 1, False)])
def test_extension_headers_are_bounded(headers: int, found: bool) -> None:
    packet = ether / ip6
    for _ in range(headers):
        packet /= IPv6ExtHdrDestOpt()
    assert hashed(packet / tcp) == (TCP6 if found else pair(A6, B6))


# Where the addresses, and where the ports, are all there.
TRUNCATED = {
    "tcp4": (34, 38),
    "vlan 6": (58, 62),
    "most options": (34, 78),
    "hop by hop": (54, 66),
    "first fragment": (34, 9999),
}


@pytest.mark.parametrize("name", TRUNCATED)
def test_truncated_at_each_length(name: str) -> None:
    addresses_at, ports_at = TRUNCATED[name]
    packet, whole, addresses = FRAMES[name]
    frame = bytes(packet)
    for length in range(len(frame) + 1):
        expected = NONE if length < addresses_at else addresses if length < ports_at else whole
        assert hashed(frame[:length]) == expected, f"at {length}"


GUARDED = """
import ctypes, mmap, sys
import numpy as np
from zcframe.framework.rss import MICROSOFT_KEY, field_mask
from zcframe.framework.rss import toeplitz
memory = mmap.mmap(-1, 2 * mmap.PAGESIZE)
start = np.frombuffer(memory, np.uint8).ctypes.data
libc = ctypes.CDLL(None, use_errno=True)
assert libc.mprotect(ctypes.c_void_p(start + mmap.PAGESIZE), mmap.PAGESIZE, 0) == 0
tables = toeplitz.toeplitz_tables(MICROSOFT_KEY)
for line in sys.stdin:
    frame = bytes.fromhex(line)
    for length in range(len(frame) + 1):
        memory[mmap.PAGESIZE - length : mmap.PAGESIZE] = frame[:length]
        toeplitz._hash_at(start + mmap.PAGESIZE - length, length, tables.ctypes.data, field_mask("5-tuple"))
print("done")
"""


def test_never_reads_past_the_end() -> None:
    frames = "\n".join(bytes(packet).hex() for packet, _, _ in FRAMES.values())
    outcome = subprocess.run([sys.executable, "-c", GUARDED], input=frames, capture_output=True, text=True, check=False)
    assert (outcome.returncode, outcome.stdout) == (0, "done\n"), outcome.stderr


@pytest.mark.parametrize(
    ("mask", "of_tcp", "of_udp"),
    [
        (FIELD_IP, pair(A4, B4), pair(A4, B4)),
        (FIELD_IP | FIELD_TCP, TCP4, pair(A4, B4)),  # as Linux sets the NIC up
        (FIELD_IP | FIELD_UDP, pair(A4, B4), UDP4),
    ],
)
def test_ports_are_asked_for_by_protocol(mask: int, of_tcp: tuple[int, int], of_udp: tuple[int, int]) -> None:
    tables = toeplitz_tables(MICROSOFT_KEY)
    for name, expected in (("tcp4", of_tcp), ("udp4", of_udp)):
        frame = np.frombuffer(bytes(FRAMES[name][0]), np.uint8)
        found = int(toeplitz._hash_at(frame.ctypes.data, len(frame), tables.ctypes.data, mask))
        assert (found >> 32, found & 0xFFFFFFFF) == expected


def test_table_of_a_wrong_key() -> None:
    with pytest.raises(UsageError, match="39 bytes"):
        toeplitz_tables(bytes(39))


def test_table_shape() -> None:
    tables = toeplitz_tables(MICROSOFT_KEY)
    assert tables.shape == (36 * 256 + 1,) and tables.dtype == "uint32" and tables.flags.c_contiguous


def dpkt_hash(frame: bytes, key: bytes = MICROSOFT_KEY) -> tuple[int, int] | None:
    """The same by dpkt's reading of the frame; None where dpkt cannot read a TCP or UDP header that is cut short."""
    ethernet = dpkt.ethernet.Ethernet(frame)
    inner = ethernet.data
    v6 = isinstance(inner, dpkt.ip6.IP6)
    if len(getattr(ethernet, "vlan_tags", [])) > 1 or not isinstance(inner, dpkt.ip.IP | dpkt.ip6.IP6):
        return NONE
    if inner.v != (6 if v6 else 4):
        return NONE
    data = inner.src + inner.dst
    fragment = 44 in inner.extension_hdrs if v6 else inner.mf or inner.offset
    transport = inner.data
    if not fragment and isinstance(transport, bytes) and inner.p in (6, 17):
        return None
    if fragment or not isinstance(transport, dpkt.tcp.TCP | dpkt.udp.UDP):
        return (abi.RSS_IPV6 if v6 else abi.RSS_IPV4), bit_by_bit(key, data)
    data += transport.sport.to_bytes(2) + transport.dport.to_bytes(2)
    of_tcp, of_udp = (abi.RSS_TCP_IPV6, abi.RSS_UDP_IPV6) if v6 else (abi.RSS_TCP_IPV4, abi.RSS_UDP_IPV4)
    return (of_tcp if isinstance(transport, dpkt.tcp.TCP) else of_udp), bit_by_bit(key, data)


def ethernet_frames(file: Path) -> Iterator[bytes]:
    with file.open("rb") as stream:
        try:
            reader = dpkt.pcap.UniversalReader(stream)
        except (ValueError, dpkt.Error):
            return
        if reader.datalink() == dpkt.pcap.DLT_EN10MB:
            yield from (frame for _, frame in reader)


# Of the periods that keys may have, one is folded: the others must not be.
KEYS = [bytes.fromhex("6d5a") * 20, b"\x01\xfe" * 20, b"\x5a" * 40, bytes.fromhex("6d5a6d5b") * 10, bytes(40)]


@pytest.mark.parametrize("key", [*KEYS, KEYS[0][:-1] + b"\x5b"])
def test_keys_that_repeat_themselves(key: bytes) -> None:
    compared = 0
    for packet, found, _ in FRAMES.values():
        # Where dpkt reads the same out of the frame as we do.
        if found != NONE and dpkt_hash(bytes(packet)) == found:
            assert hashed(packet, key=key) == dpkt_hash(bytes(packet), key)
            compared += 1
    assert compared > 10


@pytest.mark.parametrize("key", [MICROSOFT_KEY, KEYS[0]])
def test_real_captures_against_dpkt(key: bytes) -> None:
    if not CAPTURES.is_dir():
        pytest.skip(f"no captures at {CAPTURES}")
    compared = unread = 0
    for file in sorted(CAPTURES.iterdir()):
        for number, frame in enumerate(ethernet_frames(file)):
            expected = dpkt_hash(frame, key)
            if expected is None:
                unread += 1
                continue
            compared += 1
            assert hashed(frame, key=key) == expected, f"{file.name}: frame {number}"
    assert compared > 1000 > unread
