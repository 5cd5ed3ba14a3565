"""Views of a packet's bytes: slices, searches, words of both byte orders, against Python's own bytes."""

from __future__ import annotations

import ipaddress
import random
from types import SimpleNamespace
from typing import Any

import pytest
from scapy.compat import raw
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import IPv6, IPv6ExtHdrHopByHop
from scapy.layers.l2 import ARP, Ether

from tests.kit.plainly import state_of
from tests.kit.probe import Probe
from tests.kit.rig import run
from zcframe import PASS, Array, i64, plugin
from zcframe.framework.packet.plain import View

ether = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
TEN = ipaddress.ip_address("10.0.0.1")
LOOP = ipaddress.ip_address("::1")
NEEDLE = b"\0ab"


@plugin(per="worker")
class Looks:
    """Everything that can be asked of a view; the first byte of the payload says about which part of it."""

    found = Array(i64, 40)

    @staticmethod
    def filter(pkt, state, params):  # type: ignore[no-untyped-def]
        out, view = state.found, pkt.payload
        a, b = view[0] - 128, view[1] - 128
        part = view[a:b]
        out[0], out[1], out[2], out[3] = len(part), part[0], len(view[a:]), len(view[:b])
        out[4], out[5], out[6] = view.u16(a), view.u32(a), view.u64(a)
        out[7], out[8], out[9] = view.u16le(a), view.u32le(a), view.u64le(a)
        out[10], out[11] = part.find(b"ab"), view.find(NEEDLE, b)
        out[12], out[13] = part.find(part[2:4]), part.find(b"")
        out[14], out[15] = part.startswith(b"ab"), part.endswith(NEEDLE)
        out[16], out[17] = part == view[2 : 2 + len(part)], part != b"ab"
        out[18], out[19] = b"ab" in part, part[-3:-1] == b"ab"
        total = 0
        for byte in part:
            total = total * 31 + byte & 0xFFFFFFF
        out[20] = total
        for byte in view[-2:]:
            out[21] += byte
        out[22] = 1 if part else 2
        out[23] = part[1:][1:].u16(0)
        out[24] = view[: len(view)].startswith(view)
        return PASS


def letters(source: random.Random) -> bytes:
    return bytes([source.randrange(256), source.randrange(256)]) + bytes(
        source.choices(b"ab\0\xff", k=source.randrange(90))
    )


def test_views_are_bytes() -> None:
    source = random.Random(7)
    expected = state_of(Looks.__zcframe__.state)  # type: ignore[attr-defined]
    with run([Looks], []) as rig:
        for _ in range(500):
            payload = letters(source)
            rig.feed([raw(ether / IP(src="10.0.0.1", dst="10.0.0.2") / UDP(sport=1, dport=2) / payload)])
            Looks.filter(SimpleNamespace(payload=View(payload)), expected, None)
            assert rig.state("looks").found.tolist() == list(expected.found), payload
        assert rig.ledger()["faulted"] == {"looks": 0}


@plugin(per="worker")
class Addresses:
    found = Array(i64, 12)

    @staticmethod
    def filter(pkt, state, params):  # type: ignore[no-untyped-def]
        out = state.found
        out[0], out[1], out[2] = pkt.src == TEN, pkt.dst == LOOP, pkt.src != pkt.dst
        out[3], out[4], out[5], out[6] = pkt.src < pkt.dst, pkt.src <= pkt.dst, pkt.src > pkt.dst, pkt.src >= pkt.dst
        out[7], out[8] = min(pkt.src, pkt.dst).hi, max(pkt.src, pkt.dst).lo
        low, high = (pkt.src, pkt.dst) if pkt.src < pkt.dst else (pkt.dst, pkt.src)
        out[9], out[10] = low.lo, high.hi
        out[11] = pkt.src in (TEN, LOOP)
        return PASS


PAIRS = [
    ("10.0.0.1", "10.0.0.1"), ("10.0.0.1", "200.0.0.1"), ("200.0.0.1", "10.0.0.1"), ("::1", "::2"), ("::", "::1"),
    ("ff02::1", "fe80::1"), ("2001:db8::1", "ff00::"), ("8000::", "7fff::"), ("1::ffff:0:0:0", "1::1"),
]  # fmt: skip


def number(text: str) -> int:
    found = ipaddress.ip_address(text)
    return int(found) | (0xFFFF << 32 if found.version == 4 else 0)


def signed(half: int) -> int:
    return half - (1 << 64) if half >> 63 else half


@pytest.mark.parametrize(("source", "target"), PAIRS)
def test_addresses_compare_as_numbers(source: str, target: str) -> None:
    a, b = number(source), number(target)
    ip = (IPv6 if ":" in source else IP)(src=source, dst=target)
    low, high = min(a, b), max(a, b)
    expected = [source == "10.0.0.1", target == "::1", a != b, a < b, a <= b, a > b, a >= b]
    expected += [signed(low >> 64), signed(high & 2**64 - 1), signed(low & 2**64 - 1), signed(high >> 64)]
    with run([Addresses], [raw(ether / ip / UDP(sport=1, dport=2))]) as rig:
        assert rig.state("addresses").found.tolist() == [*expected, source in ("10.0.0.1", "::1")]


v4, v6 = IP(src="10.0.0.1", dst="10.0.0.2"), IPv6(src="::1", dst="::2")
DATA = bytes(100)


@pytest.mark.parametrize(
    ("packet", "l3", "l4", "payload"),
    [
        (v4 / UDP() / DATA, 128, 108, 100),
        (v4 / TCP(options=[("MSS", 1460)]) / DATA, 144, 124, 100),
        (IP(src="10.0.0.1", dst="10.0.0.2", options=b"\x01" * 8) / TCP() / DATA, 148, 120, 100),
        (IP(src="10.0.0.1", dst="10.0.0.2", proto=89) / DATA, 120, 100, 100),
        (v6 / UDP() / DATA, 148, 108, 100),
        (v6 / IPv6ExtHdrHopByHop() / TCP() / DATA, 168, 120, 100),
        (IP(src="10.0.0.1", dst="10.0.0.2", frag=4, proto=17) / DATA, 120, 0, 100),
        (ARP(), 28, 0, 28),
    ],
)
def test_lengths_of_headers_and_payload(packet: Any, l3: int, l4: int, payload: int) -> None:
    """Of the whole packet, with padding behind it, and cut by the capture."""
    frame = raw(ether / packet)
    found = Probe(frame).attributes()
    assert (found["len(l3)"], found["len(l4)"], found["payload_wirelen"]) == (l3, l4, payload)
    assert found["len(payload)"] == payload
    if payload == 100:
        padded = Probe(frame + bytes(9)).attributes()
        assert (padded["len(l3)"], padded["payload_wirelen"]) == (l3, payload)
    for length in range(len(frame) - 99 if payload == 100 else len(frame), len(frame)):
        cut = Probe(frame[:length], wire=len(frame)).attributes()
        assert cut["payload_wirelen"] == payload
        assert cut["len(payload)"] == payload - (len(frame) - length)
        assert cut["len(l3)"] == l3 - (len(frame) - length)


def test_a_length_that_lies_is_bounded_by_the_frame() -> None:
    frame = bytearray(raw(ether / v4 / UDP() / DATA))
    frame[16:18] = b"\xff\xff"
    assert Probe(bytes(frame)).attributes()["payload_wirelen"] == 100
    frame[16:18] = b"\0\0"
    assert Probe(bytes(frame)).attributes()["payload_wirelen"] == 100
    assert Probe(bytes(13)).attributes()["len(l3)"] == 0
