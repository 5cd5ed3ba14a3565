"""Of a contender: packets a second on one core, the worker's CPU time a packet, and its share without traffic."""

from __future__ import annotations

import json
import time

from .contenders import Contender, LiveError, running
from .space import Space

OFFER_S = 3.0
IDLE_S = 2.0
# What is on its way is read; a block that is not full is handed over meanwhile.
SETTLE_S = 0.3


def delivered(space: Space, contender: Contender) -> tuple[float, float]:
    """(delivered, offered) packets a second, while softirq and worker have one core together."""
    with running(contender, space) as found:
        # Behind the start: a change of program would end the thread.
        space.share_core(contender.core)
        offered = json.loads(space.offer(OFFER_S))
        time.sleep(SETTLE_S)
        packets = found.stop()
    return packets / offered["seconds"], offered["frames"] / offered["seconds"]


def cost(space: Space, contender: Contender) -> tuple[float, float]:
    """(ns of CPU a packet, share of a CPU without traffic) of the worker, which has a core to itself."""
    space.share_core(None)
    with running(contender, space) as found:
        time.sleep(SETTLE_S)
        start, before = time.monotonic(), found.cpu_ns()
        time.sleep(IDLE_S)
        rest = (found.cpu_ns() - before) / (time.monotonic() - start)
        before = found.cpu_ns()
        space.offer(OFFER_S)
        time.sleep(SETTLE_S)
        spent = found.cpu_ns() - before
        packets = found.stop()
    if not packets:
        raise LiveError(f"{contender.name} read no packet")
    return spent / packets, rest / 1e9
