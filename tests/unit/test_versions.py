"""A worker of another version takes over what its predecessor counted, and what it said of faults."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.kit.rig import Rig, bound
from zcframe.framework.chain.build import Chain, build_chain
from zcframe.framework.state.shared import StateMemory
from zcframe.framework.supervisor.faults import read_faults
from zcframe.framework.workbench.build import tcp, udp
from zcframe.framework.worker.loop import Worker

RAISES = """\
from zcframe import PASS, Array, plugin, u64


@plugin
class Mine:
    n = Array(u64, 2)

    @staticmethod
    def filter(pkt, state, params):{lines}
        if pkt.sport == {port}:
            raise ValueError("odd")
        state.n[0] += 1
        return PASS
"""


def succeeded(rig: Rig, chain: Chain) -> None:
    """Have a worker of another chain in the place of the rig's first one."""
    rig.workers[0].close()
    rig.chain = chain
    rig.workers[0] = Worker(rig.posts[0], chain, rig.memory)


def test_what_a_former_filter_dropped_stays_in_the_ledger() -> None:
    rig = Rig("sizes", filter="tcp", slots=256)
    post = rig.posts[0]
    for _ in range(3):
        rig.feed([udp(), tcp()])
    assert post.ledger().tolist()[-1] == 3
    succeeded(rig, build_chain(rig.plugins))
    for round in range(1, 4):
        packets, _, accepted, *_, filtered = post.ledger().tolist()
        assert (packets, accepted, filtered) == (6 + round - 1, 3 + round - 1, 3)
        rig.feed([udp()])


def test_what_was_said_of_a_fault_is_not_said_anew(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text(RAISES.format(lines="", port=7))
    rig = Rig(str(path))
    rig.feed([tcp(sport=7), tcp(sport=8)])
    rig.workers[0].drain()
    path.write_text(RAISES.format(lines="\n        # Another version: all lines are others." * 5, port=8))
    succeeded(rig, build_chain([bound(str(path))]))
    rig.feed([tcp(sport=7), tcp(sport=8)])
    rig.workers[0].drain()
    found = {fault.reason: fault.packets for fault in read_faults(rig.posts, rig.plugins)}
    assert found == {"ValueError: odd, mine.py:11": 1, "ValueError: odd, mine.py:16": 1}


@pytest.mark.parametrize("other", [{}, {"bin": 1}])
def test_state_is_taken_over_where_its_layout_is_the_same(other: dict[str, int]) -> None:
    rig = Rig("sizes", "talkers")
    rig.feed([tcp(), udp(), udp()])
    layouts = [bound("sizes", **other).layout, bound("talkers", capacity=1 << 12).layout, *rig.memory.layouts[2:]]
    assert [new.holds(old) for new, old in zip(layouts, rig.memory.layouts, strict=True)] == [True, False, True]
    memory = StateMemory(layouts)
    memory.take_over(rig.memory, lambda layout: range(layout.shards))
    for k, layout in enumerate(layouts):
        copies = [(memory.copy(k, shard), rig.memory.copy(k, shard)) for shard in range(layout.shards)]
        if k == 1:
            assert all(new is None for new, _ in copies) and any(old is not None for _, old in copies)
        else:
            assert [new is None or new.tobytes() for new, _ in copies] == [
                old is None or old.tobytes() for _, old in copies
            ]
    memory.close()
    memory.close()
