"""IP behind headers that are neither Ethernet's nor one VLAN tag: such packets were in no flow, and nothing said so."""

from __future__ import annotations

from scapy.compat import raw
from scapy.contrib.mpls import MPLS
from scapy.layers.inet import TCP, UDP
from scapy.layers.inet6 import IPv6ExtHdrHopByHop
from scapy.layers.ipsec import AH
from scapy.layers.l2 import LLC, SNAP, Dot1AD, Dot1Q, Dot3
from scapy.layers.ppp import PPP, PPPoE
from scapy.packet import Packet

from . import readers
from .case import Case, Kind
from .frames import capture, ether, flow, ip, syn, udp

TSHARK = "tshark shows addresses and ports behind these headers"
ONE, INNER = MPLS(label=16, s=1, ttl=64), MPLS(label=17, s=0, ttl=64)
# RFC 1332, 5072: protocols of PPP.
PPP_IP, PPP_IPV6 = PPP(proto=0x21), PPP(proto=0x57)
other = UDP(sport=1001, dport=2000) / b"hello"


def ah(next_header: int) -> Packet:
    return AH(nh=next_header, payloadlen=4, spi=0x1000, seq=1, icv=bytes(12))


def snap(ethertype: int) -> Packet:
    return LLC(dsap=0xAA, ssap=0xAA, ctrl=3) / SNAP(code=ethertype)


def tagged(*ethertypes: int) -> bytes:
    """Tags by their ethertypes, and what follows the last one is IPv4."""
    tags = [kind.to_bytes(2, "big") + bytes([0, number]) for number, kind in enumerate(ethertypes, 1)]
    return raw(ether)[:12] + b"".join(tags) + b"\x08\x00"


TAGGED = raw(snap(0x0800) / ip(7) / udp)

CASES = (
    Case(
        name="mpls-ip",
        what="IPv4 UDP and TCP behind one and two labels, as on a provider's link",
        why=f"RFC 3032: the label with the bottom bit is the last one. {TSHARK}",
        reported=("the-tcpdump-group/tcpdump#126", "aabc/ipt-netflow#36", "sflow/sflowtool#49", "akvorado/akvorado#1445"),
        files=capture([
            ether / ONE / ip(1) / udp, ether / INNER / ONE / ip(1) / udp, ether / ONE / ip(1) / syn,
            ether / ONE / ip(1, back=True) / TCP(sport=80, dport=40000, flags="SA", ack=1),
        ]),
        flows=(flow(1, 1000, 2000, 17, 2), flow(1, 40000, 80, 6, 2)),
    ),
    Case(
        name="mpls-ipv6",
        what="IPv6 behind one and three labels, and behind a VLAN tag and two labels",
        why=TSHARK,
        files=capture([
            ether / ONE / ip(2, v6=True) / udp, ether / INNER / INNER / ONE / ip(2, v6=True) / udp,
            ether / Dot1Q(vlan=5) / INNER / ONE / ip(2, v6=True) / udp,
        ]),
        flows=(flow(2, 1000, 2000, 17, 3, v6=True),),
    ),
    Case(
        name="pppoe-session",
        what="IPv4 in PPPoE session frames, as a mirror port in front of a DSL router brings them",
        why=f"RFC 2516: ethertype 0x8864, then PPP. {TSHARK}",
        reported=("djmdjm/softflowd#10", "irino/softflowd#53"),
        files=capture([ether / PPPoE(sessionid=9) / PPP_IP / ip(3) / inner for inner in (udp, other) * 3]),
        flows=(flow(3, 1000, 2000, 17, 3), flow(3, 1001, 2000, 17, 3)),
    ),
    Case(
        name="pppoe-ipv6-and-tags",
        what="IPv6 in PPPoE, alone and behind one and two VLAN tags",
        why=TSHARK,
        files=capture([
            ether / PPPoE(sessionid=9) / PPP_IPV6 / ip(4, v6=True) / udp,
            ether / Dot1Q(vlan=7) / PPPoE(sessionid=9) / PPP_IPV6 / ip(4, v6=True) / udp,
            ether / Dot1AD(vlan=8) / Dot1Q(vlan=7) / PPPoE(sessionid=9) / PPP_IPV6 / ip(4, v6=True) / udp,
        ]),
        flows=(flow(4, 1000, 2000, 17, 3, v6=True),),
    ),
    Case(
        name="vlan-three-tags",
        what="three tags and two: live, where the kernel takes the first one off, such a frame always was in a flow",
        why=TSHARK,
        reported=("zeek/zeek#5236", "zeek/zeek#5110"),
        files=capture([
            ether / Dot1Q(vlan=1) / Dot1Q(vlan=2) / Dot1Q(vlan=3) / ip(5) / udp,
            ether / Dot1Q(vlan=1) / Dot1Q(vlan=2) / ip(5) / udp,
        ]),
        flows=(flow(5, 1000, 2000, 17, 2),),
    ),
    Case(
        name="vlan-other-orders",
        what="tags of 802.1ad and of 802.1Q in either order, old ethertypes of vendors, six tags",
        why=f"IEEE 802.1Q clause 9. {TSHARK}",
        files=capture([
            tagged(*ethertypes) + raw(ip(6) / udp)
            for ethertypes in ((0x88A8, 0x8100), (0x8100, 0x88A8), (0x9100, 0x8100), (0x88A8, 0x88A8, 0x8100), (0x8100,) * 6)
        ]),
        flows=(flow(6, 1000, 2000, 17, 5),),
    ),
    Case(
        name="llc-snap",
        what="IP in IEEE 802.3 frames: a length in place of the ethertype, then LLC and SNAP; also behind a tag",
        why=f"RFC 1042. {TSHARK}",
        files=capture([
            Dot3(src=ether.src, dst=ether.dst) / snap(0x0800) / ip(7) / udp,
            Dot3(src=ether.src, dst=ether.dst) / snap(0x86DD) / ip(7, v6=True) / udp,
            raw(ether / Dot1Q(vlan=1, type=len(TAGGED))) + TAGGED,
        ]),
        flows=(flow(7, 1000, 2000, 17, 2), flow(7, 1000, 2000, 17, v6=True)),
    ),
    Case(
        name="ah-transport",
        what="TCP and UDP behind an authentication header, IPv4 and IPv6",
        why=f"RFC 4302: AH is not encrypted, protocol and ports stand behind it. {TSHARK}",
        reported=("EONRaider/NETProtocols#179", "seladb/PcapPlusPlus#581", "google/gopacket#75"),
        files=capture([
            ether / ip(8) / ah(6) / syn, ether / ip(8, v6=True) / ah(6) / TCP(sport=40001, dport=80, flags="S"),
            ether / ip(8) / ah(17) / UDP(sport=40002, dport=53),
        ]),
        flows=(flow(8, 40000, 80, 6), flow(8, 40001, 80, 6, v6=True), flow(8, 40002, 53, 17)),
    ),
    Case(
        name="ah-in-other-headers",
        what="AH behind a hop-by-hop header, behind a label, and in PPPoE",
        why=TSHARK,
        files=capture([
            ether / ip(9, v6=True) / IPv6ExtHdrHopByHop() / ah(6) / syn, ether / ONE / ip(9) / ah(17) / udp,
            ether / PPPoE(sessionid=9) / PPP_IP / ip(9) / ah(17) / udp,
        ]),
        flows=(flow(9, 40000, 80, 6, v6=True), flow(9, 1000, 2000, 17, 2)),
    ),
)  # fmt: skip

KIND = Kind("headers", CASES, "flows?top=1000", readers.same_flows)
