"""Of a contender: packets a second on one core or two, the worker's CPU time a packet, its share without traffic.

What is counted while it is offered more than it takes is offered for longer: frames that lie in its ring at the end
are counted, too. A cost is the same however long it is measured.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from .contenders import Contender, LiveError, Running, running
from .space import Space

# Offered to everyone: the last is more than anybody can take.
PACES = (1_000_000, 2_000_000, 3_000_000, 4_000_000)
OFFER_S = 1.0
COST_PPS, COST_S = 2_000_000, 0.5
IDLE_S = 1.0
# What belongs to a start is over.
START_S = 0.5
# What is on its way is read; a block that is not full is handed over meanwhile.
SETTLE_S = 0.3


Rate = TypeVar("Rate", float, tuple[float, float])


@dataclass
class Paces:
    """Paces that a contender is offered: all in its first round, then the one at which it did best."""

    paces: tuple[int, ...]
    _best: dict[str, int] = field(default_factory=dict)

    def most(self, name: str, at: Callable[[int], Rate]) -> Rate:
        """`at(pace)` at the best pace of the contender called `name`."""
        if name in self._best:
            return at(self._best[name])
        found = {pace: at(pace) for pace in self.paces}
        self._best[name] = max(found, key=lambda pace: found[pace])
        return found[self._best[name]]


def _delivered_at(contender: Contender, pps: int, *, one_core: bool) -> tuple[float, float]:
    """(delivered, offered) packets a second."""
    with Space() as space:
        space.veth()
        with running(contender, space) as found:
            if one_core:
                space.share_core()
            offered = space.offer(OFFER_S, pps)
            time.sleep(SETTLE_S)
            packets = found.stop()
    return packets / offered["seconds"], offered["frames"] / offered["seconds"]


def delivered(contender: Contender, paces: Paces) -> tuple[float, float]:
    """(delivered, offered) packets a second, at the pace at which softirq and worker on one core deliver most."""
    return paces.most(contender.name, lambda pps: _delivered_at(contender, pps, one_core=True))


def delivered_freely(contender: Contender, paces: Paces) -> float:
    """Delivered packets a second where the kernel receives wherever it likes."""
    return paces.most(contender.name, lambda pps: _delivered_at(contender, pps, one_core=False))[0]


def _spent(found: Running, send: Callable[[], Any]) -> float:
    """ns of the worker's CPU a packet while `send` sends; ends the contender. Raises LiveError where it read none."""
    before = found.cpu_ns()
    send()
    time.sleep(SETTLE_S)
    spent = found.cpu_ns() - before
    packets = found.stop()
    if not packets:
        raise LiveError(f"{found.contender.name} read no packet")
    return spent / packets


def cost(contender: Contender) -> tuple[float, float]:
    """(ns of CPU a packet, share of a CPU without traffic) of a worker on a veth that has a core to itself."""
    with Space() as space:
        space.veth()
        with running(contender, space) as found:
            time.sleep(START_S)
            start, before = time.monotonic(), found.cpu_ns()
            time.sleep(IDLE_S)
            rest = (found.cpu_ns() - before) / (time.monotonic() - start) / 1e9
            return _spent(found, lambda: space.offer(COST_S, COST_PPS)), rest


def cost_on_tap(contender: Contender) -> float:
    """ns of CPU a packet of a worker on a TAP."""
    with Space() as space:
        space.tap()
        with running(contender, space) as found:
            time.sleep(SETTLE_S)
            return _spent(found, lambda: space.write(COST_S))
