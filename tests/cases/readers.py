"""Independent readers: what tshark and capinfos find in the files of a kind."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

from .case import Files

Seen = tuple[int, int, int, int]
"""Packets, bytes, times of the first and the last in ns."""


def every(files: Files) -> list[Path]:
    return [path for paths in files.values() for path in paths]


def tshark(files: Files, *fields: str, shown: str = "frame") -> list[list[str]]:
    """Fields of the frames of all files, one file after the other, as one run of tshark has them."""
    merged = subprocess.run(["mergecap", "-a", "-w", "-", *every(files)], capture_output=True, check=True)
    words = [word for field in fields for word in ("-e", field)]
    command = ["tshark", "-n", "-r", "-", "--enable-protocol", "communityid", "-Y", shown, "-T", "fields", *words]
    read = subprocess.run(command, input=merged.stdout, capture_output=True, check=True)
    return [line.split("\t") for line in read.stdout.decode().splitlines()]


def folded(rows: Iterable[tuple[str, Seen]]) -> dict[str, Seen]:
    """The sum of what was seen under each Community ID."""
    found: dict[str, Seen] = {}
    for name, (packets, octets, first, last) in rows:
        before = found.get(name, (0, 0, first, last))
        found[name] = (before[0] + packets, before[1] + octets, min(before[2], first), max(before[3], last))
    return found


def flows_of(document: Mapping[str, Any]) -> dict[str, Seen]:
    flows = document["plugins"]["flows"]["top"]
    keys = ("packets", "bytes", "first_ns", "last_ns")
    return folded((flow["community_id"], tuple(flow[key] for key in keys)) for flow in flows)


def flows_by_tshark(files: Files, shown: str = "frame") -> dict[str, Seen]:
    found = tshark(files, "communityid", "frame.len", "frame.time_epoch", shown=shown)
    times = [int(Decimal(time) * 10**9) for _, _, time in found]
    return folded((name, (1, int(size), ns, ns)) for (name, size, _), ns in zip(found, times, strict=True))


def same_flows(files: Files, document: Mapping[str, Any]) -> None:
    """Every frame has tshark's Community ID, length and time."""
    assert flows_of(document) == flows_by_tshark(files)
