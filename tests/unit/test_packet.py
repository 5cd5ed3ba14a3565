"""Attributes of `pkt` against dpkt's and scapy's reading of the same frames, cut at every length too."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dpkt
import pytest
from scapy.compat import raw
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import (
    ICMPv6EchoRequest,
    IPv6,
    IPv6ExtHdrDestOpt,
    IPv6ExtHdrFragment,
    IPv6ExtHdrHopByHop,
    IPv6ExtHdrRouting,
    PadN,
)
from scapy.layers.l2 import ARP, GRE, Dot1AD, Dot1Q, Ether
from scapy.layers.sctp import SCTP
from scapy.packet import Packet, Raw

from tests.kit.places import BUNDLED
from tests.kit.probe import Probe
from tests.kit.rig import read_capture
from zcframe.framework import abi
from zcframe.framework.packet.value import DOCS
from zcframe.framework.state.addresses import ip_text

SRC, DST = "02:00:00:00:00:01", "02:0a:0b:0c:0d:0e"
ether = Ether(src=SRC, dst=DST)
A4, B4 = "10.1.2.3", "192.168.7.200"
A6, B6 = "2001:db8::17", "fd00:1:2:3:4:5:6:7"
ip4, ip6 = IP(src=A4, dst=B4, ttl=61), IPv6(src=A6, dst=B6, hlim=62)
tcp = TCP(sport=1234, dport=80, flags="SAEC", seq=0xDEADBEEF, ack=0xFEEDF00D, window=4321)
udp = UDP(sport=1234, dport=53)
data = Raw(bytes(range(40)))


def at_scapy(frame: Packet) -> dict[str, Any]:
    """What scapy built, as the attributes say it; absent ones are 0."""
    found: dict[str, Any] = {"eth_src": int(SRC.replace(":", ""), 16), "eth_dst": int(DST.replace(":", ""), 16)}
    tags = [layer for layer in frame.iterpayloads() if isinstance(layer, Dot1Q | Dot1AD)][:2]
    found["vlan_count"] = len(tags)
    found["vlan"], found["vlan2"] = ([tag.vlan for tag in tags] + [0, 0])[:2]
    for network, version, lifetime in ((IP, 4, "ttl"), (IPv6, 6, "hlim")):
        if network in frame:
            found |= {"ip_version": version, "ttl": getattr(frame[network], lifetime)}
            found |= {"src": frame[network].src, "dst": frame[network].dst}
    transport = next((layer for layer in frame.iterpayloads() if isinstance(layer, TCP | UDP | SCTP)), None)
    if transport is not None:
        found |= {"sport": transport.sport, "dport": transport.dport}
    if TCP in frame:
        layer = frame[TCP]
        found |= {"tcp_flags": int(layer.flags), "tcp_seq": layer.seq, "tcp_ack": layer.ack}
        found["tcp_window"] = layer.window
    return found


L4 = (TCP, UDP, SCTP, ICMP, ICMPv6EchoRequest, GRE)

FRAMES: dict[str, tuple[Packet, dict[str, int]]] = {
    "tcp4": (ether / ip4 / tcp / data, {"proto": 6, "ethertype": 0x800, "len(payload)": 40}),
    "tcp4 with options": (ether / ip4 / TCP(options=[("MSS", 1460), ("NOP", None)]) / data, {"len(payload)": 40}),
    "udp4": (ether / ip4 / udp / data, {"proto": 17, "len(payload)": 40}),
    "udp4 without payload": (ether / ip4 / udp, {"proto": 17, "len(payload)": 0}),
    "udp4, padded": (ether / ip4 / udp / b"four" / Raw(b""), {"len(payload)": 4}),
    "ip options": (ether / IP(src=A4, dst=B4, options=b"\x01" * 24) / udp / data, {"len(payload)": 40}),
    "icmp": (ether / ip4 / ICMP(type=11, code=1) / data, {"proto": 1, "icmp": 11 << 8 | 1, "len(payload)": 40}),
    "icmp6": (ether / ip6 / ICMPv6EchoRequest(), {"proto": 58, "icmp": 128 << 8, "len(payload)": 0}),
    "sctp": (ether / ip4 / SCTP(sport=7, dport=9) / data, {"proto": 132, "len(payload)": 40}),
    "gre": (ether / ip4 / GRE() / data, {"proto": 47, "len(payload)": 44}),
    "tcp6": (ether / ip6 / tcp / data, {"proto": 6, "ethertype": 0x86DD, "len(payload)": 40}),
    "udp6": (ether / ip6 / udp / data, {"proto": 17, "len(payload)": 40}),
    "extensions": (
        ether / ip6 / IPv6ExtHdrHopByHop() / IPv6ExtHdrDestOpt(options=[PadN(optdata=bytes(20))])
        / IPv6ExtHdrRouting(addresses=["2001:db8::99"]) / IPv6ExtHdrDestOpt() / tcp / data,
        {"proto": 6, "len(payload)": 40},
    ),
    "atomic fragment": (ether / ip6 / IPv6ExtHdrFragment() / udp / data, {"proto": 17, "len(payload)": 40}),
    "first fragment 6": (
        ether / ip6 / IPv6ExtHdrFragment(m=1) / udp / data, {"proto": 17, "is_fragment": 1, "len(payload)": 40},
    ),
    "first fragment": (
        ether / IP(src=A4, dst=B4, flags="MF") / tcp / data, {"proto": 6, "is_fragment": 1, "len(payload)": 40},
    ),
    "do not fragment": (ether / IP(src=A4, dst=B4, flags="DF") / tcp, {"is_fragment": 0}),
    "vlan": (ether / Dot1Q(vlan=100) / ip4 / tcp / data, {"ethertype": 0x800, "len(payload)": 40}),
    "vlan 0": (ether / Dot1Q(vlan=0, prio=7) / ip6 / udp, {"ethertype": 0x86DD}),
    "two tags": (ether / Dot1Q(vlan=7) / Dot1Q(vlan=4095) / ip6 / udp / data, {"ethertype": 0x86DD}),
    "provider tag": (ether / Dot1AD(vlan=200) / Dot1Q(vlan=30) / ip4 / udp / data, {"ethertype": 0x800}),
    "arp": (ether / ARP(), {"ethertype": 0x806, "len(payload)": 28}),
    "vlan arp": (ether / Dot1Q(vlan=5) / ARP(), {"ethertype": 0x806, "len(payload)": 28}),
}  # fmt: skip


def readable(found: dict[str, int]) -> dict[str, Any]:
    """The halves of the addresses put together."""
    words: dict[str, Any] = dict(found)
    for end in ("src", "dst"):
        high, low = words.pop(f"{end}_hi"), words.pop(f"{end}_lo")
        words[end] = ip_text(high, low) if found["ip_version"] else ""
    return words


@pytest.mark.parametrize("name", FRAMES)
def test_frames_that_scapy_built(name: str) -> None:
    packet, more = FRAMES[name]
    frame = raw(packet)
    found = readable(Probe(frame, rss_type=1, rss_hash=0x1234, timestamp=17, port=3).attributes())
    expected = at_scapy(Ether(frame)) | more
    expected |= {"caplen": len(frame), "wirelen": len(frame), "len(frame)": len(frame), "ts": 17, "iface": 3}
    expected |= {"rss_hash": 0x1234, "rss_type": 1, "bucket": 0x34}
    last = next((layer for layer in L4 if layer in packet), None)
    expected |= {"l4_len": len(raw(packet[last]))} if last else {}
    assert {key: found[key] for key in expected} == expected
    # Of these, tests/unit/test_views.py tells the others.
    given = {"ethertype", "proto", "len(payload)", "icmp", "l4_len", "len(l3)", "len(l4)", "payload_wirelen"}
    assert {key: value for key, value in found.items() if value and key not in expected and key not in given} == {}


LATER = [
    (ether / IP(src=A4, dst=B4, frag=5, proto=6) / data, 6, 40),
    (ether / IP(src=A4, dst=B4, frag=5, flags="MF", proto=17) / data, 17, 40),
    (ether / ip6 / IPv6ExtHdrFragment(nh=17, offset=3) / data, 17, 40),
]


@pytest.mark.parametrize(("packet", "proto", "length"), LATER)
def test_later_fragments_have_no_ports(packet: Packet, proto: int, length: int) -> None:
    found = Probe(raw(packet)).attributes()
    assert (found["is_fragment"], found["is_later_fragment"], found["proto"]) == (1, 1, proto)
    assert (found["sport"], found["dport"], found["tcp_flags"], found["len(payload)"]) == (0, 0, 0, length)
    assert Probe(raw(packet)).payload() == bytes(data)


LYING = {
    "ihl 4": ether / IP(src=A4, dst=B4, ihl=4) / udp / data,
    "ihl beyond the end": ether / IP(src=A4, dst=B4, ihl=15) / Raw(bytes(20)),
    "data offset 0": ether / ip4 / TCP(sport=1234, dport=80, dataofs=0) / data,
    "data offset beyond the end": ether / ip4 / TCP(sport=1234, dport=80, dataofs=15) / Raw(bytes(3)),
    "version 6 in 4": ether / IP(src=A4, dst=B4, version=6) / udp,
    "extension beyond the end": ether / ip6 / IPv6ExtHdrHopByHop(len=200) / udp,
    "endless extensions": ether / ip6 / Raw(b"") / bytes([60, 0, *[0] * 6] * 20),
}


@pytest.mark.parametrize("name", LYING)
def test_lengths_that_lie(name: str) -> None:
    """No attribute reaches outside the frame: decode's offsets are ordered and within it."""
    frame = raw(LYING[name])
    for length in range(len(frame) + 1):
        offsets, _ = Probe(frame[:length]).decoded()
        l3, l4, payload, end = (offsets >> shift & 0xFFFF for shift in (0, 16, 32, 48))
        assert 0 <= payload <= end <= length
        assert l3 <= end or l3 <= length
        assert l4 <= end


def test_total_lengths_bound_the_payload_and_zero_is_unknown() -> None:
    def length_of(packet: Packet) -> int:
        return Probe(raw(packet)).attributes()["len(payload)"]

    assert length_of(ether / IP(src=A4, dst=B4, len=38) / udp / data) == 10
    assert length_of(ether / IP(src=A4, dst=B4, len=0) / udp / data) == 40
    assert length_of(ether / IP(src=A4, dst=B4, len=60000) / udp / data) == 40
    assert length_of(ether / IPv6(src=A6, dst=B6, plen=18) / udp / data) == 10
    assert length_of(ether / IPv6(src=A6, dst=B6, plen=0, nh=17) / udp / data) == 40


# Where each attribute lies: bytes of the frame that must be there, from the start of the named header.
NEEDS = {
    "eth_src": ("l2", 14), "eth_dst": ("l2", 14), "ip_version": ("l3", 0), "ttl": ("l3", 0), "sport": ("l4", 4),
    "src_hi": ("l3", 0), "src_lo": ("l3", 0), "dst_hi": ("l3", 0), "dst_lo": ("l3", 0), "dport": ("l4", 4),
    "tcp_flags": ("l4", 20), "tcp_seq": ("l4", 20), "tcp_ack": ("l4", 20), "tcp_window": ("l4", 20), "icmp": ("l4", 2),
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "l3", "l4"),
    [
        ("tcp4", 14, 34), ("udp4", 14, 34), ("icmp", 14, 34), ("sctp", 14, 34), ("ip options", 14, 58), ("tcp6", 14, 54),
        ("udp6", 14, 54), ("icmp6", 14, 54), ("vlan", 18, 38), ("provider tag", 22, 42), ("two tags", 22, 62),
    ],
)  # fmt: skip
def test_cut_at_every_length(name: str, l3: int, l4: int) -> None:
    """An attribute is there when its header's bytes are, else 0; addresses need the whole fixed IP header."""
    frame = raw(FRAMES[name][0])
    whole = Probe(frame).attributes()
    fixed = 20 if whole["ip_version"] == 4 else 40
    starts = {"l2": 0, "l3": l3 + fixed, "l4": l4}
    for length in range(len(frame) + 1):
        found = Probe(frame[:length], wire=len(frame)).attributes()
        for key, (header, size) in NEEDS.items():
            there = length >= starts[header] + size
            assert found[key] == (whole[key] if there else 0), (key, length)
        assert (found["len(frame)"], found["caplen"], found["wirelen"]) == (length, length, len(frame))
        begin = len(frame) - whole["len(payload)"]
        assert found["len(payload)"] == max(0, length - begin) or found["ip_version"] == 0


def test_vlan_that_the_nic_stripped() -> None:
    frame = raw(ether / Dot1Q(vlan=8) / ip4 / udp)
    found = Probe(frame, status=abi.STATUS_VLAN, vlan_tci=0xE007).attributes()
    assert (found["vlan"], found["vlan2"], found["vlan_count"]) == (7, 8, 2)
    plain = Probe(raw(ether / ip4 / udp), status=abi.STATUS_VLAN, vlan_tci=9).attributes()
    assert (plain["vlan"], plain["vlan2"], plain["vlan_count"], plain["sport"]) == (9, 0, 1, 1234)


def test_packets_without_hash_are_of_bucket_128() -> None:
    assert Probe(raw(ether / ARP()), rss_hash=5).attributes()["bucket"] == 128
    assert Probe(raw(ether / ARP()), rss_hash=0xFFFFFF85, rss_type=2).attributes()["bucket"] == 5


def big_endian(octets: bytes, at: int, size: int) -> int:
    """`size` bytes from `at` on, with zeros where there are none."""
    return int.from_bytes(octets[at : at + size].ljust(size, b"\0"))


@pytest.mark.parametrize("view", ["frame", "payload"])
@pytest.mark.parametrize("size", [0, 1, 2, 3, 4, 5, 40])
def test_views_read_0_past_their_end(view: str, size: int) -> None:
    frame = raw(ether / ip4 / udp / Raw(bytes(range(1, size + 1))))
    octets = frame if view == "frame" else frame[42:]
    padded = frame + b"\xff" * 64
    probe = Probe(padded[: len(frame)])
    found = probe.read(view, 0, len(octets) + 8)
    assert found == [tuple(big_endian(octets, at, size) for size in (1, 2, 4)) for at in range(len(octets) + 8)]


@pytest.mark.parametrize("at", [-1, -4, -(2**62), 2**62, 2**63 - 5, -(2**63)])
def test_views_read_0_at_absurd_places(at: int) -> None:
    probe = Probe(raw(ether / ip4 / udp / data))
    assert probe.read("payload", at, 1)[0][0] == 0
    if abs(at) > 4:
        assert probe.read("payload", at, 4) == [(0, 0, 0)] * 4


def at_dpkt(frame: bytes) -> dict[str, Any] | None:
    """What dpkt makes of a frame; None where it has no opinion."""
    try:
        eth = dpkt.ethernet.Ethernet(frame)
    except dpkt.UnpackError:
        return None
    found: dict[str, Any] = {"eth_src": int.from_bytes(eth.src), "eth_dst": int.from_bytes(eth.dst)}
    ip = eth.data
    if not isinstance(ip, dpkt.ip.IP | dpkt.ip6.IP6):
        return found | {"ip_version": 0} if isinstance(ip, dpkt.arp.ARP) else found
    found |= {"ip_version": 4 if isinstance(ip, dpkt.ip.IP) else 6, "src": str(ipaddress.ip_address(ip.src))}
    found |= {"dst": str(ipaddress.ip_address(ip.dst)), "ttl": ip.ttl if isinstance(ip, dpkt.ip.IP) else ip.hlim}
    layer = ip.data
    if isinstance(layer, dpkt.tcp.TCP):
        found |= {"sport": layer.sport, "dport": layer.dport, "tcp_flags": layer.flags & 0xFF, "tcp_seq": layer.seq}
        found |= {"tcp_ack": layer.ack, "tcp_window": layer.win, "proto": 6}
    elif isinstance(layer, dpkt.udp.UDP):
        found |= {"sport": layer.sport, "dport": layer.dport, "tcp_flags": 0, "proto": 17}
    return found


def compared(frames: Iterator[bytes]) -> int:
    count = 0
    for frame in frames:
        expected = at_dpkt(frame)
        if expected is not None:
            found = readable(Probe(frame).attributes())
            assert {key: found[key] for key in expected} == expected, frame.hex()
            count += 1
    return count


def test_bundled_trace() -> None:
    assert compared(frame.data for frame in read_capture(BUNDLED)) > 8000


@pytest.mark.needs("captures")
@pytest.mark.parametrize(
    "name", ["443-firefox.pcap", "ftp.pcap", "6in4tunnel.pcap", "synscan.pcap", "bad-dns-traffic.pcap"]
)
def test_real_captures(captures: Path, name: str) -> None:
    assert compared(frame.data for frame in read_capture(captures / name)) > 10


def test_tcp_payload_of_the_bundled_trace() -> None:
    """Payloads are dpkt's, byte for byte, also where the Ethernet frame is padded."""
    count = 0
    for frame in read_capture(BUNDLED):
        ip = dpkt.ethernet.Ethernet(frame.data).data
        if isinstance(getattr(ip, "data", None), dpkt.tcp.TCP) and len(frame.data) <= 400:
            assert Probe(frame.data).payload() == bytes(ip.data.data)
            count += 1
    assert count > 1000


def test_every_attribute_is_documented() -> None:
    assert all(text and text[0] != " " for text in DOCS.values())
    assert len(DOCS) > 25
