"""Verdicts of translated programs against libpcap's own interpreter: every expression on every frame, whole, cut, damaged.

All programs are compiled into one function, which takes a frame from an address behind which nothing can be read.
"""

from __future__ import annotations

import functools
import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numba
import numpy as np
import pytest
from scapy.compat import raw
from scapy.contrib.mpls import MPLS
from scapy.layers.inet import GRE, ICMP, IP, TCP, UDP
from scapy.layers.inet6 import ICMPv6EchoRequest, IPv6, IPv6ExtHdrFragment, IPv6ExtHdrHopByHop, IPv6ExtHdrRouting
from scapy.layers.ipsec import AH
from scapy.layers.l2 import ARP, LLC, SNAP, STP, Dot1Q, Dot3, Ether
from scapy.layers.ppp import PPP, PPPoE
from scapy.layers.sctp import SCTP
from scapy.layers.vxlan import VXLAN

from tests.conftest import captures_folder
from tests.kit.bpf import Interpreter
from tests.kit.edge import PAGE, at_the_edge
from tests.kit.places import BUNDLED
from tests.kit.rig import read_capture
from zcframe.framework.errors import LinkTypeError
from zcframe.framework.filters.libpcap import compile_expression
from zcframe.framework.filters.native import verdict
from zcframe.framework.filters.program import Instruction, Program
from zcframe.framework.jit.part import EntryCompiler
from zcframe.framework.sources.capture import frames

pytestmark = pytest.mark.needs("libpcap")

EXPRESSIONS = """\
ip
ip6
arp
rarp
tcp
udp
icmp
icmp6
sctp
igmp or pim or vrrp
ah or esp
not ip
not (tcp or udp)
host 192.0.2.1
src host 192.0.2.1
dst host 198.51.100.2
host 2001:db8:82::53
src or dst host 2001:db8::1
src and dst host 10.0.0.1
ip host 10.0.0.1
arp host 10.0.0.1
net 192.0.2.0/24
net 10
src net 2001:db8::/32
dst net 198.51.100.0 mask 255.255.255.0
port 53
src port 443
dst port 80
tcp port 443
udp port 53
tcp src port 443 or tcp dst port 80
udp portrange 1000-40000
portrange 0-1023
not port 53 and not arp
tcp port 443 and host 192.0.2.1
ip proto 17
ip proto \\tcp
ip6 proto 58
proto 47
ip protochain 6
ip6 protochain 6
ip6 protochain 17
ip6 protochain 58
ip protochain 51
ether host 02:00:00:00:00:01
ether src 02:00:00:00:00:01
ether dst 02:00:00:00:00:02
ether broadcast
ether multicast
ip multicast
ip6 multicast
broadcast or multicast
ether proto 0x88cc
ether proto \\ip6
ether proto 0x42
less 64
greater 1000
len > 100 and len <= 600
len & 1 = 1
len % 7 = 3
len / 3 * 3 = len
vlan
vlan 5
vlan and ip
vlan 5 and vlan 6
vlan and vlan and tcp
vlan or ip
mpls
mpls 100
mpls 100 and mpls 200 and ip
pppoed
pppoes
pppoes and ip
pppoes 17 and ip6
geneve
llc
stp
iso
ipx
ip[0] & 0xf != 5
ip[6:2] & 0x1fff != 0
ip[6] & 0x20 != 0
ip[8] < 64
ip[2:2] > 576
tcp[tcpflags] & (tcp-syn|tcp-fin) != 0
tcp[13] = 0x12
tcp[tcpflags] == tcp-syn
tcp[((tcp[12:1] & 0xf0) >> 2):4] = 0x47455420
tcp[4:4] > tcp[8:4]
udp[4:2] > 100
icmp[icmptype] = icmp-echo
icmp[0] = 8 and icmp[1] = 0
icmp6[icmp6type] = icmp6-echo
ip6[6] = 44
ip6[7] - 1 > 62
ether[0] & 1 = 1
ether[12:2] > 1500
ether[14:4] ^ 0x45000000 < 0x10000
ether[len - 1] = 0
ether[len - 4:4] != 0
ether[20:4] >> (ether[15] & 63) = 0
ether[20:4] << (ether[15] & 63) > 5
ether[16:2] / ether[18:2] = 1
ether[16:4] % ether[19] = 3
ether[ether[14] & 0xf] > 100
-ether[14] & 0xff = 0xbb
ether[2000] = 0
ether[0x7fffffff] = 0
ip[2:2] - ((ip[0] & 0xf) << 2) - ((tcp[12] & 0xf0) >> 2) != 0
tcp and (port 80 or port 443 or port 8080) and not net 10.0.0.0/8 and ip[8] > 1
host 192.0.2.1 or host 192.0.2.2 or host 192.0.2.3 or host 198.51.100.2 or host 203.0.113.9
ip and (tcp[tcpflags] & tcp-rst != 0 or icmp[icmptype] = icmp-unreach)
""".splitlines()


MACS, BROADCAST = bytes.fromhex("020000000002020000000001"), "ff:ff:ff:ff:ff:ff"

# Of bytes that no frame here has.
IMPOSSIBLE = ["ether[0x7fffffff] = 0"]


def built() -> list[bytes]:
    """Frames of kinds that the captures at hand lack."""
    ether, ip = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02"), IP(src="192.0.2.1", dst="198.51.100.2")
    ip6 = IPv6(src="2001:db8::1", dst="2001:db8:82::53")
    tcp, udp = TCP(sport=443, dport=80, flags="S", seq=9, ack=3), UDP(sport=53, dport=4789)
    get = ip / TCP(dport=80, flags="PA") / b"GET / HTTP/1.1\r\n"
    return [
        raw(packet)
        for packet in (
            *(ether / ip / tcp, ether / ip / udp / bytes(600), ether / get, ether / ip6 / tcp, ether / ip6 / udp),
            *(ether / Dot1Q(vlan=5) / ip / tcp, ether / Dot1Q(vlan=5) / Dot1Q(vlan=6) / ip / tcp),
            *(ether / Dot1Q(vlan=7, type=0x88A8) / Dot1Q(vlan=5) / ip6 / udp, ether / Dot1Q(vlan=1) / ARP()),
            *(ether / MPLS(label=100, s=1) / ip / tcp, ether / MPLS(label=100, s=0) / MPLS(label=200, s=1) / ip / udp),
            *(ether / PPPoE(sessionid=17) / PPP(proto=0x21) / ip / tcp,),
            *(ether / PPPoE(sessionid=17) / PPP(proto=0x57) / ip6 / tcp,),
            *(
                MACS + b"\x88\x63" + bytes(40),
                MACS + b"\x88\xcc" + bytes(60),
                Ether(dst=BROADCAST) / ARP(psrc="10.0.0.1"),
            ),
            *(ether / ip / UDP(dport=4789) / VXLAN(vni=7) / ether / ip / tcp, ether / ip / GRE() / ip / udp),
            *(ether / ip / UDP(dport=6081) / bytes.fromhex("0000655800000700") / ether / ip / tcp,),
            *(ether / ip / AH(spi=1, icv=bytes(12)) / tcp, ether / ip / SCTP(sport=443, dport=53)),
            *(ether / ip / ICMP(), ether / ip / ICMP(type=3, code=1) / ip / udp, ether / ip6 / ICMPv6EchoRequest()),
            *(ether / IP(options=b"\x01" * 12) / tcp, ether / IP(flags="MF", proto=17) / bytes(64)),
            *(ether / IP(frag=99, proto=6) / bytes(64), ether / ip6 / IPv6ExtHdrFragment(m=1) / udp),
            *(ether / ip6 / IPv6ExtHdrHopByHop() / IPv6ExtHdrRouting(addresses=["::1"]) / tcp,),
            *(ether / ip6 / IPv6ExtHdrHopByHop() / IPv6ExtHdrFragment(offset=9) / udp,),
            *(Dot3(dst="01:80:c2:00:00:00") / LLC() / STP(), Dot3(dst=BROADCAST) / LLC() / SNAP(code=0x800) / ip / tcp),
            *(
                Dot3(dst=BROADCAST) / LLC(dsap=0xFE, ssap=0xFE, ctrl=3) / bytes(40),
                Dot3(dst=BROADCAST) / LLC(dsap=0xE0, ssap=0xE0) / bytes(40),
            ),
            *(MACS + b"\x80\x35" + bytes(40), MACS + b"\x81\x37" + b"\xff" * 40, ether / ARP(op=2, psrc="10.0.0.1")),
            *(ether / IP(src="10.0.0.1", dst="10.0.0.1") / udp, MACS + b"\x08\x00\x45" + bytes(2500)),
            *(ether / ip / (bytes.fromhex("01bb003500000000") * 30),),
            *(Ether(dst="01:00:5e:00:00:01") / IP(dst="224.0.0.1", proto=2) / bytes(8),),
        )
    ]


def of_captures(folder: Path | None) -> Iterator[bytes]:
    """A frame of each length of the bundled trace, and some of each real capture at hand."""
    yield from {len(frame.data): frame.data for frame in read_capture(BUNDLED)}.values()
    for path in sorted(folder.glob("*.pcap*")) if folder else ():
        try:
            whole = [data for data, _, _ in frames(str(path))]
        except LinkTypeError:
            continue
        yield from random.Random(path.name).sample(whole, min(len(whole), 12))


def damaged(frame: bytes, chance: random.Random) -> bytes:
    """The frame with some bytes of its headers replaced, or cut short, or both."""
    octets = bytearray(frame)
    for _ in range(chance.randrange(5)):
        octets[chance.randrange(min(len(octets), 80))] = chance.choice((0, 1, 0x45, 0x81, 0xFF, chance.randrange(256)))
    return bytes(octets[: chance.choice((len(octets), len(octets), chance.randrange(len(octets) + 1)))])


class Translated:
    """All programs in one compiled function; `verdicts` is what each of them returns."""

    def __init__(self, programs: Sequence[Program]) -> None:
        scope: dict[str, Any] = {f"p{i}": verdict(program) for i, program in enumerate(programs)}
        lines = [f"    out[{i}] = p{i}(frame, caplen, wirelen, vlan)" for i in range(len(programs))]
        exec("def run(frame, caplen, wirelen, vlan, out):\n" + "\n".join(lines), scope)
        self._run = numba.njit(pipeline_class=EntryCompiler)(scope["run"])
        self._out = np.zeros(len(programs), np.int64)

    def verdicts(self, address: int, caplen: int, wire: int, vlan: int = 0) -> list[int]:
        self._run(address, caplen, wire, vlan, self._out)
        return self._out.tolist()  # type: ignore[no-any-return]


@functools.cache
def translated() -> Translated:
    return Translated([compile_expression(expression, "test") for expression in EXPRESSIONS])


@functools.cache
def interpreters() -> list[Interpreter]:
    return [Interpreter(expression) for expression in EXPRESSIONS]


@functools.cache
def all_frames() -> list[bytes]:
    return [frame[:PAGE] for frame in (*built(), *of_captures(captures_folder()))]


def check(frame: bytes, wire: int = 0) -> list[int]:
    """Compare all verdicts on a frame; returns them."""
    at = at_the_edge(frame), len(frame), wire or len(frame)
    ours, theirs = translated().verdicts(*at), [one.verdict(*at) for one in interpreters()]
    assert ours == theirs, (differing(ours, theirs), frame.hex())
    return ours


def differing(ours: list[int], theirs: list[int]) -> list[str]:
    return [expression for expression, a, b in zip(EXPRESSIONS, ours, theirs, strict=True) if a != b]


@pytest.mark.long
def test_every_verdict_is_that_of_libpcap() -> None:
    chance, matched = random.Random(14), set[str]()
    for frame in all_frames():
        found = check(frame)
        matched |= {expression for expression, value in zip(EXPRESSIONS, found, strict=True) if value}
        check(frame[: chance.randrange(len(frame))], len(frame))
        for _ in range(4):
            check(damaged(frame, chance), chance.choice((0, 60, 1500, 1 << 31)))
    # Each of them matches something, or nothing is proved of it.
    assert len(EXPRESSIONS) >= 80
    assert [expression for expression in EXPRESSIONS if expression not in matched] == IMPOSSIBLE


def test_a_tag_in_the_descriptor_is_as_good_as_one_in_the_frame() -> None:
    """The reference gets the frame with the tag in its place, ours the frame without it, and the tag."""
    chance = random.Random(82576)
    for frame in all_frames():
        # A tag behind half a pair of addresses cannot have been taken off.
        bare = damaged(frame, chance)[: PAGE - 4].ljust(12, b"\0")
        tpid, tci = chance.choice((0x8100, 0x8100, 0x88A8, 0x9100)), chance.choice((0, 5, 0x2005, 0xFFFF))
        whole = bare[:12] + tpid.to_bytes(2) + tci.to_bytes(2) + bare[12:]
        address = at_the_edge(whole)
        theirs = [one.verdict(address, len(whole), len(whole)) for one in interpreters()]
        ours = translated().verdicts(at_the_edge(bare), len(bare), len(whole), tpid << 16 | tci)
        assert ours == theirs, (differing(ours, theirs), bare.hex(), hex(tpid), hex(tci))


# --- instructions that libpcap's compiler seldom, or never, puts together as here


def any_instruction(chance: random.Random, left: int) -> tuple[int, int, int, int]:
    """One of all opcodes; jumps go at most `left` instructions forward."""
    code = chance.choice(
        [
            *(kind | size | mode for kind in (0x00,) for size in (0x00, 0x08, 0x10) for mode in (0x20, 0x40)),
            *(0x00, 0x01, 0x60, 0x61, 0x80, 0x81, 0xB1, 0x02, 0x03, 0x07, 0x87, 0x84),
            *(0x04 | operation << 4 | source for operation in (0, 1, 2, 3, 4, 5, 6, 7, 9, 10) for source in (0, 8)),
            *(0x05 | operation << 4 | source for operation in (1, 2, 3, 4) for source in (0, 8)),
            *(0x05, 0x06, 0x16),
        ]
    )
    k = chance.choice((0, 1, 2, 12, 14, 31, 60, 0xFF, 0x800, 0x7FFFFFFF, 0xFFFFFFFF))
    if code in (0x60, 0x61, 0x02, 0x03):  # words of scratch memory
        k = chance.randrange(4)
    elif code in (0x34, 0x94):  # division by 0 is refused by libpcap's compiler
        k = k or 3
    elif code in (0x64, 0x74):  # as are shifts by 32
        k = k & 31
    elif code == 0x05:
        k = chance.randrange(left + 1)
    elif code & 7 == 0 and code & 0xE0 == 0x20 and k > 0x7FFFFFFF:  # asks the kernel
        k = 20
    return code, chance.randrange(min(left, 255) + 1), chance.randrange(min(left, 255) + 1), k


def any_program(chance: random.Random) -> list[tuple[int, int, int, int]]:
    """Scratch memory is written before anything else: libpcap does not clear it."""
    length = chance.randrange(1, 30)
    body = [any_instruction(chance, length - 1 - i) for i in range(length)]
    begin = [(0x80, 0, 0, 0), *((0x02, 0, 0, word) for word in range(4)), (0x01, 0, 0, chance.choice((0, 14, 33, 40)))]
    return [*begin, *body, (0x16, 0, 0, 0)]


def test_any_program_gives_what_the_interpreter_gives() -> None:
    chance = random.Random(1993)
    programs = [any_program(chance) for _ in range(60)]
    ours = Translated([Program("", tuple(Instruction(*one) for one in program)) for program in programs])
    theirs = [Interpreter(program) for program in programs]
    seen = set()
    for frame in all_frames()[::4]:
        frame = damaged(frame, chance)
        at = at_the_edge(frame), len(frame), chance.choice((0, len(frame), 0xFFFFFFFF))
        expected = [one.verdict(*at) for one in theirs]
        wrong = [program for program, a, b in zip(programs, ours.verdicts(*at), expected, strict=True) if a != b]
        assert not wrong, (wrong[0], frame.hex())
        seen.update(expected)
    assert len(seen) > 30


@pytest.mark.parametrize(("tag", "k", "found"), [(0, 48, 0), (0x81002005, 48, 1), (0x81002005, 44, 0x2005), (0, 44, 0)])
def test_loads_beside_the_frame_take_the_tag(tag: int, k: int, found: int) -> None:
    """As libpcap writes `vlan` for a live interface: SKF_AD_VLAN_TAG and SKF_AD_VLAN_TAG_PRESENT."""
    ours = Translated([Program("", (Instruction(0x30, 0, 0, 0xFFFFF000 + k), Instruction(0x16, 0, 0, 0)))])
    assert ours.verdicts(at_the_edge(bytes(60)), 60, 60, tag) == [found]
