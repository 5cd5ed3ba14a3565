"""A made capture with something for each of the five: names, handshakes, a scan of each kind, beacons and requests."""

from __future__ import annotations

import itertools
import random
import ssl
from collections.abc import Iterator
from typing import Any

from scapy.compat import raw
from scapy.layers.inet import IP, TCP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Dot1Q, Ether

Frame = tuple[int, bytes]
SECOND = 10**9
START = 1_700_000_000 * SECOND
LONGEST_NAME = ".".join(["n" * 63] * 3 + ["m" * 61])


def client_hello(name: str, version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> bytes:
    """What OpenSSL sends first to a server of this name; "": it names none."""
    context = ssl.create_default_context()
    context.check_hostname = bool(name)
    context.maximum_version = version
    context.set_ecdh_curve("prime256v1")
    out = ssl.MemoryBIO()
    try:
        context.wrap_bio(ssl.MemoryBIO(), out, server_hostname=name or None).do_handshake()
    except ssl.SSLWantReadError:
        return out.read()
    raise AssertionError("a handshake ended before it began")


def frame(src: str, dst: str, data: bytes = b"", vlan: int = 0, **fields: Any) -> bytes:
    ip = (IPv6 if ":" in src else IP)(src=src, dst=dst)
    ether = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
    return raw((ether / Dot1Q(vlan=vlan) if vlan else ether) / ip / TCP(**fields) / data)


def _names() -> Iterator[Frame]:
    at = itertools.count(START, SECOND)
    for number, (name, port) in enumerate(
        (("www.example.org", 443), ("a.example", 8443), (LONGEST_NAME, 993), ("", 443))
    ):
        for version, vlan, src, dst in (
            (ssl.TLSVersion.TLSv1_2, 0, "192.0.2.1", "198.51.100.1"),
            (ssl.TLSVersion.TLSv1_3, 7, "2001:db8::1", "2001:db8::2"),
        ):
            hello = client_hello(name, version)
            yield next(at), frame(src, dst, hello, vlan, sport=30000 + number, dport=port, flags="PA", seq=1, ack=1)


def _handshakes() -> Iterator[Frame]:
    """Of 200 connections: each fifth repeats its SYN, each 7th its SYN-ACK, each 13th both; each 11th has no answer."""
    draw = random.Random(5)
    for number in range(200):
        six, at = number % 2, START + draw.randrange(600 * SECOND)
        client, server = ("2001:db8::10", "2001:db8::20") if six else ("192.0.2.10", "198.51.100.20")
        sport, dport, seq = 20000 + number, (80, 8080)[number % 3 == 0], draw.randrange(1 << 32)
        ask = frame(client, server, sport=sport, dport=dport, flags="S", seq=seq)
        answer = frame(
            server, client, sport=dport, dport=sport, flags="SA", seq=draw.randrange(1 << 32), ack=(seq + 1) % (1 << 32)
        )
        delay = draw.randrange(10**5, SECOND // 4)
        yield at, ask
        if number % 5 == 0:
            yield at + SECOND // 8, ask
        if number % 11:
            yield at + SECOND // 8 + delay, answer
            if number % 7 == 0:
                yield at + SECOND // 2, answer
            if number % 13 == 0:
                yield at + SECOND * 5 // 8, ask
                yield at + SECOND * 6 // 8, answer


def _scans() -> Iterator[Frame]:
    """500 ports of one host, port 22 of 300 hosts, and 25 ports, which are still counted exactly."""
    at = itertools.count(START, SECOND // 100)
    for port in range(1, 501):
        yield next(at), frame("192.0.2.66", "198.51.100.66", sport=40000, dport=port, flags="S", seq=port)
    for host in range(300):
        yield next(at), frame("2001:db8::66", f"2001:db8:1::{host:x}", sport=40000, dport=22, flags="S", seq=host)
    for port in range(1, 26):
        yield next(at), frame("192.0.2.67", "198.51.100.67", sport=40000, dport=port, flags="S", seq=port)


def _beacons() -> Iterator[Frame]:
    """A host that connects each minute, one that does so with some noise, each with a SYN sent twice, and one at random."""
    draw = random.Random(7)
    for host, noise in (("192.0.2.90", 10), ("2001:db8::90", SECOND * 4), ("192.0.2.91", SECOND * 55)):
        server = "2001:db8::bad" if ":" in host else "203.0.113.13"
        for number in range(40):
            at = START + number * 60 * SECOND + draw.randrange(noise)
            ask = frame(
                host, server, sport=draw.randrange(1024, 65536), dport=8443, flags="S", seq=draw.randrange(1 << 32)
            )
            yield at, ask
            if number == 9:
                yield at + SECOND, ask


def _requests() -> Iterator[Frame]:
    lines = [
        b"GET / HTTP/1.1",
        b"POST /a?b=c%20d HTTP/1.0",
        b"DELETE /" + b"x" * 900 + b" HTTP/1.1",
        b"OPTIONS * HTTP/1.1",
    ]
    for number, (line, six) in enumerate(itertools.product(lines, (0, 1))):
        src, dst = ("2001:db8::1", "2001:db8::80") if six else ("192.0.2.1", "198.51.100.80")
        data = line + b"\r\nHost: www.example.org\r\nContent-Length: 0\r\n\r\n"
        yield START + number, frame(src, dst, data, sport=50000 + number, dport=80, flags="PA", seq=1, ack=1)


def made() -> list[Frame]:
    """All of it, in the order of time."""
    return sorted(itertools.chain(_names(), _handshakes(), _scans(), _beacons(), _requests()))
