"""Of a contender: packets a second on one core or two, the worker's CPU time a packet, its share without traffic."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from .contenders import Contender, LiveError, Running, running
from .space import Space

# Offered to everyone, one after the other: the last is more than anybody can take.
PACES = (1_000_000, 2_000_000, 3_000_000, 4_000_000)
OFFER_S = 2.0
COST_PPS = 2_000_000
IDLE_S = 3.0
# What belongs to a start is over.
START_S = 1.5
# What is on its way is read; a block that is not full is handed over meanwhile.
SETTLE_S = 0.3


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


def delivered(contender: Contender) -> tuple[float, float]:
    """(delivered, offered) packets a second, at the pace at which softirq and worker on one core delivered most."""
    return max(_delivered_at(contender, pps, one_core=True) for pps in PACES)


def delivered_freely(contender: Contender) -> float:
    """Delivered packets a second where the kernel receives wherever it likes: at the pace that was best, of two."""
    return max(_delivered_at(contender, pps, one_core=False) for pps in PACES[1::2])[0]


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
            return _spent(found, lambda: space.offer(OFFER_S, COST_PPS)), rest


def cost_on_tap(contender: Contender) -> float:
    """ns of CPU a packet of a worker on a TAP."""
    with Space() as space:
        space.tap()
        with running(contender, space) as found:
            time.sleep(SETTLE_S)
            return _spent(found, lambda: space.write(OFFER_S))
