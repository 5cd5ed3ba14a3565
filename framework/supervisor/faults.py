"""Reads what plugins raised out of the workers' memory."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from zcframe.framework.chain.bound import BoundPlugin
from zcframe.framework.chain.fault import (
    DESTINATION,
    FRAME,
    FRAME_SIZE,
    KEPT,
    LOW,
    NUMBER,
    PLUGIN,
    PORTS,
    PROTOCOL,
    SOURCE,
    TALLY,
    TEXT,
    TS,
    WIRE,
)
from zcframe.framework.chain.workspace import FAULT_ENTRIES, FAULT_ENTRY, FAULTS
from zcframe.framework.state.addresses import ip_text
from zcframe.framework.stats import Fault, FaultyPacket, end_text
from zcframe.framework.terminal import clean
from zcframe.framework.worker.post import Post

Row = np.ndarray[Any, np.dtype[np.uint64]]


def _end(row: Row, at: int, port: int) -> str:
    if not int(row[PROTOCOL // 8]) >> 8:
        return ""
    return end_text(ip_text(row[at // 8], row[at // 8 + 1]), port)


def _packet(row: Row, worker: int) -> FaultyPacket:
    ports, data = int(row[PORTS // 8]), row.tobytes()
    return FaultyPacket(
        worker=worker,
        number=int(row[NUMBER // 8]),
        ts=int(row[TS // 8]),
        length=int(row[WIRE // 8]),
        source=_end(row, SOURCE, ports >> 16 & 0xFFFF),
        destination=_end(row, DESTINATION, ports & 0xFFFF),
        protocol=int(row[PROTOCOL // 8]) & 0xFF,
        frame=data[FRAME : FRAME + min(int(row[KEPT // 8]), FRAME_SIZE)],
    )


def _of(post: Post, plugins: Sequence[BoundPlugin]) -> Iterable[Fault]:
    words = post.progress.view("u8", FAULTS, FAULT_ENTRIES * FAULT_ENTRY // 8).reshape(FAULT_ENTRIES, -1)
    for row in words[words[:, PLUGIN // 8] != 0].copy():
        packets = int(row[TALLY // 8]) & LOW
        # A worker is a process that has read strangers' frames: what it leaves is text, and no more.
        text = row.tobytes()[TEXT:FRAME].partition(b"\0")[0].decode(errors="replace")
        if packets and row[PLUGIN // 8] <= len(plugins):
            yield Fault(plugins[int(row[PLUGIN // 8]) - 1].name, clean(text), packets, _packet(row, post.number))


def read_faults(posts: Iterable[Post], plugins: Sequence[BoundPlugin]) -> tuple[Fault, ...]:
    """What plugins raised so far, of all workers together, the most frequent first."""
    found: dict[tuple[str, str], Fault] = {}
    for fault in (fault for post in posts for fault in _of(post, plugins)):
        key = fault.plugin, fault.reason
        found[key] = found[key] + fault if key in found else fault
    return tuple(sorted(found.values(), key=lambda fault: -fault.packets))
