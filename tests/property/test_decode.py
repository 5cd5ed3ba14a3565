"""Decoder, attributes and views on garbage and on damaged frames that end where the memory ends.

The byte behind each frame is in a page that nobody may touch: one read past the end would kill the test.
"""

from __future__ import annotations

import functools

from hypothesis import given, settings
from hypothesis import strategies as st
from scapy.compat import raw
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import IPv6, IPv6ExtHdrFragment, IPv6ExtHdrHopByHop, IPv6ExtHdrRouting
from scapy.layers.l2 import Dot1Q, Ether

from tests.kit.edge import at_the_edge
from tests.kit.places import BUNDLED
from tests.kit.probe import Probe
from tests.kit.rig import read_capture
from zcframe.framework import abi

# What an attribute may hold at most; the others are halves of addresses, which take all 64 bits.
LIMITS = {
    "caplen": 2049, "wirelen": 2**32, "iface": 2**16, "rss_hash": 2**32, "rss_type": 256, "bucket": 129, "ts": 2**63,
    "eth_dst": 2**48, "eth_src": 2**48, "ethertype": 2**16, "vlan_count": 33, "vlan": 4096, "vlan2": 4096,
    "ip_version": 7, "proto": 256, "ttl": 256, "sport": 2**16, "dport": 2**16, "tcp_flags": 256, "tcp_seq": 2**32,
    "tcp_ack": 2**32, "tcp_window": 2**16, "icmp": 2**16, "is_fragment": 2, "is_later_fragment": 2,
}  # fmt: skip


@functools.cache
def real_frames() -> list[bytes]:
    """One frame of each length of the bundled trace, and some with headers that it lacks."""
    by_length = {len(frame.data): frame.data for frame in read_capture(BUNDLED)}
    ether = Ether()
    more = [
        ether / IPv6() / IPv6ExtHdrHopByHop() / IPv6ExtHdrRouting(addresses=["::1", "::2"]) / TCP() / b"x",
        ether / Dot1Q() / IPv6() / IPv6ExtHdrFragment(m=1) / UDP() / bytes(20),
        ether / Dot1Q() / Dot1Q() / IP(options=b"\x01" * 40) / TCP(options=[("NOP", None)] * 40),
        ether / IP() / TCP(dataofs=15),
    ]
    return [*by_length.values(), *(raw(packet) for packet in more)]


def check(frame: bytes) -> None:
    frame = frame[: abi.BLOCK_SIZE]
    probe = Probe(frame, address=at_the_edge(frame))
    offsets, _ = probe.decoded()
    l3, l4, payload, end = (offsets >> shift & 0xFFFF for shift in (0, 16, 32, 48))
    assert 0 <= l3 <= len(frame)
    assert l4 == 0 or l3 < l4 <= payload
    assert l3 <= payload <= end <= len(frame)
    found = probe.attributes()
    # What `pkt.payload` shows lies behind the L4 header, if there is one, and ends with the IP packet.
    octets_of = {"frame": frame, "payload": frame[end - found["len(payload)"] : end]}
    assert found["len(payload)"] <= end - payload
    assert l4 or found["len(payload)"] == end - payload
    for name, limit in LIMITS.items():
        assert 0 <= found[name] < limit, (name, found[name])
    for view in ("frame", "payload"):
        length = found[f"len({view})"]
        octets = octets_of[view]
        assert [byte for byte, _, _ in probe.read(view, 0, length + 5)] == [*octets, 0, 0, 0, 0, 0]


@settings(deadline=None, max_examples=300)
@given(st.binary(max_size=200))
def test_garbage(frame: bytes) -> None:
    check(frame)


HEADS = st.sampled_from(
    [b"\x08\x00\x45", b"\x86\xdd\x60", b"\x81\x00\x00\x01\x08\x00\x4f", b"\x88\xa8\x00\x01\x81\x00\x00\x02\x86\xdd\x6f"]
)
# Types of every header that is looked into, and beginnings of some: garbage behind these goes further.
LED_ON = st.sampled_from(
    [
        *(
            bytes.fromhex(kind)
            for kind in ("8100", "88a8", "9100", "9200", "9300", "8926", "893f", "892f", "f1c1", "8909")
        ),
        *(
            bytes.fromhex(kind)
            for kind in ("6558", "8903", "88e7", "88e500", "88e520", "22f300ff", "22f3", "d28b00010010")
        ),
        *(bytes.fromhex(kind) for kind in ("884700010040", "884700010140", "88470001014000000000", "8848", "88640011")),
        *(bytes.fromhex(kind) for kind in ("8864110000010000", "88641100000100003dc0", "886411000001000000314001")),
        *(
            bytes.fromhex(kind)
            for kind in ("0030aaaa03000000", "0030060603", "8870aaaa030000f8", "894f0fc20201", "894f0fc20103")
        ),
        *(b"\x08\x00\x45" + bytes(8) + b"\x33" + bytes(10), b"\x86\xdd\x60" + bytes(5) + b"\x33"),
    ]
)


@settings(deadline=None, max_examples=300)
@given(HEADS, st.binary(max_size=150))
def test_garbage_behind_a_plausible_head(head: bytes, rest: bytes) -> None:
    check(bytes(12) + head + rest)


@settings(deadline=None, max_examples=400)
@given(st.lists(LED_ON | st.binary(max_size=6), max_size=40), st.binary(max_size=60))
def test_garbage_behind_heads_of_all_kinds(heads: list[bytes], rest: bytes) -> None:
    check(bytes(12) + b"".join(heads) + rest)


@settings(deadline=None, max_examples=400)
@given(st.data())
def test_damaged_real_frames(data: st.DataObject) -> None:
    frame = bytearray(data.draw(st.sampled_from(real_frames())))
    for _ in range(data.draw(st.integers(0, 6))):
        # Headers are where damage tells.
        frame[data.draw(st.integers(0, min(len(frame), 80) - 1))] = data.draw(st.integers(0, 255))
    check(bytes(frame[: data.draw(st.integers(0, len(frame)))]))


def test_every_cut_of_every_kind_of_frame() -> None:
    for frame in real_frames()[-24:]:
        for length in range(min(len(frame), 150)):
            check(frame[:length])


def test_blocks_that_are_full() -> None:
    for fill in (0x00, 0x45, 0x60, 0xFF):
        check(bytes(12) + b"\x08\x00\x45\x00\xff\xff" + bytes([fill]) * 3000)
        check(bytes(12) + b"\x86\xdd" + bytes([fill]) * 3000)
