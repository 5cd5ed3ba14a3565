"""community_id(pkt) against the published vectors of the specification, and the communityid package on captures."""

from __future__ import annotations

from typing import Any

import communityid
import dpkt
import pytest
from scapy.compat import raw
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import ICMPv6ND_NS, IPv6
from scapy.layers.l2 import ARP, Ether
from scapy.layers.sctp import SCTP

from tests.kit.places import BUNDLED
from tests.kit.rig import Frame, read_capture, run
from zcframe import PASS, Table, community_id, community_id_text, plugin, u32, u64

ether = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")


@plugin
class Ids:
    rows = Table(key={"ts": u64}, value={"a": u64, "b": u64, "c": u32, "seeded": u32}, capacity=1 << 21)

    @staticmethod
    def filter(pkt, state, params):  # type: ignore[no-untyped-def]
        row = state.rows.upsert(pkt.ts)
        if row:
            row.a, row.b, row.c = community_id(pkt)
            row.seeded = community_id(pkt, 1)[2]
        return PASS


def ids(frames: list[Frame]) -> dict[int, str]:
    """Community ID of each frame, by its time; each time is there once."""
    with run([Ids], frames, slots=1024) as rig:
        state = rig.state("ids")
        assert rig.ledger()["faulted"] == {"ids": 0} and state.lost["rows"] == 0
        return {int(row.ts): community_id_text(row.a, row.b, row.c) for row in state.rows}


# Of the specification's baseline (community-id-spec, baseline/*.out), with seed 0.
VECTORS = {
    "1:LQU9qZlK+B5F3KDmev6m5PMibrg=": IP(src="128.232.110.120", dst="66.35.250.204") / TCP(sport=34855, dport=80),
    "1:d/FP5EW3wiY1vCndhwleRRKHowQ=": IP(src="192.168.1.52", dst="8.8.8.8") / UDP(sport=54585, dport=53),
    "1:X0snYXpgwiv9TZtqg64sgzUn6Dk=": IP(src="192.168.0.89", dst="192.168.0.1") / ICMP(type=8, code=0),
    "1:jQgCxbku+pNGw8WPbEc/TS/uTpQ=": IP(src="192.168.170.8", dst="192.168.170.56") / SCTP(sport=7, dport=80),
    "1:dGHyGvjMfljg6Bppwm3bg0LO8TY=": IPv6(src="fe80::200:86ff:fe05:80da", dst="fe80::260:97ff:fe07:69ea") / ICMPv6ND_NS(),
    "1:/nQI4Rh/TtY3mf0R2gJFBkVlgS4=": IP(src="10.1.24.4", dst="10.1.12.1", proto=46) / bytes(20),
}  # fmt: skip


def _turned(packet: Any) -> Any:
    """The packet's way back."""
    packet = packet.copy()
    packet.src, packet.dst = packet.dst, packet.src
    layer = packet.payload
    if "sport" in layer.fields:
        layer.sport, layer.dport = layer.dport, layer.sport
    if isinstance(layer, ICMP):
        layer.type = 0
    return packet


def test_published_vectors_in_both_directions() -> None:
    there = [Frame(raw(ether / packet), 1000 + at) for at, packet in enumerate(VECTORS.values())]
    assert ids(there) == dict(zip(range(1000, 1000 + len(VECTORS)), VECTORS, strict=True))
    turned = {at: _turned(packet) for at, packet in enumerate(VECTORS.values()) if ICMPv6ND_NS not in packet}
    back = ids([Frame(raw(ether / packet), 1000 + at) for at, packet in turned.items()])
    assert back == {1000 + at: list(VECTORS)[at] for at in turned}


def _expected(data: bytes) -> str | None:
    """What the package says of a frame whose headers dpkt finds whole; None for another one."""
    ip = dpkt.ethernet.Ethernet(data).data
    if isinstance(ip, dpkt.ip.IP):
        proto, later = ip.p, ip.offset > 0
    elif isinstance(ip, dpkt.ip6.IP6) and not ip.extension_hdrs:
        proto, later = ip.nxt, False
    else:
        return None
    ends: tuple[Any, ...] = ()
    if isinstance(ip.data, dpkt.tcp.TCP | dpkt.udp.UDP | dpkt.sctp.SCTP) and not later:
        ends = (ip.data.sport, ip.data.dport)
    elif isinstance(ip.data, dpkt.icmp.ICMP | dpkt.icmp6.ICMP6) and not later:
        ends = (ip.data.type, ip.data.code)
    elif proto in (1, 6, 17, 58, 132):
        return None
    return str(communityid.CommunityID().calc(communityid.FlowTuple(proto, ip.src, ip.dst, *ends)))


def test_each_frame_of_the_bundled_trace_has_the_id_of_the_package() -> None:
    frames = [frame._replace(ts=at) for at, frame in enumerate(read_capture(BUNDLED))]
    found = ids(frames)
    expected = {at: wanted for at, frame in enumerate(frames) if (wanted := _expected(frame.data)) is not None}
    assert len(expected) > 7000
    assert {at: found[at] for at in expected} == expected


def test_each_type_of_icmp_is_as_the_package_has_it() -> None:
    calculate = communityid.CommunityID().calc
    packets = {}
    for kind in range(256):
        for code in (0, 3):
            four = IP(src="10.0.0.2", dst="10.0.0.1") / ICMP(type=kind, code=code)
            six = IPv6(src="2001:db8::2", dst="2001:db8::1", nh=58) / bytes([kind, code, 0, 0, 0, 0, 0, 0])
            packets[calculate(communityid.FlowTuple.make_icmp("10.0.0.2", "10.0.0.1", kind, code)), kind, code] = four
            packets[
                calculate(communityid.FlowTuple.make_icmp6("2001:db8::2", "2001:db8::1", kind, code)), kind, code
            ] = six
    found = ids([Frame(raw(ether / packet), at) for at, packet in enumerate(packets.values())])
    assert found == {at: wanted for at, (wanted, _, _) in enumerate(packets)}


def test_seeds_and_packets_without_ip() -> None:
    packet = ether / next(iter(VECTORS.values()))
    with run([Ids], [Frame(raw(packet), 1), Frame(raw(ether / ARP()), 2)]) as rig:
        one, arp = sorted(rig.state("ids").rows, key=lambda row: int(row.ts))
    seeded = communityid.CommunityID(seed=1).calc(
        communityid.FlowTuple.make_tcp("128.232.110.120", "66.35.250.204", 34855, 80)
    )
    assert community_id_text(0, 0, one.seeded)[-6:] == seeded[-6:]
    assert (arp.a, arp.b, arp.c) == (0, 0, 0)


def test_it_is_for_compiled_code() -> None:
    with pytest.raises(TypeError, match="call it in filter"):
        community_id(None)
