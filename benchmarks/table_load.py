"""The flow table with many live flows, and many plugins with few."""

from __future__ import annotations

import numpy as np

from zcframe.framework import abi

from .bench import Bench, best
from .blocks import Blocks, hash_all, load_blocks
from .table import Row
from .zchain import ZcChain

LIVE_FLOWS = 1 << 20
PACKETS = 1 << 21
SPACING = 128
RUNS = 5
FRAMES = 1 << 17
FEW_FRAMES = 1 << 12
EIGHT = (
    "flows",
    "sizes",
    "talkers",
    "dns",
    "synflood",
    "benchmarks.plugins:Protocols",
    "benchmarks.plugins:Ports",
    "benchmarks.plugins:Hops",
)

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


def _mpps(chain: ZcChain) -> float:
    chain.run()
    return chain.count / best(RUNS, chain.run, lambda seconds: seconds) / 1e6


def flow_table_rows(bench: Bench) -> list[Row]:
    """Updates of a table that holds a million flows, and of eight plugins with few flows."""
    table = ZcChain([f"flows?capacity={2 * LIVE_FLOWS}"], many_flows())
    rate = _mpps(table)
    live = len(table.merged(0).flows)
    few = load_blocks(bench.mix().path, FRAMES)
    same = Blocks(few.descriptors[:FEW_FRAMES], few.memory[: FEW_FRAMES * abi.BLOCK_SIZE])
    return [
        Row(f"flow table, {live:,} live flows", "Mpps", ours=rate, bar=12.0),
        Row("chain of 8 plugins, few flows", "Mpps", ours=_mpps(ZcChain(EIGHT, same)), bar=18.0),
    ]
