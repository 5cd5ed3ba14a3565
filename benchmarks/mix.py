"""A capture of many megabytes from many small real ones, interleaved as on a busy link; the same one every time.

Only whole Ethernet frames that a NIC could have received: records cut by a snap length, and segments that offloading
had merged, are left out. Times are made up, one microsecond apart: no reader's time-out ends a flow.
"""

from __future__ import annotations

import logging
import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scapy.utils import RawPcapReader

from zcframe.framework.sources.trace import bundled_trace

ROOT = Path(__file__).resolve().parents[1]
LINKTYPE_ETHERNET = 1
MAX_FRAME = 1518  # with one VLAN tag, without FCS
MIN_FRAME = 14
FIRST_SECOND = 1_700_000_000
PCAP_HEADER = struct.pack("=IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, LINKTYPE_ETHERNET)
RECORD = np.dtype([("seconds", "u4"), ("microseconds", "u4"), ("captured", "u4"), ("wire", "u4")])
TAGS = (0x8100, 0x88A8, 0x9100)
# What renumbering may not give or take: the two ways to write zero in ones' complement.
ZEROS = (0, 0xFFFF)


@dataclass(frozen=True)
class Mix:
    """A capture file that was made: pcap, microseconds, machine byte order."""

    path: Path
    packets: int
    bytes: int
    made_of: str


def sources() -> list[Path]:
    """Real captures of $ZCFRAME_CAPTURES or ../shared/captures, else the bundled trace alone."""
    named = os.environ.get("ZCFRAME_CAPTURES")
    folder = Path(named) if named else ROOT.parent / "shared" / "captures"
    return sorted(folder.glob("*.pcap*")) or [bundled_trace()]


# Decryption keys in a capture are nothing to us; scapy would warn that it cannot use them.
logging.getLogger("scapy.runtime").setLevel(logging.ERROR)


def _whole_frames(path: Path) -> Iterator[bytes]:
    with RawPcapReader(str(path)) as records:
        for frame, meta in records:
            linktype = getattr(meta, "linktype", None)
            if linktype is None:
                linktype = records.linktype
            if linktype == LINKTYPE_ETHERNET and meta.wirelen == len(frame) and MIN_FRAME <= len(frame) <= MAX_FRAME:
                yield frame


def interleaved(paths: list[Path]) -> list[bytes]:
    """Whole frames of all files, each file spread evenly over the whole, its own order kept."""
    placed = []
    for path in paths:
        frames = list(_whole_frames(path))
        placed += [((i + 0.5) / len(frames), path.name, i, frame) for i, frame in enumerate(frames)]
    return [frame for _, _, _, frame in sorted(placed)]


def _address_words(frame: bytes) -> list[int]:
    """Offsets of the 16-bit word pairs, one in each IP address, that tell one copy of a host from another."""
    at = 12
    while at + 6 <= len(frame) and int.from_bytes(frame[at : at + 2], "big") in TAGS:
        at += 4
    ethertype, ip = int.from_bytes(frame[at : at + 2], "big"), at + 2
    if ethertype == 0x0800 and len(frame) >= ip + 20:
        return [ip + 12, ip + 16]
    if ethertype == 0x86DD and len(frame) >= ip + 40:
        return [ip + 8 + 2, ip + 24 + 2]
    return []


class _Base:
    """One copy of the mix as file bytes, and where its records and addresses are."""

    def __init__(self, frames: list[bytes]) -> None:
        lengths = np.array([len(frame) for frame in frames], np.int64)
        self.starts = np.concatenate(([0], np.cumsum(lengths + RECORD.itemsize)))[:-1]
        self.ends = self.starts + RECORD.itemsize + lengths
        self.lengths = lengths
        self.data = np.frombuffer(b"".join(bytes(RECORD.itemsize) + frame for frame in frames), np.uint8)
        words = [self.starts[i] + RECORD.itemsize + at for i, f in enumerate(frames) for at in _address_words(f)]
        self.words = np.array(words, np.int64)

    def copy(self, number: int, *, renumber: bool) -> np.ndarray[Any, np.dtype[np.uint8]]:
        """File bytes of copy `number`, with its own times and, if asked, its own addresses."""
        data = self.data.copy()
        count = len(self.starts)
        ticks = np.arange(number * count, (number + 1) * count)
        heads = np.empty(count, RECORD)
        heads["seconds"], heads["microseconds"] = FIRST_SECOND + ticks // 1_000_000, ticks % 1_000_000
        heads["captured"] = heads["wire"] = self.lengths
        data[self.starts[:, None] + np.arange(RECORD.itemsize)] = heads.view(np.uint8).reshape(count, -1)
        if renumber and number:
            _renumber(data, self.words, number)
        return data


def _renumber(data: np.ndarray[Any, np.dtype[np.uint8]], words: np.ndarray[Any, Any], number: int) -> None:
    """Move addresses by `number`: added to one word, taken from the next, so that checksums stay right (RFC 1624)."""
    high = data[words].astype(np.int64) << 8 | data[words + 1]
    low = data[words + 2].astype(np.int64) << 8 | data[words + 3]
    moved = (high + number) % 0xFFFF, (low - number) % 0xFFFF
    fits = ~(np.isin(high, ZEROS) | np.isin(low, ZEROS) | np.isin(moved[0], ZEROS) | np.isin(moved[1], ZEROS))
    for at, word in ((words, moved[0]), (words + 2, moved[1])):
        data[at[fits]] = word[fits] >> 8
        data[at[fits] + 1] = word[fits] & 0xFF


def make_mix(path: Path, megabytes: float, *, renumber: bool = False) -> Mix:
    """Write about `megabytes` (10**6 bytes) of mix to `path`; with `renumber` every copy has hosts of its own."""
    paths = sources()
    base = _Base(interleaved(paths))
    room = int(megabytes * 1e6) - len(PCAP_HEADER)
    packets = volume = number = 0
    with path.open("wb") as file:
        file.write(PCAP_HEADER)
        while room >= base.ends[0]:
            fitting = int(np.searchsorted(base.ends, room, side="right"))
            size = int(base.ends[fitting - 1])
            file.write(base.copy(number, renumber=renumber)[:size].data)
            room -= size
            packets, volume, number = packets + fitting, volume + int(base.lengths[:fitting].sum()), number + 1
    made_of = f"{len(paths)} real captures" if len(paths) > 1 else "the bundled trace"
    return Mix(path, packets, volume, made_of)
