"""Small frames for tests of plugins, as bytes with true lengths and checksums. For all else there is scapy."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, ip_address
from os import PathLike
from pathlib import Path
from typing import Final

ETH_IPV4: Final = 0x0800
ETH_IPV6: Final = 0x86DD
TCP: Final = 6
UDP: Final = 17
FLAGS: Final = {letter: 1 << bit for bit, letter in enumerate("FSRPAUEC")}

DLT_EN10MB: Final = 1
PCAP_NS: Final = 0xA1B23C4D
SNAPLEN: Final = 262144


def ethernet(
    payload: bytes = b"",
    *,
    ethertype: int = ETH_IPV4,
    src: str = "02:00:00:00:00:01",
    dst: str = "02:00:00:00:00:02",
    vlan: int | None = None,
) -> bytes:
    """An Ethernet frame without FCS. vlan: id of an 802.1Q tag."""
    tag = b"" if vlan is None else struct.pack("!HH", 0x8100, vlan)
    macs = b"".join(bytes.fromhex(mac.replace(":", "")) for mac in (dst, src))
    return macs + tag + struct.pack("!H", ethertype) + payload


def _checksum(data: bytes) -> int:
    """The Internet checksum (RFC 1071)."""
    words: int = sum(struct.unpack(f"!{len(data) // 2}H", data[: len(data) & ~1]))
    words += data[-1] << 8 if len(data) % 2 else 0
    while words >> 16:
        words = (words & 0xFFFF) + (words >> 16)
    return ~words & 0xFFFF


def ip(
    payload: bytes = b"",
    *,
    src: str = "10.0.0.1",
    dst: str = "10.0.0.2",
    proto: int = 253,
    ttl: int = 64,
    vlan: int | None = None,
) -> bytes:
    """An IPv4 or IPv6 packet in an Ethernet frame, by the version of the addresses. vlan: as for `ethernet`."""
    source, target = ip_address(src), ip_address(dst)
    if source.version != target.version:
        raise ValueError(f"{src} and {dst} are addresses of two versions of IP")
    if source.version == 6:
        head = struct.pack("!IHBB", 6 << 28, len(payload), proto, ttl)
        return ethernet(head + source.packed + target.packed + payload, ethertype=ETH_IPV6, vlan=vlan)
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(payload), 0, 0, ttl, proto, 0) + source.packed + target.packed
    head = head[:10] + struct.pack("!H", _checksum(head)) + head[12:]
    return ethernet(head + payload, vlan=vlan)


def _summed(segment: bytes, at: int, src: str, dst: str, proto: int) -> bytes:
    """The segment with its checksum, over the pseudo header of IP, in the two bytes at `at`."""
    ends: list[IPv4Address | IPv6Address] = [ip_address(src), ip_address(dst)]
    pseudo = b"".join(end.packed for end in ends) + struct.pack("!II", len(segment), proto)
    # In UDP, 0 says that there is none.
    found = _checksum(pseudo + segment) or 0xFFFF
    return segment[:at] + struct.pack("!H", found) + segment[at + 2 :]


def udp(
    payload: bytes = b"",
    *,
    src: str = "10.0.0.1",
    dst: str = "10.0.0.2",
    sport: int = 40000,
    dport: int = 53,
    ttl: int = 64,
    vlan: int | None = None,
) -> bytes:
    """A UDP datagram in IPv4 or IPv6 in an Ethernet frame."""
    segment = struct.pack("!HHHH", sport, dport, 8 + len(payload), 0) + payload
    return ip(_summed(segment, 6, src, dst, UDP), src=src, dst=dst, proto=UDP, ttl=ttl, vlan=vlan)


def tcp(
    payload: bytes = b"",
    *,
    src: str = "10.0.0.1",
    dst: str = "10.0.0.2",
    sport: int = 40000,
    dport: int = 80,
    flags: str = "A",
    seq: int = 0,
    ack: int = 0,
    window: int = 65535,
    ttl: int = 64,
    vlan: int | None = None,
) -> bytes:
    """A TCP segment in IPv4 or IPv6 in an Ethernet frame. flags: letters of FSRPAUEC, such as "SA"."""
    unknown = set(flags) - FLAGS.keys()
    if unknown:
        raise ValueError(f"flags {flags!r}: letters of {''.join(FLAGS)} are needed")
    bits = sum(FLAGS[letter] for letter in set(flags))
    segment = struct.pack("!HHIIBBHHH", sport, dport, seq, ack, 5 << 4, bits, window, 0, 0) + payload
    return ip(_summed(segment, 16, src, dst, TCP), src=src, dst=dst, proto=TCP, ttl=ttl, vlan=vlan)


def write_pcap(path: str | PathLike[str], frames: Iterable[tuple[int, bytes]]) -> Path:
    """Write a pcap file of (ns since the epoch, Ethernet frame). Returns its path."""
    head = struct.pack("<IHHiIII", PCAP_NS, 2, 4, 0, 0, SNAPLEN, DLT_EN10MB)
    records = [struct.pack("<IIII", ts // 10**9, ts % 10**9, len(data), len(data)) + data for ts, data in frames]
    Path(path).write_bytes(head + b"".join(records))
    return Path(path)
