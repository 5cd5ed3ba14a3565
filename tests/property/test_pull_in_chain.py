"""A worker whose chain fetches frames itself is killed between any two stores: each packet counts once.

As test_pull.py, with the real chain for a consumer: the state of a plugin and the ledger tell what it took.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import pytest

from tests.kit.rig import bound
from tests.kit.tpacket import Bench, Kernel
from tests.kit.traced import Traced
from zcframe import PASS, Array, plugin, u64
from zcframe.framework.chain.build import build_chain
from zcframe.framework.chain.no_ip import state_layouts
from zcframe.framework.ring import RingEnd
from zcframe.framework.state.merge import read_shard
from zcframe.framework.state.shared import StateMemory
from zcframe.framework.worker.loop import Worker
from zcframe.framework.worker.post import Post
from zcframe.framework.worker.recover import recover

SLOTS, TOTAL = 64, 150
# Two bursts, one of them behind the second pull.
STEPPED = SLOTS + 6


@plugin(per="worker")
class Numbers:
    """Packets, the sum of the numbers that they bear, and of their lengths."""

    totals = Array(u64, 3)

    @staticmethod
    def filter(pkt, state, params):  # type: ignore[no-untyped-def]
        state.totals[0] += 1
        state.totals[1] += pkt.src_lo & 0xFFFF
        state.totals[2] += pkt.wirelen
        return PASS


class ChainBench(Bench):
    """With a worker, whose successor is its own chain behind `recover`."""

    def __init__(self, kind: type = Numbers) -> None:
        super().__init__(SLOTS)
        plugins = [bound(kind)]
        self.state = StateMemory(state_layouts(plugins, 1))
        self.chain = build_chain(plugins)
        self.post = Post(self, self.chain.codes, 0)
        self.worker = Worker(self.post, self.chain, self.state)
        progress, state = self.worker.progress, self.state._mapping
        self.areas += [progress.view("u1", 0, progress.size), state.view("u1", 0, self.state.size)]
        # As if there were an order: the chain returns at once where nothing waits.
        os.eventfd_write(self.wake_fd, 1)

    def consumer(self) -> RingEnd:
        return self.consumer_end

    def run(self, budget: int = 1 << 16) -> int:
        return int(self.chain.run(self.worker.ctx, budget))

    def succeed(self) -> tuple[int, list[int]]:
        """Take over, go on to the end; (packets in the ledger, totals of the plugin)."""
        recover(self.worker.ctx, self.chain.codes, 0)
        while True:
            while self.kernel.number < TOTAL and self.kernel.put():
                pass
            self.kernel.hand_over()
            if not self.run():
                return int(self.post.ledger()[0]), self.totals()

    def totals(self) -> list[int]:
        copy = self.state.copy(0, 0)
        assert copy is not None
        totals: Any = read_shard(self.state.layouts[0], copy).totals
        return [int(total) for total in totals]


EXPECTED = (TOTAL, [TOTAL, sum(range(TOTAL)), sum(len(Kernel.frame_of(n)) for n in range(TOTAL))])


@pytest.mark.needs("tracing")
def test_killed_after_any_store() -> None:
    """In a pull, a burst, its commit, and in the pull that gives back what the burst was done with."""
    made, changes = ChainBench(), 0
    while made.kernel.put():
        pass
    made.kernel.hand_over()
    with Traced.ahead_of(lambda: made.run(STEPPED)) as traced:
        before = made.keep()[0]
        while traced.to_store():
            now = made.keep()
            if now[0] != before:
                before, changes = now[0], changes + 1
                assert made.succeed() == EXPECTED, f"after {changes} changes"
                made.put_back(now)
        assert made.keep()[0] == before, "it stored unseen"
    assert changes > 2 * STEPPED
    assert made.succeed() == EXPECTED


def test_orders_end_the_sleep_and_frames_go_on() -> None:
    """The chain returns for an order; what came meanwhile is taken first."""
    made = ChainBench()
    assert made.run() == 0
    for _ in range(10):
        made.kernel.put()
    made.kernel.hand_over()
    assert made.run() == 10
    assert made.worker._drained()


@plugin(per="worker")
class Buckets:
    """Packets by bucket."""

    buckets = Array(u64, 129)

    @staticmethod
    def filter(pkt, state, params):  # type: ignore[no-untyped-def]
        state.buckets[pkt.bucket] += 1
        return PASS


@pytest.mark.parametrize(("kind", "hashes"), [(Numbers, False), (Buckets, True)])
def test_hashes_are_for_those_that_look_at_them(kind: type, hashes: bool) -> None:
    made = ChainBench(kind)
    made.kernel.put()
    made.kernel.hand_over()
    assert made.run() == 1
    assert made.chain.hashes == hashes
    assert bool(np.any(made.descriptors["rss_hash"])) == hashes
