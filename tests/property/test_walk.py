"""IP behind random stacks of other headers: addresses and ports as tshark reads them, in one run of it.

What tshark reads otherwise, or not at all, is checked against what was built, in tests of its own.
"""

from __future__ import annotations

import random
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from scapy.compat import raw
from scapy.contrib.mpls import MPLS
from scapy.contrib.nsh import NSH
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import IPv6, IPv6ExtHdrDestOpt
from scapy.layers.ipsec import AH
from scapy.layers.l2 import LLC, SNAP, Dot1AD, Dot1Q
from scapy.layers.ppp import PPP, PPPoE
from scapy.layers.sctp import SCTP

from tests.kit.capture_build import Record, pcap
from tests.kit.probe import Probe
from zcframe.framework import abi
from zcframe.framework.packet.walk import MAX_HEADERS
from zcframe.framework.state.addresses import ip_text

STACKS, DEEPEST = 900, 6
MACS = bytes.fromhex("0050560000010050560000a2")  # of a maker that tshark knows: it looks for one behind labels
IPV4, IPV6, MPLS_TYPE, BRIDGED = 0x0800, 0x86DD, 0x8847, 0x6558

# An ethertype, and the bytes behind it.
Part = tuple[int, bytes]


def be16(number: int) -> bytes:
    return struct.pack(">H", number)


def ip(dice: random.Random) -> Part:
    """A packet of IP, one in four with an authentication header."""
    ports = {"sport": dice.randrange(1024, 65536), "dport": dice.randrange(20000, 65536)}
    kind, number = dice.choice([(TCP, 6), (UDP, 17), (SCTP, 132)])
    rest = kind(**ports)
    ah = dice.random() < 0.25
    if ah:
        rest = AH(nh=number, payloadlen=4, spi=9, seq=1, icv=bytes(12)) / rest
    number = 51 if ah else number
    if dice.random() < 0.5:
        last = dice.randrange(1, 255)
        return IPV4, raw(IP(src=f"192.0.2.{last}", dst="198.51.100.2", proto=number) / rest)
    if dice.random() < 0.3:
        rest, number = IPv6ExtHdrDestOpt(nh=number) / rest, 60
    return IPV6, raw(IPv6(src=f"2001:db8::{dice.randrange(1, 65536):x}", dst="2001:db8::2", nh=number) / rest)


def tag(layer: type) -> Callable[[random.Random, Part], Part]:
    own = {Dot1Q: 0x8100, Dot1AD: 0x88A8}[layer]
    return lambda dice, part: (own, raw(layer(vlan=dice.randrange(4096), type=part[0]))[:4] + part[1])


def shim(ethertype: int, head: bytes) -> Callable[[random.Random, Part], Part]:
    """A header that begins with `head` and ends with the ethertype of what follows."""
    return lambda dice, part: (ethertype, head + be16(part[0]) + part[1])


def label(dice: random.Random, part: Part) -> Part:
    bottom = part[0] != MPLS_TYPE
    within = part[1] if part[0] in (IPV4, IPV6, MPLS_TYPE) else bytes(4) + MACS + be16(part[0]) + part[1]
    return MPLS_TYPE, raw(MPLS(label=dice.randrange(16, 1 << 20), s=int(bottom), ttl=64)) + within


def pppoe(dice: random.Random, part: Part) -> Part:
    number = {IPV4: 0x21, IPV6: 0x57, MPLS_TYPE: 0x281}.get(part[0], 0x31)
    within = part[1] if number != 0x31 else b"\0\1" + MACS + be16(part[0]) + part[1]
    short = number < 256 and dice.random() < 0.3
    if dice.random() < 0.2:
        within = b"\xc0\0\0\1" + (bytes([number]) if short else be16(number)) + within
        number, short = 0x3D, False
    body = bytes([number]) + within if short else raw(PPP(proto=number))[-2:] + within
    return 0x8864, raw(PPPoE(sessionid=5, len=len(body))) + body


def snap(dice: random.Random, part: Part) -> Part:
    if part[0] == IPV4 and dice.random() < 0.3:
        body = raw(LLC(dsap=6, ssap=6, ctrl=3)) + part[1]
    else:
        body = raw(LLC(dsap=0xAA, ssap=0xAA, ctrl=3) / SNAP(OUI=dice.choice([0, 0xF8]), code=part[0])) + part[1]
    return dice.choice([len(body), 0x8870]), body


def macsec(dice: random.Random, part: Part) -> Part:
    sci = dice.random() < 0.5
    head = bytes([0x20 if sci else 0, 0]) + bytes(4) + (bytes(8) if sci else b"")
    return 0x88E5, head + be16(part[0]) + part[1] + bytes(16)


def trill(dice: random.Random, part: Part) -> Part:
    options = dice.randrange(3)
    return 0x22F3, be16(options << 6 | 63) + bytes(4 + 4 * options) + MACS + be16(part[0]) + part[1]


def nsh(dice: random.Random, part: Part) -> Part:
    following = {IPV4: 1, IPV6: 2, MPLS_TYPE: 5}.get(part[0], 3)
    head = raw(NSH(nextproto=following, mdtype=1))
    return 0x894F, head + part[1] if following != 3 else head + MACS + be16(part[0]) + part[1]


HEADERS: dict[str, Callable[[random.Random, Part], Part]] = {
    "802.1Q": tag(Dot1Q), "802.1ad": tag(Dot1AD), "0x9100": shim(0x9100, b"\0\7"), "VN-tag": shim(0x8926, b"\0\7\0\1"),
    "E-TAG": shim(0x893F, b"\0\7\0\1\0\0"), "HSR": shim(0x892F, b"\0\x40\0\1"), "R-TAG": shim(0xF1C1, bytes(4)),
    "CMD": shim(0x8909, b"\1\1\0\1\0\7"), "PBB": shim(0x88E7, b"\0\0\0\7" + MACS), "bridged": shim(BRIDGED, MACS),
    "Arista": shim(0xD28B, b"\0\1\0\x10" + bytes(8)), "Arista 48": shim(0xD28B, b"\0\1\0\x20" + bytes(6)),
    "MPLS": label, "MPLS again": label, "PPPoE": pppoe, "SNAP": snap, "MACsec": macsec, "TRILL": trill, "NSH": nsh,
}  # fmt: skip
# Behind these tshark hands on ethertypes only, and no length of 802.3.
NO_LENGTH = {
    "PBB",
    "802.1ad",
    "HSR",
    "E-TAG",
    "R-TAG",
    "CMD",
    "Arista",
    "Arista 48",
    "MACsec",
    "MPLS",
    "MPLS again",
    "SNAP",
    "PPPoE",
    "NSH",
}


def stack(dice: random.Random, names: list[str]) -> bytes:
    part = ip(dice)
    for name in reversed(names):
        if part[0] <= 1500 and name in NO_LENGTH:
            continue
        part = HEADERS[name](dice, part)
    return MACS + be16(part[0]) + part[1]


def ends(found: dict[str, int]) -> tuple[str, str, int, int]:
    """Addresses and ports as `pkt` has them; empty without IP."""
    if not found["ip_version"]:
        return "", "", 0, 0
    texts = ip_text(found["src_hi"], found["src_lo"]), ip_text(found["dst_hi"], found["dst_lo"])
    return *texts, found["sport"], found["dport"]


FIELDS = (
    "ip.src",
    "ip.dst",
    "ipv6.src",
    "ipv6.dst",
    *(f"{kind}.{end}port" for kind in ("tcp", "udp", "sctp") for end in ("src", "dst")),
)


def at_tshark(path: Path) -> list[tuple[str, str, int, int]]:
    command = ["tshark", "-r", str(path), "-T", "fields", *(word for field in FIELDS for word in ("-e", field))]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    found = []
    for line in lines:
        four_src, four_dst, six_src, six_dst, *ports = line.split("\t")
        sport, dport = (next((int(port) for port in ports[end::2] if port), 0) for end in (0, 1))
        found.append((four_src or six_src, four_dst or six_dst, sport, dport))
    return found


@pytest.mark.needs("tshark")
def test_random_stacks_against_tshark(tmp_path: Path) -> None:
    dice = random.Random(7)
    stacks = [[name] for name in HEADERS] * 4
    stacks += [dice.choices(list(HEADERS), k=dice.randrange(2, DEEPEST + 1)) for _ in range(STACKS)]
    frames = [stack(dice, names) for names in stacks]
    path = tmp_path / "stacks.pcap"
    path.write_bytes(pcap([Record(frame) for frame in frames]))
    wrong = {
        " / ".join(names): (ours, theirs, frame.hex())
        for names, frame, theirs in zip(stacks, frames, at_tshark(path), strict=True)
        if (ours := ends(Probe(frame).attributes())) != theirs
    }
    assert not wrong, f"{len(wrong)} of {len(frames)}, such as {min(wrong.items(), key=lambda item: len(item[0]))}"
    assert all(ends(Probe(frame).attributes())[3] for frame in frames)


def read(part: Part, **desc: int) -> dict[str, int]:
    return Probe(MACS + be16(part[0]) + part[1], **desc).attributes()


# What tshark reads only where it is told to, or guesses otherwise.
BEYOND: dict[str, Callable[[Part], Part]] = {
    "0x9200": lambda part: (0x9200, b"\0\7" + be16(part[0]) + part[1]),
    "0x9300": lambda part: (0x9300, b"\0\7" + be16(part[0]) + part[1]),
    "a pseudowire without control word": lambda part: (MPLS_TYPE, b"\0\1\x01\x40" + MACS + be16(part[0]) + part[1]),
    "the same, with another maker": lambda part: (MPLS_TYPE, b"\0\1\x01\x40\x82" + MACS[1:] + be16(part[0]) + part[1]),
}


@pytest.mark.parametrize("name", BEYOND)
def test_what_tshark_is_not_asked_for(name: str) -> None:
    part = ip(random.Random(1))
    assert ends(read(BEYOND[name](part))) == ends(read(part))
    assert ends(read(part))[2]


# Where no IP is read: the ethertype that counts, and where the payload begins, which is what this type says.
BLIND: dict[str, tuple[Part, int, int]] = {
    "MPLS of something": ((MPLS_TYPE, b"\0\1\x01\x40" + b"\xff" * 30), MPLS_TYPE, 14),
    "labels without end": ((MPLS_TYPE, b"\0\1\0\x40" * 3), MPLS_TYPE, 26),
    "ARP behind a pseudowire": ((MPLS_TYPE, b"\0\1\x01\x40" + bytes(4) + MACS + b"\x08\x06" + bytes(28)), MPLS_TYPE, 14),
    "LCP": ((0x8864, b"\x11\0\0\1\0\x0a\xc0\x21" + bytes(8)), 0x8864, 14),
    "MACsec, encrypted": ((0x88E5, b"\x2c" + bytes(60)), 0x88E5, 14),
    "spanning tree": ((38, b"\x42\x42\3" + bytes(35)), 38, 14),
    "ARP in SNAP": ((36, b"\xaa\xaa\3\0\0\0\x08\x06" + bytes(28)), 0x0806, 22),
    "ARP behind three tags": ((0x8100, b"\0\1\x81\0\0\2\x91\0\0\3\x08\x06" + bytes(28)), 0x0806, 26),
    "half a tag": ((0x8100, b"\0\1\x81\0\0"), 0x8100, 18),
}  # fmt: skip


@pytest.mark.parametrize("name", BLIND)
def test_without_ip_the_last_type_counts(name: str) -> None:
    part, ethertype, start = BLIND[name]
    found = read(part)
    assert (found["ip_version"], found["ethertype"]) == (0, ethertype)
    assert found["len(payload)"] == 14 + len(part[1]) - start


def tags(count: int, part: Part) -> Part:
    for number in reversed(range(count)):
        part = 0x8100, be16(number + 1) + be16(part[0]) + part[1]
    return part


@pytest.mark.parametrize("count", [3, 4, MAX_HEADERS, MAX_HEADERS + 1])
def test_a_stripped_tag_changes_nothing(count: int) -> None:
    """The kernel takes the first tag off: what plugins see is what they see of the same frame in a file."""
    inner = ip(random.Random(2))
    frame = MACS + be16(0x8100) + tags(count, inner)[1]
    in_file = Probe(frame).attributes()
    live = Probe(MACS + frame[16:], status=abi.STATUS_VLAN, vlan_tci=1).attributes()
    same = (
        "vlan",
        "vlan2",
        "vlan_count",
        "ethertype",
        "ip_version",
        "proto",
        "sport",
        "dport",
        "src_lo",
        "len(payload)",
    )
    assert {name: live[name] for name in same} == {name: in_file[name] for name in same}
    assert bool(in_file["ip_version"]) == (count <= MAX_HEADERS)
    assert (in_file["vlan"], in_file["vlan2"], in_file["vlan_count"]) == (1, 2, min(count, MAX_HEADERS))


def test_tags_behind_other_headers_are_not_counted() -> None:
    found = read(HEADERS["PBB"](random.Random(3), tags(2, ip(random.Random(3)))))
    assert (found["vlan"], found["vlan_count"], bool(found["sport"])) == (0, 0, True)


@pytest.mark.parametrize("more", ["whole", "first", "later"])
def test_ah_in_fragments_stays(more: str) -> None:
    """Later fragments show AH and nothing else: so does the first, and a datagram stays one flow."""
    flags, offset = {"whole": (0, 0), "first": (1, 0), "later": (0, 3)}[more]
    rest = AH(nh=17, payloadlen=4, spi=9, seq=1, icv=bytes(12)) / UDP(sport=5, dport=7)
    found = read((IPV4, raw(IP(proto=51, flags=flags, frag=offset) / rest)))
    assert (found["proto"], found["dport"]) == ((17, 7) if more == "whole" else (51, 0))


@pytest.mark.parametrize("name", HEADERS)
def test_cut_at_every_length(name: str) -> None:
    """Nothing is read past the end; a frame that is cut has the same ports, or none."""
    dice = random.Random(5)
    frame = stack(dice, [name, "802.1Q"])
    whole = ends(Probe(frame).attributes())
    for length in range(len(frame)):
        offsets, _ = Probe(frame[:length], wire=len(frame)).decoded()
        l3, l4, payload, end = (offsets >> shift & 0xFFFF for shift in (0, 16, 32, 48))
        assert l3 <= payload <= end <= length
        assert l4 <= payload
        assert ends(Probe(frame[:length], wire=len(frame)).attributes())[2:] in (whole[2:], (0, 0))
