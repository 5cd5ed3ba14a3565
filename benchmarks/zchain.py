"""Our compiled chain on frames in memory: the same blocks that the loop in C takes."""

from __future__ import annotations

import mmap
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from zcframe.framework import abi
from zcframe.framework.chain.bound import bind
from zcframe.framework.chain.build import build_chain
from zcframe.framework.chain.handover import HandOver
from zcframe.framework.chain.no_ip import no_ip_layout, state_layouts
from zcframe.framework.chain.spec import parse_spec
from zcframe.framework.chain.workspace import (
    AHEAD,
    DONE,
    JOURNAL,
    LEDGER,
    LEDGER_COPY,
    ORDERS,
    PROGRESS_SIZE,
    ChainContext,
)
from zcframe.framework.jit.words import words_of
from zcframe.framework.state.journal import SECRETS
from zcframe.framework.state.layout import StateLayout
from zcframe.framework.state.merge import State, empty_state, merge_states, read_shard
from zcframe.framework.state.shared import StateMemory

from .blocks import Blocks


def _zeroed(size: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    return np.frombuffer(mmap.mmap(-1, size), np.uint8)


class ZcChain:
    """A chain of plugin SPECs over `blocks`, as many as a power of two; journal, verdicts and ledger as in a worker.

    outputs: those whose tables of flows are needed.
    """

    def __init__(self, specs: Sequence[str], blocks: Blocks, outputs: Sequence[HandOver] = ()) -> None:
        parsed = [parse_spec(spec) for spec in specs]
        self.plugins = [bind(spec.declared, spec.params, 1) for spec in parsed]
        self.chain = build_chain(self.plugins)
        self.state = StateMemory(state_layouts(self.plugins, 1, outputs))
        self.blocks, self.count = blocks, len(blocks)
        self._header = np.zeros(1, abi.RING_HEADER)
        self._header["write"], self._header["block_size"] = self.count, abi.BLOCK_SIZE
        self._user, self._orders = np.zeros(1, abi.USER_PAGE), np.zeros(1, ORDERS)
        self._progress = _zeroed(PROGRESS_SIZE)
        at = JOURNAL + SECRETS
        self._progress[at : at + len(self.state.secrets)] = np.frombuffer(self.state.secrets, np.uint8)
        first, *others = [self.state.address(k) for k in range(len(self.plugins))] or [0]
        context = ChainContext(
            header=self._header.ctypes.data,
            descriptors=blocks.descriptors.ctypes.data,
            blocks=blocks.memory.ctypes.data,
            user=self._user.ctypes.data,
            mask=self.count - 1,
            progress=self._progress.ctypes.data,
            orders=self._orders.ctypes.data,
            state_low=self.state.low,
            state_high=self.state.high,
            no_ip=self.state.address(len(self.plugins)),
            nap=0,
            patience=0,
            ahead=AHEAD,
            naps_from=1,
            pull=0,
            pull_words=0,
            due=0,
            leave_at=1 << 62,
            states=first,
        )
        self._ctx = words_of(context, *others)

    def run(self) -> float:
        """Take every frame once; returns seconds."""
        self._progress[DONE : DONE + 8] = 0
        self._progress[LEDGER : LEDGER + 2 * LEDGER_COPY] = 0
        start = time.perf_counter()
        taken = self.chain.run(self._ctx, self.count)
        seconds = time.perf_counter() - start
        assert taken == self.count
        return seconds

    def _state_of(self, number: int, layout: StateLayout, shard: int) -> State:
        copied = self.state.copy(number, shard)
        return empty_state(layout) if copied is None else read_shard(layout, copied)

    def shard(self, plugin: int, shard: int) -> State:
        """The state of one plugin in one shard."""
        return self._state_of(plugin, self.plugins[plugin].layout, shard)

    def no_ip(self) -> State:
        """What was counted of packets without IP."""
        return self._state_of(len(self.plugins), no_ip_layout(1), 0)

    def merged(self, plugin: int) -> State:
        """The state of one plugin, for a look at what was counted."""
        return merge_states([self.shard(plugin, shard) for shard in range(self.plugins[plugin].layout.shards)])
