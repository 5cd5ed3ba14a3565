"""Frames of a mix in memory as the NIC leaves them: 2 KiB blocks, each with its descriptor."""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from zcframe.framework import abi

from .mix import PCAP_HEADER

RECORD_HEAD = struct.Struct("=IIII")


@dataclass(frozen=True)
class Blocks:
    """descriptors: abi.DESC, shape (n,); memory: uint8, shape (n * BLOCK_SIZE,), block i belongs to descriptor i."""

    descriptors: np.ndarray[Any, Any]
    memory: np.ndarray[Any, np.dtype[np.uint8]]

    def __len__(self) -> int:
        return len(self.descriptors)


def _records(path: Path) -> Iterator[tuple[int, int, memoryview]]:
    """(time in ns, wire length, frame) of a file that make_mix wrote."""
    data = memoryview(path.read_bytes())
    at = len(PCAP_HEADER)
    while at < len(data):
        seconds, microseconds, captured, wire = RECORD_HEAD.unpack_from(data, at)
        at += RECORD_HEAD.size
        yield seconds * 10**9 + microseconds * 1000, wire, data[at : at + captured]
        at += captured


def load_blocks(path: Path, count: int) -> Blocks:
    """The first `count` frames of a mix; the hash fields of their descriptors are 0."""
    # A mapping of its own is page-aligned, as a User Buffer is.
    memory = np.frombuffer(mmap.mmap(-1, count * abi.BLOCK_SIZE), np.uint8)
    descriptors = np.zeros(count, abi.DESC)
    done = 0
    for (time_ns, wire, frame), desc in zip(_records(path), descriptors, strict=False):
        offset = done * abi.BLOCK_SIZE
        memory[offset : offset + len(frame)] = frame
        desc["timestamp"], desc["offset"], desc["wire_len"], desc["len"] = time_ns, offset, wire, len(frame)
        desc["flag_access"] = abi.ACCESS_READABLE
        done += 1
    return Blocks(descriptors[:done], memory[: done * abi.BLOCK_SIZE])
