"""Damaged times in a replay at the original speed: one held it up for hours, without a word."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scapy.compat import raw

from tests.kit.capture_build import Record, pcap

from . import readers
from .case import Case, Files, Kind
from .frames import FIRST_NS, SECOND, ether, flow, ip, udp

HOUR = 3600
WHY = "tcpreplay got --maxsleep for it. tshark reads as many frames"


def wrong(host: int, seconds: float) -> dict[str, bytes]:
    """Five frames within a millisecond, the second one at a time of its own."""
    times = [FIRST_NS + i * 200_000 for i in range(5)]
    times[1] = round(seconds * SECOND)
    return {"a.pcap": pcap(Record(raw(ether / ip(host) / udp), ns) for ns in times)}


START = FIRST_NS // SECOND
CASES = (
    Case(
        name="one-time-far-ahead",
        what="the second frame is stamped 18 hours later than the others",
        why=WHY,
        reported=("appneta/tcpreplay#549",),
        files=wrong(1, START + 18 * HOUR),
        flows=(flow(1, 1000, 2000, 17, 4), flow(1, 1000, 2000, 17)),
        said=("one-time-far-ahead-a.pcap: the time of packet 2 is ",),
    ),
    Case(
        name="one-time-far-behind",
        what="the second frame is stamped 1970",
        why=WHY,
        files=wrong(2, 1),
        flows=(flow(2, 1000, 2000, 17, 4), flow(2, 1000, 2000, 17)),
        said=("one-time-far-behind-a.pcap: the time of packet 2 is ",),
    ),
    Case(
        name="one-time-at-the-end-of-all",
        what="all bits of the second frame's seconds are set: 2106",
        why=WHY,
        files=wrong(3, 2**32 - 1),
        flows=(flow(3, 1000, 2000, 17, 4), flow(3, 1000, 2000, 17)),
        said=("one-time-at-the-end-of-all-a.pcap: the time of packet 2 is ",),
    ),
)


def as_many_frames(files: Files, document: Mapping[str, Any]) -> None:
    """And the flows bear the times of the file, wrong or not."""
    readers.same_flows(files, document)
    assert document["totals"]["packets"] == len(readers.tshark(files, "frame.number"))


KIND = Kind("leaps", CASES, "flows?top=1000", as_many_frames, options=("--speed", "original"))
