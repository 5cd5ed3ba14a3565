"""The innermost packet of random stacks of tunnels: as built by scapy, and as tshark reads it, in one run of it.

tshark reads IP that an ICMP error quotes, and what CAPWAP and sFlow hold; we do not: its layers from there on are left
out.
"""

from __future__ import annotations

import random
import re
import struct
import subprocess
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scapy.compat import raw
from scapy.contrib.geneve import GENEVE
from scapy.contrib.gtp import GTP_U_Header, GTPPDUSessionContainer
from scapy.contrib.mpls import MPLS
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import GRE, Dot1AD, Dot1Q, Ether
from scapy.layers.ppp import PPP, PPPoE
from scapy.layers.vxlan import VXLAN
from scapy.packet import Packet, Raw

from tests.kit.capture_build import Record, pcap
from tests.kit.edge import at_the_edge
from tests.kit.places import ROOT
from tests.kit.probe import Probe
from tests.kit.reference import read
from zcframe.framework.packet.tunnel import CUT, DEEP, MAX_TUNNELS, PASSED
from zcframe.framework.state.addresses import ip_text
from zcframe.testing import interpret_plugin, run_plugin

STACKS, DEEPEST = 300, 4
A, B = "02:00:00:00:00:01", "00:50:56:00:00:a2"

# Source, destination and both ports; empty without IP.
Ends = tuple[str, str, int, int]


def ip(dice: random.Random, proto: int | None = None) -> Packet:
    """An IP header of addresses that no other one has."""
    low = dice.randrange(1, 1 << 16)
    head: Packet = (
        IP(src=f"10.{dice.randrange(256)}.{low >> 8}.{low & 255}", dst=f"192.0.2.{dice.randrange(1, 255)}")
        if dice.random() < 0.6
        else IPv6(src=f"2001:db8::{low:x}", dst=f"2001:db8:1::{dice.randrange(1, 65536):x}")
    )
    if proto is not None:
        head.setfieldval("proto" if isinstance(head, IP) else "nh", proto)
    return head


def ethertype(packet: Packet) -> int:
    return 0x0800 if isinstance(packet, IP) else 0x86DD


def frame(dice: random.Random, packet: Packet) -> Packet:
    """An Ethernet frame that holds it, maybe behind tags, labels or PPPoE."""
    kind = dice.randrange(7)
    head = Ether(src=A, dst=B)
    if kind == 0:
        return head / Dot1Q(vlan=5) / packet
    if kind == 1:
        return head / Dot1AD(vlan=7) / Dot1Q(vlan=5) / packet
    if kind == 2:
        return head / MPLS(label=17, s=0) / MPLS(label=18, s=1) / Raw(raw(packet))
    if kind == 3:
        return head / PPPoE(sessionid=4) / PPP(proto=0x21 if isinstance(packet, IP) else 0x57) / packet
    return head / packet


def in_ip(dice: random.Random, packet: Packet) -> Packet:
    return ip(dice, 4 if isinstance(packet, IP) else 41) / packet


def in_udp(dice: random.Random, port: int, rest: bytes) -> Packet:
    return ip(dice) / UDP(sport=dice.randrange(49152, 65536), dport=port) / Raw(rest)


def gre_head(dice: random.Random, proto: int, numbered: bool | None = None) -> bytes:
    flags = {"chksum_present": dice.randrange(2), "key_present": dice.randrange(2), "seqnum_present": dice.randrange(2)}
    if numbered is not None:
        flags["seqnum_present"] = int(numbered)
    return raw(GRE(proto=proto, **flags))


def in_gre(dice: random.Random, packet: Packet) -> Packet:
    return ip(dice, 47) / Raw(gre_head(dice, ethertype(packet)) + raw(packet))


def in_teb(dice: random.Random, packet: Packet) -> Packet:
    return ip(dice, 47) / Raw(gre_head(dice, 0x6558) + raw(frame(dice, packet)))


def in_gre_mpls(dice: random.Random, packet: Packet) -> Packet:
    return ip(dice, 47) / Raw(gre_head(dice, 0x8847) + raw(MPLS(label=17, s=1)) + raw(packet))


def in_erspan_1(dice: random.Random, packet: Packet) -> Packet:
    return ip(dice, 47) / Raw(gre_head(dice, 0x88BE, numbered=False) + raw(frame(dice, packet)))


def in_erspan_2(dice: random.Random, packet: Packet) -> Packet:
    head = struct.pack(">HHI", 1 << 12 | 99, 100, 3)
    return ip(dice, 47) / Raw(gre_head(dice, 0x88BE, numbered=True) + head + raw(frame(dice, packet)))


def in_erspan_3(dice: random.Random, packet: Packet) -> Packet:
    more = dice.randrange(2)
    head = struct.pack(">HHIHH", 2 << 12 | 99, 100, 12345, 0, 3 << 1 | more) + bytes(8 * more)
    return ip(dice, 47) / Raw(gre_head(dice, 0x22EB, numbered=True) + head + raw(frame(dice, packet)))


def in_pptp(dice: random.Random, packet: Packet) -> Packet:
    acknowledged, long = dice.randrange(2), dice.randrange(2)
    number = (b"\xff\x03" if long else b"") + raw(PPP(proto=0x21 if isinstance(packet, IP) else 0x57))[-2:]
    body = number + raw(packet)
    head = struct.pack(">HHHHI", 0x3001 | acknowledged << 7, 0x880B, len(body), 7, 1) + bytes(4 * acknowledged)
    return ip(dice, 47) / Raw(head + body)


def in_etherip(dice: random.Random, packet: Packet) -> Packet:
    return ip(dice, 97) / Raw(b"\x30\0" + raw(frame(dice, packet)))


def in_mpls(dice: random.Random, packet: Packet) -> Packet:
    return ip(dice, 137) / Raw(raw(MPLS(label=17, s=1)) + raw(packet))


def in_vxlan(dice: random.Random, packet: Packet) -> Packet:
    return in_udp(dice, 4789, raw(VXLAN(vni=dice.randrange(1 << 24), flags=8)) + raw(frame(dice, packet)))


def in_vxlan_gpe(dice: random.Random, packet: Packet) -> Packet:
    following = 1 if isinstance(packet, IP) else 2
    return in_udp(dice, 4790, struct.pack(">BBBBI", 0x0C, 0, 0, following, 5 << 8) + raw(packet))


def in_geneve(dice: random.Random, packet: Packet) -> Packet:
    options = b"\x01\x02\x03\x01abcd" * dice.randrange(3)
    bridged = dice.random() < 0.5
    head = raw(GENEVE(vni=5, optionlen=len(options) // 4, proto=0x6558 if bridged else ethertype(packet)))[:8]
    return in_udp(dice, 6081, head + options + raw(frame(dice, packet) if bridged else packet))


def in_gtp(dice: random.Random, packet: Packet) -> Packet:
    kind = dice.randrange(3)
    head = GTP_U_Header(teid=9, gtp_type=255)
    if kind == 1:
        head = GTP_U_Header(teid=9, gtp_type=255, S=1, seq=3)
    elif kind == 2:
        head = GTP_U_Header(teid=9, gtp_type=255, E=1, next_ex=0x85) / GTPPDUSessionContainer(QFI=5)
    return in_udp(dice, 2152, raw(head / Raw(raw(packet))))


TUNNELS: dict[str, Callable[[random.Random, Packet], Packet]] = {
    "IP in IP": in_ip, "GRE": in_gre, "transparent Ethernet": in_teb, "GRE, MPLS": in_gre_mpls, "ERSPAN I": in_erspan_1,
    "ERSPAN II": in_erspan_2, "ERSPAN III": in_erspan_3, "PPTP": in_pptp, "EtherIP": in_etherip, "MPLS in IP": in_mpls,
    "VXLAN": in_vxlan, "VXLAN-GPE": in_vxlan_gpe, "Geneve": in_geneve, "GTP-U": in_gtp,
}  # fmt: skip


def core(dice: random.Random) -> Packet:
    kind = dice.choice([TCP, UDP])
    return ip(dice) / kind(sport=dice.randrange(49152, 65536), dport=dice.randrange(20000, 30000)) / Raw(bytes(10))


def built_ends(packet: Packet) -> Ends:
    last = packet.payload
    return packet.src, packet.dst, *((last.sport, last.dport) if isinstance(last, TCP | UDP) else (0, 0))


def stack(dice: random.Random, names: Iterable[str]) -> tuple[bytes, list[Ends]]:
    """A frame, and the ends of its packets, from the outermost to the innermost."""
    packet = core(dice)
    packets = [built_ends(packet)]
    for name in names:
        packet = TUNNELS[name](dice, packet)
        packets.insert(0, built_ends(packet))
    return raw(frame(dice, packet)), packets


def ends(found: dict[str, int]) -> Ends:
    if not found["ip_version"]:
        return "", "", 0, 0
    texts = ip_text(found["src_hi"], found["src_lo"]), ip_text(found["dst_hi"], found["dst_lo"])
    return *texts, found["sport"], found["dport"]


def inner(octets: bytes, wire: int = 0) -> tuple[Ends, int]:
    """What the walk finds; `pkt.inner()` says the same of each attribute."""
    probe = Probe(octets, wire)
    found, told = probe.inner()
    passed = told if told <= PASSED else 0
    assert probe.inner_by_name() == (found | {"tunnels": passed} if passed else {})
    return ends(found), told


# What tshark says of addresses and ports, and the layers behind which it goes on where we do not.
FIELDS = ("frame.protocols", "ip.src", "ip.dst", "ipv6.src", "ipv6.dst", "tcp.srcport", "tcp.dstport", "udp.srcport",
          "udp.dstport")  # fmt: skip
WHOLE = [word for protocol in ("ip", "ipv6") for word in ("-o", f"{protocol}.defragment:FALSE")]
BEYOND = ("icmp", "icmpv6", "capwap.data", "sflow")


def at_tshark(path: Path) -> list[Ends]:
    """Of each frame, the last occurrence of addresses and ports."""
    command = ["tshark", "-n", "-r", str(path), *WHOLE, "-T", "fields"]
    command += [word for field in FIELDS for word in ("-e", field)]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split("\n")[:-1]
    return [last_of(line.split("\t")) for line in lines]


@pytest.fixture(scope="module")
def every_layer_is_named(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Which packet is the innermost is known by the layers' names; tshark 4.6 leaves out IP behind MPLS."""
    path = tmp_path_factory.mktemp("layers") / "mpls.pcap"
    path.write_bytes(pcap([Record(stack(random.Random(1), ["MPLS in IP"])[0])]))
    command = ["tshark", "-n", "-r", str(path), "-T", "fields", "-e", "frame.protocols"]
    layers = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    if "mpls:ip" not in layers:
        pytest.skip(f"this tshark does not name every layer: {layers.strip()}")


def last_of(row: list[str]) -> Ends:
    layers = row[0].split(":")
    layers = layers[: next((place for place, layer in enumerate(layers) if layer in BEYOND), len(layers))]
    packets = [layer for layer in layers if layer in ("ip", "ipv6")]
    if not packets:
        return "", "", 0, 0
    at = 1 if packets[-1] == "ip" else 3
    src, dst = (row[at + end].split(",")[packets.count(packets[-1]) - 1] for end in (0, 1))
    behind = layers[len(layers) - 1 - layers[::-1].index(packets[-1]) :]
    ports = next((5 if layer == "tcp" else 7 for layer in behind if layer in ("tcp", "udp")), 0)
    if not ports:
        return src, dst, 0, 0
    number = layers.count("tcp" if ports == 5 else "udp") - 1
    return src, dst, *(int(row[ports + end].split(",")[number]) for end in (0, 1))


def stacks() -> list[list[str]]:
    dice = random.Random(3)
    some = [dice.choices(list(TUNNELS), k=dice.randrange(2, DEEPEST + 1)) for _ in range(STACKS)]
    return [[name] for name in TUNNELS] * 6 + some


def test_stacks_as_built() -> None:
    dice = random.Random(11)
    for names in stacks():
        octets, packets = stack(dice, names)
        assert inner(octets) == (packets[-1], len(names)), (names, octets.hex())


@pytest.mark.needs("tshark")
@pytest.mark.usefixtures("every_layer_is_named")
def test_stacks_against_tshark(tmp_path: Path) -> None:
    dice = random.Random(12)
    names = stacks()
    frames = [stack(dice, tunnels)[0] for tunnels in names]
    path = tmp_path / "stacks.pcap"
    path.write_bytes(pcap([Record(octets) for octets in frames]))
    theirs = at_tshark(path)
    wrong = {
        " / ".join(tunnels): (inner(octets), expected, octets.hex())
        for tunnels, octets, expected in zip(names, frames, theirs, strict=True)
        if inner(octets)[0] != expected
    }
    assert not wrong, f"{len(wrong)} of {len(frames)}, such as {min(wrong.items(), key=lambda item: len(item[0]))}"


@pytest.mark.needs("tshark", "captures")
@pytest.mark.usefixtures("every_layer_is_named")
def test_real_captures_against_tshark(captures: Path, tmp_path: Path) -> None:
    """Each different frame of all captures, in one file."""
    frames = dict.fromkeys(packet[:2] for path in sorted(captures.glob("*.pcap*")) for packet in read(path).packets)
    path = tmp_path / "all.pcap"
    path.write_bytes(pcap([Record(octets, wire=wire) for octets, wire in frames]))
    tunnels = 0
    for (octets, wire), expected in zip(frames, at_tshark(path), strict=True):
        found, told = Probe(octets, wire).inner()
        tunnels += told & PASSED
        assert ends(found)[:2] == expected[:2], (expected, told, octets.hex())
        # tshark reads ports of a first fragment, too.
        assert ends(found)[2:] == expected[2:] or found["is_fragment"], (expected, told, octets.hex())
    assert tunnels > 300


def check(octets: bytes) -> tuple[int, int, int]:
    """Nothing is read past the frame's end, where a page begins that nobody may read; offsets lie within it."""
    octets = octets[:2048]
    offsets, facts, told = Probe(octets, address=at_the_edge(octets)).inner_decoded()
    l3, l4, payload, end = (offsets >> shift & 0xFFFF for shift in (0, 16, 32, 48))
    assert l3 <= payload <= end <= len(octets)
    assert l4 <= payload
    assert facts >> 48 == len(octets)
    assert told in (CUT, DEEP, *range(MAX_TUNNELS + 1))
    return offsets, facts, told


@pytest.mark.parametrize("name", TUNNELS)
def test_cut_at_every_length(name: str) -> None:
    """Told is how far the walk came; of a tunnel that is seen and not whole, the outermost packet is left."""
    dice = random.Random(5)
    for other in TUNNELS:
        octets, packets = stack(dice, [name, other])
        for length in range(len(octets)):
            check(octets[:length])
            found, told = inner(octets[:length], len(octets))
            expected = packets[0 if told == CUT else told][:2]
            assert found[:2] == expected or (told == 0 and not any(found)), (name, other, length)
        assert inner(octets) == (packets[-1], 2)


@settings(deadline=None, max_examples=400)
@given(st.lists(st.sampled_from(list(TUNNELS)), max_size=MAX_TUNNELS + 2), st.data())
def test_damaged_stacks(names: list[str], data: st.DataObject) -> None:
    octets = bytearray(stack(random.Random(data.draw(st.integers(0, 1000))), names)[0])
    for _ in range(data.draw(st.integers(0, 8))):
        octets[data.draw(st.integers(0, len(octets) - 1))] = data.draw(st.integers(0, 255))
    check(bytes(octets[: data.draw(st.integers(0, len(octets)))]))


def outer(octets: bytes) -> Ends:
    return ends(Probe(octets).attributes())


@pytest.mark.parametrize("name", TUNNELS)
def test_to_the_bound_and_not_beyond(name: str) -> None:
    octets, packets = stack(random.Random(6), [name] * MAX_TUNNELS)
    assert inner(octets) == (packets[-1], MAX_TUNNELS)
    octets, packets = stack(random.Random(6), [name] * (MAX_TUNNELS + 1))
    assert inner(octets) == (packets[0], DEEP)
    assert outer(octets) == packets[0]


def test_tags_labels_and_lengths_of_the_frame_stay() -> None:
    dice = random.Random(8)
    packet = Ether(src=A, dst=B) / Dot1Q(vlan=77) / in_vxlan(dice, core(dice))
    found, told = Probe(raw(packet), status=0).inner()
    assert (found["vlan"], found["vlan_count"], found["len(frame)"], told) == (77, 1, len(packet), 1)


HEAD = Ether(src=A, dst=B)
GARBAGE = Raw(bytes(40))
# What announces a packet that is not there: the outermost counts.
BROKEN: dict[str, Packet] = {
    "IP in IP of another version": HEAD / IP(proto=4) / IPv6(),
    "GRE without IP": HEAD / IP() / GRE(proto=0x0800) / GARBAGE,
    "VXLAN without IP": HEAD / IP() / UDP(dport=4789) / VXLAN(flags=8) / Ether(src=A, dst=B, type=0x0800) / GARBAGE,
    "GTP-U with endless extensions": HEAD / IP() / UDP(dport=2152) / Raw(b"\x34\xff\0\x20\0\0\0\1" + b"\0\0\0\x85" * 40),
    "GTP-U with an extension of no length": HEAD / IP() / UDP(dport=2152) / Raw(b"\x34\xff\0\x20\0\0\0\1\0\0\0\x85" + bytes(40)),
    "Geneve whose options are longer": HEAD / IP() / UDP(dport=6081) / Raw(b"\x3f\0\x65\x58" + bytes(40)),
}  # fmt: skip
# What is no tunnel, or holds no IP.
NONE: dict[str, Packet] = {
    "ARP in VXLAN": HEAD / IP() / UDP(dport=4789) / VXLAN(flags=8) / Ether(src=A, dst=B, type=0x0806) / GARBAGE,
    "no VXLAN": HEAD / IP() / UDP(dport=4789) / GARBAGE,
    "VXLAN from the port": HEAD / IP() / UDP(sport=4789, dport=53) / VXLAN(flags=8) / HEAD / IP(),
    "GTP-U echo": HEAD / IP() / UDP(dport=2152) / Raw(b"\x32\1\0\4\0\0\0\0\0\1\0\0"),
    "GTP'": HEAD / IP() / UDP(dport=2152) / Raw(b"\x20\xff\0\4\0\0\0\0" + bytes(20)),
    "GRE keepalive": HEAD / IP(src="192.0.2.9") / GRE(proto=0),
    "GRE with routing": HEAD / IP() / GRE(proto=0x0800, routing_present=1) / IP(),
    "the first fragment": HEAD / IP(proto=4, flags="MF") / IP(src="10.1.1.1"),
    "a later fragment": HEAD / IP(proto=47, frag=3) / Raw(raw(GRE() / IP(src="10.1.1.1"))),
}  # fmt: skip


@pytest.mark.parametrize("name", [*BROKEN, *NONE])
def test_what_holds_no_packet(name: str) -> None:
    octets = raw(BROKEN.get(name) or NONE[name])
    assert inner(octets) == (outer(octets), CUT if name in BROKEN else 0)


def test_what_is_broken_inside_leaves_the_outermost() -> None:
    dice = random.Random(9)
    outermost = in_vxlan(dice, in_gre(dice, IP(src="10.9.9.9", proto=4) / GARBAGE))
    assert inner(raw(HEAD / outermost)) == (built_ends(outermost), CUT)


def test_the_example_of_the_guide(tmp_path: Path) -> None:
    """Of packets in no, one and several tunnels, and of those that break off, compiled and as plain Python."""
    dice = random.Random(13)
    built = [stack(dice, names) for names in [[], [], *stacks()[:100], *stacks()[-100:]]]
    frames = [octets for octets, _ in built] + [raw(packet) for packet in (BROKEN | NONE).values()]
    expected = sorted((*packets[-1][:2], len(packets) - 1) for _, packets in built if len(packets) > 1)
    (page,) = re.findall(r"```python\n([^`]*class Inside.*?)```", (ROOT / "docs" / "plugins.md").read_text(), re.DOTALL)
    path = tmp_path / "inside.py"
    path.write_text(page)
    compiled, interpreted = run_plugin(str(path), frames), interpret_plugin(str(path), frames)
    rows = compiled.state.pairs
    assert sorted((ip_text(row["src"]), ip_text(row["dst"]), int(row["tunnels"])) for row in rows) == expected
    assert (np.sort(interpreted.state.pairs) == np.sort(rows)).all()
    assert compiled.faults == interpreted.faults == ()
