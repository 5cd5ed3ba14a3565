"""A plugin that counts in several places, so that a packet that counted half, or twice, shows; and a slow one."""

from __future__ import annotations

from typing import Any

from zcframe import PASS, Array, Param, State, plugin, u64


@plugin
class Tally:
    """Counts per bucket, in several arrays."""

    counts = Array(u64, 4)
    lengths = Array(u64, 4096)

    @staticmethod
    def filter(pkt, state, params):  # type: ignore[no-untyped-def]
        state.counts[0] += 1
        state.lengths[min(pkt.wirelen, 4095)] += 1
        state.counts[1] += pkt.wirelen
        state.counts[2] += 1
        return PASS

    @staticmethod
    def report(merged: State) -> dict[str, Any]:
        lengths = {str(i): int(n) for i, n in enumerate(merged.lengths) if n}
        return {"counts": merged.counts.tolist(), "lengths": lengths}


@plugin
class Slow:
    """Burns time on each packet."""

    rounds = Param(1000, "multiplications a packet", minimum=1)
    sink = Array(u64, 1)

    @staticmethod
    def filter(pkt, state, params):  # type: ignore[no-untyped-def]
        value = pkt.wirelen
        for i in range(params.rounds):
            value = (value ^ i) * 6364136223846793005
        state.sink[0] = value
        return PASS
