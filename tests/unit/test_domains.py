"""Workers that share buckets: each has shards of its own, and what they counted merges."""

from __future__ import annotations

import mmap
import os

import numpy as np

from tests.kit.rig import bound
from zcframe import PASS, Array, plugin, u64
from zcframe.framework.state.layout import SHARDS
from zcframe.framework.state.shared import StateMemory


@plugin
class Counted:
    """Packets."""

    counts = Array(u64, 4)

    @staticmethod
    def filter(pkt, state, params):  # type: ignore[no-untyped-def]
        state.counts[0] += 1
        return PASS


def test_each_domain_has_shards_of_its_own() -> None:
    layout = bound(Counted).layout
    memory = StateMemory([layout, layout], domains=3)
    addresses = [memory.address(k, domain) for k in range(2) for domain in range(3)]
    assert np.diff(addresses).tolist() == [layout.size] * 5
    assert memory.size == 6 * layout.size
    memory.close()


def test_shards_are_counted_through_the_domains() -> None:
    layout = bound(Counted).layout
    memory = StateMemory([layout], domains=2)
    memory._mapping.view("u8", (SHARDS + 5) * layout.shard_size)[0] = 7
    assert memory.copy(0, 5) is None
    copied = memory.copy(0, SHARDS + 5)
    assert copied is not None
    assert copied.view("u8")[0] == 7
    memory.close()


def test_a_fork_that_drops_it_keeps_its_own_memory() -> None:
    """Whatever a fork maps must not come to lie where the kernel took a mapping of the supervisor's away from it."""
    memory = StateMemory([bound(Counted).layout])
    pid = os.fork()
    if pid == 0:
        try:
            own = [mmap.mmap(-1, memory.size) for _ in range(4)]
            memory.close()
            del memory
            for one in own:
                one[:] = bytes([1]) * len(one)
            os._exit(0)
        finally:
            os._exit(1)
    assert os.waitpid(pid, 0)[1] == 0
    memory.close()
