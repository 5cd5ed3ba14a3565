"""What a run says of packets without IP: in the document, in the summary, over several files and workers."""

from __future__ import annotations

import json
import random
import struct
import subprocess
from pathlib import Path

from scapy.compat import raw
from scapy.contrib.mpls import MPLS
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import ARP, Dot1Q, Ether

from tests.kit.capture_build import Record, pcap
from tests.kit.command import PROGRAM

ether = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
MACS = raw(ether)[:12]
RARE = 30


def capture(path: Path, frames: list[bytes]) -> str:
    random.Random(1).shuffle(frames)
    path.write_bytes(pcap([Record(frame) for frame in frames]))
    return str(path)


def told(*words: str) -> str:
    command = [*PROGRAM, "run", "--queues", "2", "--plugin", "flows", *words]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_packets_without_ip_are_counted_by_ethertype(tmp_path: Path) -> None:
    ip = IP(src="192.0.2.1", dst="198.51.100.2") / UDP(sport=1000, dport=2000) / b"x"
    flow = [raw(ether / Dot1Q() / Dot1Q() / Dot1Q() / ip), raw(ether / MPLS(label=20, s=1) / ip), raw(ether / ip)]
    arp, spanning_tree = raw(ether / ARP()), MACS + b"\0\x26\x42\x42\x03" + bytes(35)
    rare = [MACS + struct.pack(">H", 0xB000 + number) + bytes(46) for number in range(RARE)]
    one = capture(tmp_path / "1.pcap", [*flow * 3, *[arp] * 200, *rare])
    two = capture(
        tmp_path / "2.pcap", [*[arp] * 50, *[spanning_tree] * 7, MACS + b"\x08\x00\x45" + bytes(10)] + [MACS] * 2
    )
    found = json.loads(told("--json", "--read", one, "--read", two))
    assert found["plugins"]["flows"]["count"] == 1
    assert found["plugins"]["flows"]["packets"] == 9
    counted = found["totals"]["no_ip"]
    assert counted["packets"] == 250 + RARE + 7 + 1 + 2 == found["totals"]["packets"] - 9
    assert list(counted["ethertypes"].items())[:3] == [("0x0806", 250), ("802.3", 7), ("none", 2)]
    assert len(counted["ethertypes"]) == 17
    assert counted["ethertypes"]["other"] == counted["packets"] - 259 - 13
    summary = told("--read", two)
    assert "no IP in 60 packets:  ARP (0x0806) 50  802.3 7  none 2  IPv4 (0x0800) 1" in summary
