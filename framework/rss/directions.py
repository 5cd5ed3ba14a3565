"""Which flows a capture holds, and whether the NIC would keep their two directions together; for compiled code.

A flow is a symmetric 5-tuple: both addresses, protocol, and both ports where the hash could see them. Fragments, ICMP
and the like have no ports here, so all of them between two hosts and of one protocol are one flow.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from zcframe.framework import abi
from zcframe.framework.jit.address import load_u32, load_u64, mul_high, shift_right
from zcframe.framework.jit.compiler import compiled, inlined

from .toeplitz import BUCKETS, fold_half, fold_word, hash_located, locate, rss_bucket

# A slot: low end (two words), top end (two words), ports << 16 | protocol << 8 | version, what is known of the flow.
SLOT_WORDS: Final = 6
STATE: Final = 5

SEEN_UP: Final = 1
SEEN_DOWN: Final = 2
SPLIT: Final = 4

# Columns of the totals.
FLOWS: Final = 0
UNFOLLOWED: Final = 1

# Parts of the counters: packets by bucket, bytes by bucket, packets by hash type.
BYTES_AT: Final = BUCKETS + 1
TYPES_AT: Final = 2 * (BUCKETS + 1)
COUNTERS: Final = TYPES_AT + 16

# 2M flows in 4M slots of 48 bytes; packets of further flows are counted, but these flows are not followed.
MIN_SLOTS: Final = 1 << 12
MAX_SLOTS: Final = 1 << 22

MIX_A: Final = 0x1E3779B97F4A7C15
MIX_B: Final = 0x3F58476D1CE4E5B9


@inlined
def flow_slot(slots, key):  # type: ignore[no-untyped-def]
    """Index of the flow's slot, or of the empty one where it belongs."""
    low_high, low_low, top_high, top_low, rest = key
    mask = slots.shape[0] - 1
    mixed = mul_high(low_low ^ MIX_A, top_low ^ MIX_B) ^ mul_high(low_high ^ rest ^ MIX_B, top_high ^ MIX_A)
    at = mul_high(mixed, MIX_A) & mask
    while slots[at, STATE] != 0:
        ends = slots[at, 0] == low_high and slots[at, 1] == low_low and slots[at, 2] == top_high
        if ends and slots[at, 3] == top_low and slots[at, 4] == rest:
            break
        at = (at + 1) & mask
    return at


@inlined
def load_ends(version, addresses):  # type: ignore[no-untyped-def]
    """Source and destination as four 64-bit patterns, in whatever order the machine loads bytes."""
    if version == 4:
        return 0, load_u32(addresses), 0, load_u32(addresses + 4)
    return load_u64(addresses), load_u64(addresses + 8), load_u64(addresses + 16), load_u64(addresses + 24)


@inlined
def flow_key(version, addresses, ports, protocol):  # type: ignore[no-untyped-def]
    """The five key columns, the same for both directions, and which direction this frame shows (SEEN_*)."""
    source_high, source_low, target_high, target_low = load_ends(version, addresses)
    pair = load_u32(ports) if ports != 0 else 0
    tail = protocol << 8 | version
    turned = (pair & 0xFFFF) << 16 | pair >> 16
    same = source_high == target_high and source_low == target_low
    if same and pair == turned:
        return source_high, source_low, target_high, target_low, pair << 16 | tail, SEEN_UP | SEEN_DOWN
    higher = source_high > target_high or (source_high == target_high and source_low > target_low)
    if higher or (same and pair > turned):
        return target_high, target_low, source_high, source_low, turned << 16 | tail, SEEN_DOWN
    return source_high, source_low, target_high, target_low, pair << 16 | tail, SEEN_UP


@inlined
def hash_ends(key, from_low, with_ports, tables):  # type: ignore[no-untyped-def]
    """Hash of one direction of the flow with these key columns: from its low end to its top end, or back."""
    low_high, low_low, top_high, top_low, rest = key
    pair = shift_right(rest, 16)
    if not from_low:
        low_high, low_low, top_high, top_low = top_high, top_low, low_high, low_low
        pair = (pair & 0xFFFF) << 16 | pair >> 16
    if rest & 0xFF == 4:
        value = fold_half(tables, 0, low_low) ^ fold_half(tables, 4, top_low)
        return value ^ fold_half(tables, 8, pair) if with_ports else value
    value = (
        fold_word(tables, 0, low_high)
        ^ fold_word(tables, 8, low_low)
        ^ fold_word(tables, 16, top_high)
        ^ fold_word(tables, 24, top_low)
    )
    return value ^ fold_half(tables, 32, pair) if with_ports else value


@inlined
def follow(key, seen, with_ports, tables, reta, slots, totals):  # type: ignore[no-untyped-def]
    """Enter one hashed frame into the flow table."""
    at = flow_slot(slots, key)
    if slots[at, STATE] == 0:
        if 2 * totals[FLOWS] >= slots.shape[0]:
            totals[UNFOLLOWED] += 1
            return
        totals[FLOWS] += 1
        for column in range(STATE):
            slots[at, column] = key[column]
        there = hash_ends(key, True, with_ports, tables) & (BUCKETS - 1)
        back = hash_ends(key, False, with_ports, tables) & (BUCKETS - 1)
        if reta[there] != reta[back]:
            slots[at, STATE] = SPLIT
    slots[at, STATE] |= seen


@compiled
def count_frames(data, records, first, rss, reta, counters, slots, totals):  # type: ignore[no-untyped-def]
    """Count frames from `first` on; returns how many are done: fewer than all where `slots` must grow first.

    data: int64 address; records: int64, columns offset, captured length, wire length, and any more; rss: (address of
    the Toeplitz tables, mask of FIELD_*); reta: uint8[128]; counters: int64[COUNTERS]; slots: int64, shape (2**k, 6);
    totals: int64[2].
    """
    tables, fields = rss
    for index in range(first, records.shape[0]):
        if 2 * totals[FLOWS] >= slots.shape[0] and slots.shape[0] < MAX_SLOTS:
            return index
        # The NIC's model never sees more of a frame than what fits a block.
        length = min(records[index, 1], abi.BLOCK_SIZE)
        version, addresses, ports, protocol = locate(data + records[index, 0], length)
        result = hash_located(version, addresses, ports, protocol, tables, fields)
        bucket = rss_bucket(result)
        kind = result >> 32
        counters[bucket] += 1
        counters[BYTES_AT + bucket] += records[index, 2]
        counters[TYPES_AT + kind] += 1
        if kind != abi.RSS_NONE:
            with_ports = kind != abi.RSS_IPV4 and kind != abi.RSS_IPV6
            low_high, low_low, top_high, top_low, rest, seen = flow_key(version, addresses, ports, protocol)
            key = (low_high, low_low, top_high, top_low, rest)
            follow(key, seen, with_ports, tables, reta, slots, totals)
    return records.shape[0]


@compiled
def move_flows(old, new):  # type: ignore[no-untyped-def]
    """Enter every flow of `old` into the larger, empty table `new`."""
    for index in range(old.shape[0]):
        if old[index, STATE] != 0:
            key = (old[index, 0], old[index, 1], old[index, 2], old[index, 3], old[index, 4])
            at = flow_slot(new, key)
            for column in range(SLOT_WORDS):
                new[at, column] = old[index, column]


class FlowTable:
    """Counters and flows of everything counted so far: what `count_frames` needs between batches."""

    def __init__(self) -> None:
        self.counters: np.ndarray[Any, np.dtype[np.int64]] = np.zeros(COUNTERS, np.int64)
        self._slots = np.zeros((MIN_SLOTS, SLOT_WORDS), np.int64)
        self._totals = np.zeros(2, np.int64)

    def count(self, data: int, records: np.ndarray[Any, Any], rss: tuple[int, int], reta: np.ndarray[Any, Any]) -> None:
        """Count a batch; arguments as for `count_frames`."""
        done = 0
        while True:
            done = count_frames(data, records, done, rss, reta, self.counters, self._slots, self._totals)
            if done == len(records):
                return
            larger = np.zeros((4 * len(self._slots), SLOT_WORDS), np.int64)
            move_flows(self._slots, larger)
            self._slots = larger

    @property
    def flows(self) -> int:
        return int(self._totals[FLOWS])

    @property
    def unfollowed(self) -> int:
        """Frames of flows that found the table full."""
        return int(self._totals[UNFOLLOWED])

    @property
    def split_flows(self) -> int:
        """Flows whose two directions go to different queues, whether or not both were seen."""
        return int(np.count_nonzero(self._slots[:, STATE] & SPLIT))

    @property
    def one_sided_flows(self) -> int:
        """Flows of which only one direction was seen."""
        seen = self._slots[:, STATE] & (SEEN_UP | SEEN_DOWN)
        return int(np.count_nonzero((seen == SEEN_UP) | (seen == SEEN_DOWN)))
