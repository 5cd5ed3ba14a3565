"""Talkers against dpkt's reading of the bundled trace and of real captures."""

from __future__ import annotations

import socket
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

import dpkt
import pytest
from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import ARP, Ether

from tests.kit.places import BUNDLED
from tests.kit.rig import Frame, Rig, bound, read_capture, run

Counts = dict[str, dict[str, int]]
FIELDS = ("sent_packets", "sent_bytes", "received_packets", "received_bytes")

ether = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")


def by_dpkt(frames: Iterable[Frame]) -> Counts:
    """Packets and bytes by host, as dpkt finds the addresses."""
    counts: Counts = defaultdict(lambda: dict.fromkeys(FIELDS, 0))
    for frame in frames:
        ip = dpkt.ethernet.Ethernet(frame.data).data
        if not isinstance(ip, dpkt.ip.IP | dpkt.ip6.IP6):
            continue
        family = socket.AF_INET if isinstance(ip, dpkt.ip.IP) else socket.AF_INET6
        wire = frame.wire or len(frame.data)
        for way, address in (("sent", ip.src), ("received", ip.dst)):
            host = counts[socket.inet_ntop(family, address)]
            host[f"{way}_packets"] += 1
            host[f"{way}_bytes"] += wire
    return dict(counts)


def by_plugin(rig: Rig) -> Counts:
    report = rig.report("talkers")
    assert report["lost"] == 0
    assert report["count"] == len(report["top"])
    for host in report["top"]:
        assert host["bytes"] == host["sent_bytes"] + host["received_bytes"]
        assert host["packets"] == host["sent_packets"] + host["received_packets"]
    return {host["host"]: {field: host[field] for field in FIELDS} for host in report["top"]}


@pytest.mark.parametrize("queues", [1, 5])
def test_bundled_trace(queues: int) -> None:
    frames = read_capture(BUNDLED)
    with run([bound("talkers", queues, top=100_000)], frames, queues=queues) as rig:
        assert by_plugin(rig) == by_dpkt(frames)
        octets = [host["bytes"] for host in rig.report("talkers")["top"]]
        assert octets == sorted(octets, reverse=True)


@pytest.mark.needs("captures")
@pytest.mark.parametrize("name", ["443-firefox.pcap", "ftp.pcap", "dns_exfiltration.pcap", "6in4tunnel.pcap"])
def test_real_captures(captures: Path, name: str) -> None:
    frames = read_capture(captures / name)
    with run([bound("talkers", top=100_000)], frames) as rig:
        assert by_plugin(rig) == by_dpkt(frames)


def test_a_few_packets() -> None:
    frames = [
        bytes(ether / IP(src="10.0.0.1", dst="10.0.0.2") / UDP() / bytes(100)),
        bytes(ether / IP(src="10.0.0.2", dst="10.0.0.1") / UDP() / bytes(50)),
        bytes(ether / IPv6(src="2001:db8::1", dst="ff02::1") / UDP() / bytes(8)),
        bytes(ether / IP(src="10.0.0.3", dst="10.0.0.3") / UDP()),
        bytes(ether / ARP(psrc="10.0.0.9")),
    ]
    with run([bound("talkers", top=2)], frames) as rig:
        report = rig.report("talkers")
        assert report["count"] == 5
        assert [host["host"] for host in report["top"]] == ["10.0.0.1", "10.0.0.2"]
        assert report["top"][0]["sent_bytes"] == 142
        assert report["top"][0]["received_bytes"] == 92
        lines = rig.lines("talkers")
    assert lines[0] == "5 hosts, 0 times no room in the table"
    assert lines[1] == "10.0.0.1  sent 142  received 92 bytes"


def test_wire_lengths_count_and_hosts_without_room_are_told() -> None:
    """One bucket has all of the least capacity: the ip-pair hash puts both hosts of each pair there."""
    pairs = [(f"10.{i >> 8}.{i & 255}.1", f"10.{i >> 8}.{i & 255}.2") for i in range(1100)]
    frames = [Frame(bytes(ether / IP(src=a, dst=b) / UDP()), i, wire=1500) for i, (a, b) in enumerate(pairs)]
    with run([bound("talkers", capacity=2048, top=3000)], frames, fields="ip-pair", key=bytes(40)) as rig:
        report = rig.report("talkers")
    assert report["count"] == 2048
    assert report["lost"] == 2200 - 2048
    assert {host["bytes"] for host in report["top"]} == {1500}
