"""A worker killed at any instruction: its successor finds each burst done or not done, never half.

A child runs the chain from store to store (ptrace). Whenever a store has changed shared memory, the memory is put aside, a
successor recovers from it, and what it finds is compared; then the memory is put back and the child goes on.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scapy.compat import raw
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether

from tests.kit.rig import Rig, bound
from tests.kit.traced import Traced
from zcframe import PASS, Array, Table, plugin, u8, u16, u64
from zcframe.framework.worker.recover import recover


@plugin(per="worker")
class Ports:
    """Takes every way through a table: a new row, a known one, none for want of room, one that is taken over."""

    totals = Array(u64, 3)
    ports = Table(
        key={"port": u16, "low": u64},
        value={"packets": u64, "last": u64.max, "flags": u8.bits},
        capacity=16,
        idle=1,
        last="last",
    )

    @staticmethod
    def filter(pkt, state, params):  # type: ignore[no-untyped-def]
        state.totals[0] += 1
        row = state.ports.upsert(pkt.dport, pkt.src_lo)
        if row:
            row.packets += 1
            row.last = pkt.ts
            row.flags |= 1 << (pkt.dport & 7)
        else:
            state.totals[1] += 1
        state.totals[2] += pkt.wirelen
        if pkt.dport == 13:
            state.totals[pkt.dport] = 1
        return PASS


@plugin(per="worker")
class Second:
    totals = Array(u64, 1)

    @staticmethod
    def filter(pkt, state, params):  # type: ignore[no-untyped-def]
        state.totals[0] += pkt.wirelen
        return PASS


def frame(port: int) -> bytes:
    return raw(Ether() / IP(src="10.0.0.1", dst="10.0.0.2") / UDP(sport=7, dport=port) / bytes(port % 50))


class Shared:
    """The memory that outlives the worker: state, progress, the user's page of the ring."""

    def __init__(self, rig: Rig) -> None:
        worker = rig.workers[0]
        progress = worker.progress
        self.state = rig.memory._mapping.view("u1", 0, rig.memory.size)
        self.progress = progress.view("u1", 0, progress.size)
        self.user = worker.ring._mappings[1].view("u1", 0, 64)

    def saved(self) -> tuple[bytes, bytes, bytes]:
        return self.state.tobytes(), self.progress.tobytes(), self.user.tobytes()

    def restore(self, saved: tuple[bytes, bytes, bytes]) -> None:
        for memory, octets in zip((self.state, self.progress, self.user), saved, strict=True):
            memory[:] = np.frombuffer(octets, np.uint8)


def contents(rig: Rig) -> Any:
    """What the plugins' state means: rows in the order of their keys."""
    ports, second = rig.state("ports"), rig.state("second")
    rows = sorted(tuple(row.tolist()) for row in ports.ports)
    return rows, ports.totals.tolist(), ports.lost, ports.expired, second.totals.tolist()


# Ports that the 16 slots have room for, known ones, 13 (a fault), one that finds no room, and one much later.
FIRST = list(range(100, 116))
THEN = [100, 200, 13, 101]


@pytest.mark.needs("tracing")
def test_a_worker_killed_at_any_instruction() -> None:
    rig = Rig(bound(Ports), bound(Second))
    rig.feed([frame(port) for port in FIRST])
    for port in THEN:
        rig.put(frame(port))
    rig.clock += 2 * 10**9
    rig.put(frame(300))
    worker, shared = rig.workers[0], Shared(rig)
    found: dict[int, Any] = {len(FIRST): contents(rig)}
    points = 0
    before = shared.saved()
    with Traced.ahead_of(lambda: worker.chain.run(worker.ctx, 64)) as traced:
        while traced.to_store():
            now = shared.saved()
            if now == before:
                continue
            points += 1
            done = int(recover(worker.ctx, rig.chain.codes, 0))
            content = contents(rig)
            assert found.setdefault(done, content) == content
            assert int(rig.posts[0].ledger()[0]) == done
            shared.restore(now)
            before = now
        assert shared.saved() == before, "it stored unseen"
    assert found[len(FIRST) + len(THEN) + 1] == contents(rig)
    # The third one faults: those before it are a burst, then it by itself, then the others.
    assert [done - len(FIRST) for done in sorted(found)] == [0, 2, 3, 5]
    totals = [found[done][1][0] for done in sorted(found)]
    assert totals == [16, 18, 18, 20]
    assert points > 100
    assert rig.ledger()["faulted"] == {"ports": 1, "second": 0}
    rows, _, lost, expired, _ = found[max(found)]
    assert (len(rows), lost, expired) == (16, {"ports": 1}, {"ports": 1})
    del shared
    rig.close()
