"""Community IDs: ports belong into those of TCP, UDP, SCTP (also where both are 0) and ICMP, and of no other protocol."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any

import communityid
from scapy.compat import raw
from scapy.layers.inet import ICMP, TCP, UDP
from scapy.layers.inet6 import (
    ICMPv6DestUnreach,
    ICMPv6EchoReply,
    ICMPv6EchoRequest,
    ICMPv6ND_NA,
    ICMPv6ND_NS,
)
from scapy.layers.sctp import SCTP
from scapy.packet import Raw

from . import readers
from .case import Case, Files, Flow, Kind
from .frames import capture, ends, ether, flow, ip

SPECIFICATION = "the specification (corelight/community-id-spec), by the communityid package and by tshark"
WITHOUT_PORTS = "the specification: 'Other IP-borne protocols: IP src / IP dst / IP proto'; by the communityid package"
GRE, DCCP, UDP_LITE, ESP, OSPF = 47, 33, 136, 50, 89
UNREACHABLE, PORT, UNREACHABLE_6, PORT_6 = 3, 3, 1, 4


def identity(flow: Flow, *, ports: bool = True) -> str:
    """What the communityid package computes."""
    more = (flow.sport, flow.dport) if ports else ()
    found: str = communityid.CommunityID().calc(communityid.FlowTuple(flow.proto, flow.src, flow.dst, *more))
    return found


def identities(*flows: Flow, ports: bool = True) -> frozenset[str]:
    return frozenset(identity(each, ports=ports) for each in flows)


def icmp_identities(host: int, *messages: tuple[int, int], v6: bool = False) -> frozenset[str]:
    """Of types and codes from the client, as the package pairs them."""
    make = communityid.FlowTuple.make_icmp6 if v6 else communityid.FlowTuple.make_icmp
    return frozenset(communityid.CommunityID().calc(make(*ends(host, v6=v6), *message)) for message in messages)


def dccp(sport: int, dport: int) -> Raw:
    """A DCCP-Request (RFC 4340, 5.1): ports, data offset, CCVal, checksum, type 0 with long numbers, service code."""
    return Raw(struct.pack(">HHBBHB", sport, dport, 5, 0, 0, 1) + bytes(7) + bytes(4))


ZEROS = (flow(1, 0, 0, 6), flow(1, 0, 0, 17), flow(1, 0, 0, 6, v6=True), flow(1, 0, 7, 6))
OTHER_ZEROS = (flow(2, 0, 0, 132), flow(2, 0, 0, 132, v6=True), flow(2, 0, 0, 17, v6=True), flow(2, 7, 0, 17))
OTHERS = (flow(3, 7, 80, UDP_LITE), flow(3, 7, 80, DCCP), flow(3, 0, 0, GRE))
OTHERS_6 = (flow(4, 7, 80, UDP_LITE, v6=True), flow(4, 0, 0, OSPF, v6=True), flow(4, 0, 0, ESP, v6=True))

CASES = (
    Case(
        name="community-id-ports-zero",
        what="TCP and UDP with both ports 0, as scanners send them, and one with one port 0",
        why=SPECIFICATION,
        reported=("zeek/zeek#4036", "corelight/pycommunityid#8"),
        files=capture([
            ether / ip(1) / TCP(sport=0, dport=0, flags="S"), ether / ip(1) / UDP(sport=0, dport=0),
            ether / ip(1, v6=True) / TCP(sport=0, dport=0, flags="S"), ether / ip(1) / TCP(sport=0, dport=7, flags="S"),
        ]),
        flows=ZEROS,
        ids=identities(*ZEROS),
    ),
    Case(
        name="ports-zero-elsewhere",
        what="SCTP with both ports 0, UDP of IPv6, and a client's port with the server's 0",
        why=SPECIFICATION,
        files=capture([
            ether / ip(2) / SCTP(sport=0, dport=0), ether / ip(2, v6=True) / SCTP(sport=0, dport=0),
            ether / ip(2, v6=True) / UDP(sport=0, dport=0), ether / ip(2) / UDP(sport=7, dport=0),
        ]),
        flows=OTHER_ZEROS,
        ids=identities(*OTHER_ZEROS),
    ),
    Case(
        name="community-id-other-protocols",
        what="UDP-Lite and DCCP have ports, but not in their ID; GRE for comparison",
        why=WITHOUT_PORTS,
        reported=("zeek/zeek#4036",),
        files=capture([
            ether / ip(3, proto=UDP_LITE) / Raw(struct.pack(">HHHH", 7, 80, 8, 0)), ether / ip(3, proto=DCCP) / dccp(7, 80),
            ether / ip(3, proto=GRE) / Raw(b"\0\0\x88\x64" + bytes(20)),
        ]),
        flows=OTHERS,
        ids=identities(*OTHERS, ports=False),
    ),
    Case(
        name="other-protocols-of-ipv6",
        what="UDP-Lite, OSPF and ESP of IPv6",
        why=WITHOUT_PORTS,
        files=capture([
            ether / ip(4, v6=True, nh=UDP_LITE) / Raw(struct.pack(">HHHH", 7, 80, 8, 0)),
            ether / ip(4, v6=True, nh=OSPF) / Raw(b"\3\1\0\x10" + bytes(12)),
            ether / ip(4, v6=True, nh=ESP) / Raw(bytes(24)),
        ]),
        flows=OTHERS_6,
        ids=identities(*OTHERS_6, ports=False),
    ),
    Case(
        name="icmp-kinds",
        what="echo request and reply, then a port unreachable between the same hosts: two flows",
        why=f"{SPECIFICATION}: types that ask and answer are one flow, an error is another",
        reported=("ntop/PF_RING#982", "CESNET/Nemea-Modules#18", "idlab-discover/RustiFlow#74"),
        files=capture([
            ether / ip(5) / ICMP(type=8, id=1, seq=1) / bytes(8), ether / ip(5, back=True) / ICMP(type=0, id=1, seq=1) / bytes(8),
            ether / ip(5) / ICMP(type=UNREACHABLE, code=PORT) / raw(ip(5, back=True) / UDP(sport=9, dport=9)),
        ]),
        flows=(flow(5, 8, 0, 1, 2), flow(5, UNREACHABLE, PORT, 1)),
        ids=icmp_identities(5, (8, 0), (UNREACHABLE, PORT)),
    ),
    Case(
        name="icmpv6-kinds",
        what="the same of ICMPv6, and a neighbour's solicitation with its advertisement",
        why=SPECIFICATION,
        files=capture([
            ether / ip(6, v6=True) / ICMPv6EchoRequest(id=1), ether / ip(6, v6=True, back=True) / ICMPv6EchoReply(id=1),
            ether / ip(6, v6=True) / ICMPv6ND_NS(tgt=ends(6, v6=True)[1]),
            ether / ip(6, v6=True, back=True) / ICMPv6ND_NA(tgt=ends(6, v6=True)[1]),
            ether / ip(6, v6=True) / ICMPv6DestUnreach(code=PORT_6) / raw(ip(6, v6=True, back=True) / UDP(sport=9, dport=9)),
        ]),
        flows=(flow(6, 128, 129, 58, 2, v6=True), flow(6, 135, 136, 58, 2, v6=True), flow(6, UNREACHABLE_6, PORT_6, 58, v6=True)),
        ids=icmp_identities(6, (128, 0), (135, 0), (UNREACHABLE_6, PORT_6), v6=True),
    ),
    Case(
        name="icmp-other-pairs",
        what="timestamp and its reply, a router's solicitation and advertisement, time exceeded in both directions",
        why=SPECIFICATION,
        files=capture([
            ether / ip(7) / ICMP(type=13), ether / ip(7, back=True) / ICMP(type=14),
            ether / ip(7) / ICMP(type=10) / bytes(4), ether / ip(7, back=True) / ICMP(type=9) / bytes(8),
            ether / ip(7) / ICMP(type=11) / raw(ip(7, back=True) / UDP(sport=9, dport=9)),
        ]),
        flows=(flow(7, 13, 14, 1, 2), flow(7, 10, 9, 1, 2), flow(7, 11, 0, 1)),
        ids=icmp_identities(7, (13, 0), (10, 0), (11, 0)),
    ),
)  # fmt: skip


def unknown_to_tshark(flow: Flow) -> bool:
    """It takes the ports into UDP-Lite's, and gives no ID to what has no ports in IPv6."""
    return flow.proto == UDP_LITE or (":" in flow.src and flow.proto in (OSPF, ESP))


def same_ids(files: Files, document: Mapping[str, Any]) -> None:
    """All that tshark knows."""
    unknown = [flow for case in CASES for flow in case.flows if unknown_to_tshark(flow)]
    without = identities(*unknown, ports=False)
    ours = readers.flows_of(document)
    theirs = readers.flows_by_tshark(files, shown="communityid && !udplite")
    assert len(without) == len(unknown) == 4
    assert {name: seen for name, seen in ours.items() if name not in without} == theirs


KIND = Kind("community-ids", CASES, "flows?top=1000", same_ids)
