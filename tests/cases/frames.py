"""Frames of hosts with addresses of the documentation ranges, and captures of them."""

from __future__ import annotations

from collections.abc import Iterable

from scapy.compat import raw
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether
from scapy.packet import Packet

from tests.kit.capture_build import Record, pcap

from .case import Flow

FIRST_NS = 1_700_000_000 * 10**9
SECOND = 10**9
ether = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
udp = UDP(sport=1000, dport=2000) / b"hello"
syn = TCP(sport=40000, dport=80, flags="S")


def ends(host: int, *, v6: bool = False) -> tuple[str, str]:
    """Client and server number `host`."""
    return (f"2001:db8:{host:x}::1", f"2001:db8:{host:x}::2") if v6 else (f"192.0.2.{host}", f"198.51.100.{host}")


def ip(host: int, *, v6: bool = False, back: bool = False, **more: int) -> Packet:
    """An IP header from client to server, or back."""
    src, dst = reversed(ends(host, v6=v6)) if back else ends(host, v6=v6)
    return (IPv6 if v6 else IP)(src=src, dst=dst, **more)


def flow(host: int, sport: int, dport: int, proto: int, packets: int = 1, *, v6: bool = False) -> Flow:
    src, dst = ends(host, v6=v6)
    return Flow(src, sport, dst, dport, proto, packets)


def capture(frames: Iterable[Packet | bytes], *, step: int = 1000, link: int = 1) -> dict[str, bytes]:
    """One pcap file, frames `step` ns apart."""
    records = [Record(raw(frame), FIRST_NS + i * step) for i, frame in enumerate(frames)]
    return {"a.pcap": pcap(records, link=link)}


def timed(frames: Iterable[tuple[float, Packet]]) -> dict[str, bytes]:
    """One pcap file of frames at times in seconds."""
    return {"a.pcap": pcap([Record(raw(frame), FIRST_NS + round(at * SECOND)) for at, frame in frames])}
