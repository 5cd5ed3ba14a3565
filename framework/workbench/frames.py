"""Frames in memory, in the form in which the software NIC takes them: one buffer, and a table of records."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import Any, Final

import numpy as np

from zcframe.framework.sources.capture import batches
from zcframe.framework.sources.capture.records import COLUMNS, LENGTH, OFFSET, TIMESTAMP, WIRE_LENGTH, RecordTable
from zcframe.framework.sources.capture.window import SLACK

from .build import write_pcap

# Frames that have no time of their own come a microsecond apart, from here on.
FIRST_NS: Final = 1_700_000_000 * 10**9
STEP_NS: Final = 1_000
# Most flipped bits are in what plugins read: the headers.
HEADERS: Final = 96
MOST_FLIPS: Final = 6

# What a test may give: the path of a capture, or frames, each as bytes, (ns since the epoch, bytes) or scapy's packet.
Packets = str | PathLike[str] | Iterable[Any]


@dataclass(frozen=True)
class Frames:
    """data: uint8, all frames' bytes and SLACK more. records: int64, shape (n, COLUMNS), see capture/records.py."""

    data: np.ndarray[Any, np.dtype[np.uint8]]
    records: RecordTable

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, rows: Any) -> Frames:
        """Those of a slice, or of an array of row numbers in its order."""
        return replace(self, records=np.ascontiguousarray(self.records[rows]))

    def pairs(self) -> list[tuple[int, bytes]]:
        """(ns since the epoch, bytes) of each."""
        rows = self.records[:, [TIMESTAMP, OFFSET, LENGTH]].tolist()
        return [(ts, self.data[at : at + length].tobytes()) for ts, at, length in rows]

    def cut(self, seed: int) -> Frames:
        """Each frame cut short at random, as a snapshot length does."""
        records = self.records.copy()
        records[:, LENGTH] = np.random.default_rng(seed).integers(1, np.maximum(records[:, LENGTH], 1) + 1)
        return replace(self, records=records)

    def flipped(self, seed: int) -> Frames:
        """Each frame with a few bits flipped at random, most of them in its headers. Frames do not share bytes."""
        random, data = np.random.default_rng(seed), self.data.copy()
        reach = np.minimum(self.records[:, LENGTH], HEADERS)
        for _ in range(MOST_FLIPS):
            chosen = np.flatnonzero((random.random(len(self)) < 0.5) & (reach > 0))
            at = self.records[chosen, OFFSET] + random.integers(0, reach[chosen])
            data[at] ^= np.uint8(1) << random.integers(0, 8, len(chosen), np.uint8)
        return replace(self, data=data)

    def shuffled(self, seed: int) -> Frames:
        """In another order; each frame keeps its time."""
        return self[np.random.default_rng(seed).permutation(len(self))]


def _of_scapy(packet: Any) -> tuple[int | None, bytes]:
    """What is no frame gets an Ethernet header. scapy's time of a packet that was built is that of its building."""
    from scapy.layers.l2 import Dot3, Ether

    framed = (
        packet if isinstance(packet, Ether | Dot3) else Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02") / packet
    )
    return int(packet.time * 10**9) if packet.wirelen is not None else None, bytes(framed)


def _pair(given: Any) -> tuple[int | None, bytes]:
    """(time or None, bytes) of one frame. Raises TypeError for what is none."""
    if isinstance(given, bytes | bytearray | memoryview):
        return None, bytes(given)
    if isinstance(given, tuple) and len(given) == 2 and isinstance(given[0], int | np.integer):
        return int(given[0]), bytes(given[1])
    if hasattr(given, "wirelen") and type(given).__module__.startswith("scapy."):
        return _of_scapy(given)
    raise TypeError(f"a packet is bytes, (ns since the epoch, bytes) or a packet of scapy, not {given!r:.80}")


def _of_pairs(pairs: Sequence[tuple[int | None, bytes]]) -> Frames:
    records = np.zeros((len(pairs), COLUMNS), np.int64)
    lengths = np.array([len(data) for _, data in pairs], np.int64)
    records[:, LENGTH] = records[:, WIRE_LENGTH] = lengths
    records[1:, OFFSET] = lengths.cumsum()[:-1]
    clock = FIRST_NS - STEP_NS
    for row, (ts, _) in enumerate(pairs):
        clock = clock + STEP_NS if ts is None else ts
        records[row, TIMESTAMP] = clock
    return Frames(np.frombuffer(b"".join(data for _, data in pairs) + bytes(SLACK), np.uint8), records)


def read_frames(path: str | PathLike[str]) -> Frames:
    """All frames of a capture file, as a run reads them. Raises CaptureFileError, LinkTypeError."""
    parts, tables, size = [], [np.zeros((0, COLUMNS), np.int64)], 0
    for data, records in batches(str(Path(path))):
        first, end = int(records[:, OFFSET].min()), int((records[:, OFFSET] + records[:, LENGTH]).max())
        table = records.copy()
        table[:, OFFSET] += size - first
        parts.append(data[first:end].copy())
        tables.append(table)
        size += end - first
    return Frames(np.concatenate([*parts, np.zeros(SLACK, np.uint8)]), np.concatenate(tables))


def frames_of(packets: Packets) -> Frames:
    """The frames of what a test gives: a path, or bytes, (ns, bytes) and packets of scapy one by one.

    One that has no time comes a microsecond after the one before it. Raises TypeError, CaptureFileError, LinkTypeError.
    """
    if isinstance(packets, Frames):
        return packets
    if isinstance(packets, str | PathLike):
        return read_frames(packets)
    if isinstance(packets, bytes | bytearray):
        raise TypeError("packets are a list: [packet] where there is one")
    return _of_pairs([_pair(packet) for packet in packets])


def write_capture(path: str | PathLike[str], packets: Packets) -> Path:
    """Write packets, as `frames_of` takes them, to a pcap file with times in ns. Returns its path."""
    return write_pcap(path, frames_of(packets).pairs())
