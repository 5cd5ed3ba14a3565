"""Half-open connections: a SYN that is sent again asks for the same one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from scapy.layers.inet import TCP
from scapy.packet import Packet

from . import readers
from .case import Case, Files, Kind
from .frames import capture, ends, ether, ip, timed

TOP = "plugins.synflood.top"
# RFC 6298, 5.5: the time doubles with each.
TIMES = (0, 1, 3, 7, 15, 31)
WHY = "tcp.stream of tshark counts the connections, its tcp.analysis.retransmission the SYNs that are sent again"


def syn(host: int, number: int, *, v6: bool = False) -> Packet:
    return ether / ip(host, v6=v6) / TCP(sport=20000 + number, dport=443, flags="S", seq=number)


def counted(syns: int, again: int, destinations: int = 1) -> dict[str, int]:
    names = {"syns": syns, "again": again, "destinations": destinations, "half_open": syns - again}
    return {f"plugins.synflood.{name}": number for name, number in names.items()}


CASES = (
    Case(
        name="syn-sent-again",
        what="20 clients ask a dead server, each sends its SYN six times: 20 connections, no flood of more than 100",
        why=WHY,
        reported=("ntop/ntopng#8631",),
        files=timed((at + i / 1000, syn(1, i)) for at in TIMES for i in range(20)),
        adds=counted(120, 100),
    ),
    Case(
        name="syn-of-ipv6-sent-again",
        what="90 clients of IPv6 at once, each sends its SYN twice: 180 SYNs, 90 connections",
        why=WHY,
        files=timed((at + i / 1000, syn(2, i, v6=True)) for at in (0, 0.2) for i in range(90)),
        adds=counted(180, 90),
    ),
    Case(
        name="a-flood-after-all",
        what="120 connections that are asked for once each: a flood",
        why="tshark marks none of them as sent again",
        files=capture(syn(3, i) for i in range(120)),
        adds={**counted(120, 0), "plugins.synflood.over": 1},
        rows={TOP: ({"dst": ends(3)[1], "dport": 443, "half_open": 120, "peak": 120, "syns": 120, "again": 0},)},
    ),
)


def sent_again(files: Files, document: Mapping[str, Any]) -> None:
    """As many connections, and as many SYNs of the same ones, as tshark counts."""
    found = readers.tshark(files, "tcp.stream", "tcp.analysis.retransmission", "ip.dst", "ipv6.dst")
    streams = defaultdict(set)
    for stream, _, v4, v6 in found:
        streams[v4 or v6].add(stream)
    report = document["plugins"]["synflood"]
    assert report["again"] == sum(again != "" for _, again, _, _ in found)
    assert report["half_open"] == sum(map(len, streams.values()))
    assert [row["dst"] for row in report["top"]] == [host for host, those in streams.items() if len(those) > 100]


KIND = Kind("half-open", CASES, "synflood", sent_again)
