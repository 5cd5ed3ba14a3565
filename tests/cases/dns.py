"""DNS behind headers, and messages that are odd."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from scapy.contrib.mpls import MPLS
from scapy.layers.dns import DNS, DNSQR
from scapy.layers.inet import TCP, UDP
from scapy.layers.l2 import Dot1AD, Dot1Q
from scapy.layers.ppp import PPP, PPPoE
from scapy.packet import Packet, Raw

from . import readers
from .case import Case, Files, Kind
from .frames import capture, ether, ip

A, AAAA = 1, 28
LABEL = MPLS(label=16, s=1, ttl=64)
SESSION = PPPoE(sessionid=9) / PPP(proto=0x57)
NAMES = "plugins.dns.names"


def asked(name: str) -> bytes:
    return bytes(DNS(id=1, rd=1, qd=DNSQR(qname=name)))


def datagram(message: bytes) -> Packet:
    return UDP(sport=40000, dport=53) / Raw(message)


def stream(host: int, *segments: bytes) -> list[Packet]:
    """A connection to port 53, from its SYN on."""
    found = [ether / ip(host) / TCP(sport=40001, dport=53, flags="S", seq=0)]
    seq = 1
    for data in segments:
        found.append(ether / ip(host) / TCP(sport=40001, dport=53, flags="PA", seq=seq, ack=1) / Raw(data))
        seq += len(data)
    return found


def odd(question: bytes, count: int = 1) -> bytes:
    """A query of these bytes behind its header (RFC 1035, 4.1.1)."""
    return b"\0\1\1\0" + count.to_bytes(2, "big") + bytes(6) + question


def counted(queries: int, malformed: int = 0, **types: int) -> dict[str, int]:
    found = {"plugins.dns.queries": queries, "plugins.dns.malformed": malformed}
    return found | {f"plugins.dns.types.{name}": number for name, number in types.items()}


TCP_QUERY, TWICE = asked("tcp.example"), asked("twice.example")
FRAMED = len(TWICE).to_bytes(2, "big") + TWICE
A_EXAMPLE = b"\1a\7example\0"

CASES = (
    Case(
        name="dns-behind-mpls",
        what="queries behind a label",
        why="dns.qry.name of tshark has the name three times",
        reported=("the-tcpdump-group/tcpdump#126",),
        files=capture([ether / LABEL / ip(1) / datagram(asked("www.example.com"))] * 3),
        adds=counted(3, A=3),
        rows={NAMES: ({"name": "www.example.com", "queries": 3},)},
    ),
    Case(
        name="dns-behind-other-headers",
        what="queries in PPPoE of IPv6, and behind three tags and a label",
        why="dns.qry.name of tshark",
        files=capture([
            ether / SESSION / ip(2, v6=True) / datagram(asked("dsl.example")),
            ether / Dot1AD(vlan=1) / Dot1Q(vlan=2) / Dot1Q(vlan=3) / LABEL / ip(2) / datagram(asked("dsl.example")),
        ]),
        adds=counted(2, A=2),
        rows={NAMES: ({"name": "dsl.example", "queries": 2},)},
    ),
    Case(
        name="dns-odd-messages",
        what="a compression pointer to itself; a TCP message whose length comes alone; two questions in a message",
        why="tshark: 'Name contains a pointer that loops'; tcp.example once, after reassembly; a.example with types 1 and 28",
        reported=("mfontanini/libtins#443", "elastic/beats#486", "mfontanini/libtins#551"),
        files=capture([
            ether / ip(3) / datagram(odd(b"\xc0\x0c\0\1\0\1")),
            *stream(3, len(TCP_QUERY).to_bytes(2, "big"), TCP_QUERY),
            ether / ip(3) / datagram(odd(A_EXAMPLE + b"\0\1\0\1" + A_EXAMPLE + b"\0\x1c\0\1", 2)),
        ]),
        adds=counted(2, 1, A=2, AAAA=1),
        rows={NAMES: ({"name": "tcp.example", "queries": 1},)},
    ),
    Case(
        name="dns-other-odd-messages",
        what="two pointers to each other; a TCP message with the length of the next; two messages in a segment",
        why="RFC 1035, 4.1.4: a pointer is to a prior occurrence; RFC 7766, 8: boundaries of segments mean nothing",
        files=capture([
            ether / ip(4) / datagram(odd(b"\xc0\x0e\xc0\x0c\0\1\0\1")),
            *stream(4, FRAMED + FRAMED[:2], FRAMED[2:]),
            *stream(5, FRAMED * 2),
        ]),
        adds=counted(4, 1, A=4),
        rows={NAMES: ({"name": "twice.example", "queries": 4},)},
    ),
)  # fmt: skip


def same_names(files: Files, document: Mapping[str, Any]) -> None:
    """Each question that tshark could read; what it finds malformed is no query of ours."""
    rows = readers.tshark(files, "dns.qry.name", "dns.qry.type", shown='dns && !(dns.qry.name contains "<")')
    names, types = Counter[str](), Counter[str]()
    for name, kind in rows:
        names.update(name.split(","))
        types.update(kind.split(","))
    report = document["plugins"]["dns"]
    assert {row["name"] for row in report["names"]} == set(names)
    assert report["types"] == {"A": types[str(A)], "AAAA": types[str(AAAA)]}


KIND = Kind("dns", CASES, "dns", same_names)
