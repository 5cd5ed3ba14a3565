"""Damaged files in front of others: what followed was never read."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from typing import Any

from scapy.compat import raw

from tests.kit.capture_build import Record, enhanced, interface, pcap, section

from . import readers
from .case import Case, Files, Kind
from .frames import FIRST_NS, capture, ether, flow, ip, udp

CAPINFOS = "capinfos counts as many whole records; the exit code tells of the damage"


def records(host: int) -> list[Record]:
    return [Record(raw(ether / ip(host) / udp), FIRST_NS + i * 1000) for i in range(3)]


def blocks(host: int) -> bytes:
    return section() + interface(tsresol=9) + b"".join(enhanced(record.data, record.ns) for record in records(host))


CASES = (
    Case(
        name="cut-file-before-others",
        what="the first of two files ends within a record, as one does whose writer was killed; the second one is whole",
        why=CAPINFOS,
        reported=("nprint/nprintml#38", "zeek/zeek#3497"),
        files={"cut.pcap": pcap(records(1))[:-9], **capture([ether / ip(1) / udp] * 3)},
        flows=(flow(1, 1000, 2000, 17, 5),),
        said=("cut-file-before-others-cut.pcap is cut short",),
    ),
    Case(
        name="cut-elsewhere",
        what="files that end within a record's header, within a block, and within a block's length",
        why=CAPINFOS,
        files={"head.pcap": pcap(records(2))[: -47 - 3], "block.pcapng": blocks(2)[:-20], "end.pcapng": blocks(2)[:-2]},
        flows=(flow(2, 1000, 2000, 17, 2 + 2 + 2),),
        said=("-head.pcap is cut short", "-block.pcapng is cut short", "-end.pcapng is cut short"),
    ),
    Case(
        name="no-capture-at-all",
        what="an empty file, a text, and a whole file behind both",
        why="capinfos opens neither",
        files={"empty.pcap": b"", "text.pcap": b"# a list of captures\n" * 9, **capture([ether / ip(3) / udp])},
        flows=(flow(3, 1000, 2000, 17),),
        said=("-empty.pcap is empty", "-text.pcap is not a capture file"),
    ),
)


def as_many_records(files: Files, document: Mapping[str, Any]) -> None:
    counted = subprocess.run(["capinfos", "-Trcm", *readers.every(files)], capture_output=True, text=True, check=False)
    numbers = [row.split(",")[1] for row in counted.stdout.splitlines()]
    assert counted.returncode != 0
    assert document["totals"]["packets"] == sum(map(int, numbers)), counted


KIND = Kind(
    "damage", CASES, "flows?top=1000", as_many_records, code=1, said=("6 of 8 files could not be replayed whole",)
)
