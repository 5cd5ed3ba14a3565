"""Frames of a mix in memory as the NIC leaves them: 2 KiB blocks, each with its descriptor."""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from zcframe.framework import abi
from zcframe.framework.jit.address import load_u16, load_u32, store_u8, store_u32
from zcframe.framework.jit.compiler import compiled
from zcframe.framework.rss import SYMMETRIC_KEY
from zcframe.framework.rss.fields import field_mask
from zcframe.framework.rss.toeplitz import rss_hash, toeplitz_tables

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


def make_blocks(records: Iterable[tuple[int, int, bytes | memoryview]], count: int) -> Blocks:
    """The first `count` frames of records (time in ns, wire length, frame), hashed by the NIC's symmetric key."""
    # A mapping of its own is page-aligned, as a User Buffer is.
    memory = np.frombuffer(mmap.mmap(-1, count * abi.BLOCK_SIZE), np.uint8)
    descriptors = np.zeros(count, abi.DESC)
    done = 0
    for (time_ns, wire, frame), desc in zip(records, descriptors, strict=False):
        offset = done * abi.BLOCK_SIZE
        memory[offset : offset + len(frame)] = np.frombuffer(frame, np.uint8)
        desc["timestamp"], desc["offset"], desc["wire_len"], desc["len"] = time_ns, offset, wire, len(frame)
        desc["flag_access"] = abi.ACCESS_READABLE
        done += 1
    blocks = Blocks(descriptors[:done], memory[: done * abi.BLOCK_SIZE])
    hash_all(blocks)
    return blocks


def load_blocks(path: Path, count: int) -> Blocks:
    """The first `count` frames of a mix."""
    return make_blocks(_records(path), count)


@compiled
def _hash_all(descriptors, memory, count, tables, fields):  # type: ignore[no-untyped-def]
    for i in range(count):
        desc = descriptors + i * abi.DESC_SIZE
        hashed = rss_hash(memory + load_u32(desc + abi.DESC_OFFSET), load_u16(desc + abi.DESC_LEN), tables, fields)
        store_u32(desc + abi.DESC_RSS_HASH, hashed)
        store_u8(desc + abi.DESC_RSS_TYPE, hashed >> 32)


def hash_all(blocks: Blocks) -> None:
    """Fill in the hash fields of the descriptors."""
    tables = toeplitz_tables(SYMMETRIC_KEY)
    addresses = blocks.descriptors.ctypes.data, blocks.memory.ctypes.data
    hashed: Any = _hash_all
    hashed(*addresses, len(blocks), tables.ctypes.data, field_mask("5-tuple"))
