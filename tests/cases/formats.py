"""Forms of capture files that readers of others stumbled over: link types, resolutions of time, lengths, padding."""

from __future__ import annotations

import struct

from scapy.compat import raw
from scapy.layers.inet import TCP, UDP
from scapy.layers.l2 import Dot1Q
from scapy.packet import Packet

from tests.kit.capture_build import BIG, LITTLE, Record, enhanced, interface, obsolete, pcap, section, simple

from . import readers
from .case import Case, Kind
from .frames import FIRST_NS, SECOND, capture, ends, ether, flow, ip, udp

FLOWS = "plugins.flows.top"
TSHARK = "tshark has these ports, frame.len and frame.time_epoch"
NULL = 0
LONG, JUMBO = 100_000, 70_000
HALF = FIRST_NS + SECOND // 2
offloaded = TCP(sport=1, dport=2, flags="A", seq=1, ack=1, window=1, chksum=0)


def null(family: int, packet: Packet, order: str = LITTLE) -> bytes:
    """LINKTYPE_NULL: the address family in the byte order of the machine that captured."""
    return struct.pack(f"{order}I", family) + raw(packet)


def jumbogram(host: int, proto: int, header: bytes) -> bytes:
    """A hop-by-hop header with the length of what follows the fixed one (RFC 2675, 2), and a header of TCP or UDP."""
    behind = struct.pack(">BBBBI", proto, 0, 0xC2, 4, 8 + len(header) + JUMBO)
    return raw(ether / ip(host, v6=True, plen=0, nh=0)) + behind + header + bytes(JUMBO)


def stamped(number: int) -> dict[str, int | str]:
    """The row of a host's flow whose frame is half a second after the first."""
    return {"src": ends(number)[0], "first_ns": HALF, "last_ns": HALF}


def lengthened(host: int, extra: int) -> bytes:
    return raw(ether / ip(host) / UDP(sport=1000, dport=2000) / (b"hello" + bytes(extra)))


def sized(host: int, octets: int) -> dict[str, int | str]:
    return {"src": ends(host)[0], "bytes": octets}


CASES = (
    Case(
        name="apple-null-1e",
        what="null link type with address family 0x1e: IPv6 on macOS",
        why=TSHARK,
        reported=("EricssonResearch/spindump#110",),
        files=capture([null(0x1E, ip(1, v6=True) / udp)], link=NULL),
        flows=(flow(1, 1000, 2000, 17, v6=True),),
    ),
    Case(
        name="null-of-other-systems",
        what="families of NetBSD and FreeBSD, IPv4, and a machine of the other byte order",
        why=f"the registry of link types: 24, 28 and 30 are IPv6. {TSHARK}",
        files=capture([
            null(24, ip(2, v6=True) / udp), null(28, ip(2, v6=True) / udp), null(30, ip(2, v6=True) / udp, BIG),
            null(2, ip(2) / udp), null(2, ip(2) / udp, BIG),
        ], link=NULL),
        flows=(flow(2, 1000, 2000, 17, 3, v6=True), flow(2, 1000, 2000, 17, 2)),
    ),
    Case(
        name="binary-time-resolution",
        what="if_tsresol 2^-32 and snaplen 0xFFFFFFFF, as hardware probes write",
        why=f"draft-ietf-opsawg-pcapng, 4.2: the top bit means a power of 2. {TSHARK}",
        reported=("the-tcpdump-group/libpcap#577", "the-tcpdump-group/libpcap#527", "secdev/scapy#2342"),
        files={"a.pcapng": section() + interface(1, 0xFFFFFFFF, tsresol=0x80 | 32)
               + enhanced(raw(ether / ip(3) / udp), (HALF << 32) // SECOND)},
        flows=(flow(3, 1000, 2000, 17),),
        rows={FLOWS: (stamped(3),)},
    ),
    Case(
        name="other-time-resolutions",
        what="2^-10 s; whole milliseconds with an offset of if_tsoffset; 10^-6 of the other byte order",
        why=TSHARK,
        files={
            "2.pcapng": section() + interface(tsresol=0x80 | 10) + enhanced(raw(ether / ip(4) / udp), (HALF << 10) // SECOND),
            "m.pcapng": section() + interface(tsresol=3, tsoffset=FIRST_NS // SECOND) + enhanced(raw(ether / ip(5) / udp), 500),
            "b.pcapng": section(BIG) + interface(order=BIG, tsresol=6) + enhanced(raw(ether / ip(6) / udp), HALF // 1000, BIG),
        },
        flows=tuple(flow(host, 1000, 2000, 17) for host in (4, 5, 6)),
        rows={FLOWS: (stamped(4), stamped(5), stamped(6))},
    ),
    Case(
        name="captured-above-wire-length",
        what="an enhanced block with 47 captured bytes of a frame that claims 1",
        why="tshark: frame.len 1, and the UDP ports",
        reported=("the-tcpdump-group/libpcap#1710",),
        files={"a.pcapng": section() + interface(tsresol=9) + enhanced(raw(ether / ip(7) / udp), FIRST_NS, wire=1)},
        flows=(flow(7, 1000, 2000, 17),),
        rows={FLOWS: (sized(7, 1),)},
    ),
    Case(
        name="captured-above-wire-length-elsewhere",
        what="the same of a pcap record and of an obsolete packet block",
        why=TSHARK,
        files={
            "a.pcap": pcap([Record(raw(ether / ip(8) / udp), FIRST_NS, wire=20)]),
            "a.pcapng": section() + interface(tsresol=9) + obsolete(raw(ether / ip(9) / udp), FIRST_NS, wire=30),
        },
        flows=(flow(8, 1000, 2000, 17), flow(9, 1000, 2000, 17)),
        rows={FLOWS: (sized(8, 20), sized(9, 30))},
    ),
    Case(
        name="segments-above-64k",
        what="frames as offload leaves them: 100 KB of IPv4 with total length 0, a jumbogram of 70 KB",
        why=f"RFC 2675. {TSHARK}",
        reported=("fmadio/pcap2json#36",),
        files=capture([raw(ether / ip(10, len=0) / offloaded) + bytes(LONG), jumbogram(10, 6, raw(offloaded))]),
        flows=(flow(10, 1, 2, 6), flow(10, 1, 2, 6, v6=True)),
        rows={FLOWS: (sized(10, 14 + 20 + 20 + LONG),)},
    ),
    Case(
        name="segments-above-64k-elsewhere",
        what="a jumbogram of UDP, whose own length is 0 too; IPv4 with total length 0 behind a tag",
        why=f"RFC 2675, 4. {TSHARK}",
        files=capture([
            jumbogram(11, 17, struct.pack(">HHHH", 1000, 2000, 0, 0)),
            raw(ether / Dot1Q(vlan=1) / ip(11, len=0) / offloaded) + bytes(LONG),
        ]),
        flows=(flow(11, 1000, 2000, 17, v6=True), flow(11, 1, 2, 6)),
        rows={FLOWS: (sized(11, 14 + 4 + 20 + 20 + LONG),)},
    ),
    Case(
        name="simple-blocks-padded",
        what="simple packet blocks whose frames need no padding and 1 to 3 bytes of it",
        why="tshark: frame.len 47, 48, 49, 50",
        reported=("arkime/arkime#4063",),
        files={"a.pcapng": section() + interface() + b"".join(simple(lengthened(12, extra)) for extra in range(4))},
        flows=(flow(12, 1000, 2000, 17, 4),),
        rows={FLOWS: (sized(12, 47 + 48 + 49 + 50),)},
    ),
    Case(
        name="simple-blocks-cut",
        what="the same of the other byte order, and cut by the interface's snap length",
        why=f"draft-ietf-opsawg-pcapng, 4.4: the snap length bounds what is captured. {TSHARK}",
        files={
            "b.pcapng": section(BIG) + interface(order=BIG) + b"".join(simple(lengthened(13, n), BIG) for n in range(4)),
            "s.pcapng": section() + interface(snaplen=46) + simple(lengthened(14, 3)[:46], wire=50) + simple(lengthened(14, 0)[:46], wire=47),
        },
        flows=(flow(13, 1000, 2000, 17, 4), flow(14, 1000, 2000, 17, 2)),
        rows={FLOWS: (sized(13, 194), sized(14, 97))},
    ),
)  # fmt: skip

KIND = Kind("formats", CASES, "flows?top=1000", readers.same_flows)
