"""The flow table with many live flows, against the same table in C."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from zcframe.framework import abi

from .bench import Bench, NotMeasured
from .blocks import Blocks, hash_all
from .cplugins import CPlugins, check_same
from .pages import keep_small, make_huge
from .rounds import Spread, in_turns
from .table import Row
from .zchain import ZcChain

LIVE_FLOWS = 1 << 20
# Twice as many: each flow has two packets, somewhere.
PACKETS = 1 << 21
SPACING = 128

# Ethernet, IPv4, UDP; the addresses and ports are written over.
TEMPLATE = bytes.fromhex(
    "02000000000202000000000108004500002e00000000401100000a0000010a00000200350035001a0000"
) + bytes(18)


def many_flows() -> Blocks:
    """PACKETS UDP frames of 60 bytes of LIVE_FLOWS flows, in an order without a pattern."""
    generator = np.random.default_rng(82576)
    flow = generator.permutation(np.arange(PACKETS, dtype=np.uint32) % LIVE_FLOWS)
    memory = np.zeros((PACKETS, SPACING), np.uint8)
    memory[:, : len(TEMPLATE)] = np.frombuffer(TEMPLATE, np.uint8)
    memory[:, 26:30] = (flow.astype(">u4") + 0x0A000000).astype(">u4").view(np.uint8).reshape(-1, 4)
    descriptors = np.zeros(PACKETS, abi.DESC)
    descriptors["offset"] = np.arange(PACKETS, dtype=np.uint32) * SPACING
    descriptors["timestamp"] = np.arange(PACKETS, dtype=np.uint64) * 1000
    descriptors["len"] = descriptors["wire_len"] = len(TEMPLATE)
    blocks = Blocks(descriptors, memory.reshape(-1))
    hash_all(blocks)
    return blocks


def _advised(advise: Callable[[int, int], None], ours: ZcChain, theirs: CPlugins) -> None:
    """Have the pages of both states be as `advise` makes them. Raises NotMeasured."""
    advise(ours.state.low, ours.state.high - ours.state.low)
    advise(theirs.memory.ctypes.data, theirs.memory.nbytes)


def _row(bench: Bench, name: str, advise: Callable[[int, int], None], ours: ZcChain, theirs: CPlugins) -> Row:
    """Passes over all frames, in turns, behind one that has written every page."""
    try:
        _advised(advise, ours, theirs)
    except NotMeasured as reason:
        return Row(name, "Mpps", not_measured=str(reason))
    take = (ours.run, partial(theirs.run, ours.blocks))
    in_turns(1, *take)
    seconds = in_turns(bench.rounds, *take)
    mine, other = (Spread(values).per(ours.count / 1e6) for values in seconds)
    return Row(name, "Mpps", mine, other, bar=0.9, aim=1.1)


def flow_table_rows(bench: Bench) -> list[Row]:
    """Updates of a table that holds a million flows, against the same table in C, in small and in huge pages."""
    name = "1 M live flows, against the same table in C"
    ours = ZcChain([f"flows?capacity={2 * LIVE_FLOWS}"], many_flows())
    try:
        theirs = CPlugins(bench, ours)
    except NotMeasured as reason:
        return [Row(name, "Mpps", not_measured=str(reason))]
    small = _row(bench, f"{name}, pages of 4 KiB", keep_small, ours, theirs)
    # What has been written can be moved.
    in_turns(1, ours.run, partial(theirs.run, ours.blocks))
    huge = _row(bench, f"{name}, huge pages", make_huge, ours, theirs)
    check_same(theirs, ours)
    return [small, huge]
