"""Histogram of wire lengths."""

from __future__ import annotations

from typing import Any

from zcframe import PASS, Array, Param, State, plugin, u64

LONGEST = 65535


@plugin(per="worker")
class Sizes:
    """Histogram of wire lengths, without FCS.

    Every length has its own count up to 65,535 bytes; what is longer (merged segments) counts there too.
    """

    bin = Param(64, "bytes that a bar of the report is wide", minimum=1, maximum=65536)
    lengths = Array(u64, 1 << 16)
    # Bytes above LONGEST, which the histogram does not tell.
    excess = Array(u64, 1)

    @staticmethod
    def filter(pkt, state, params):  # type: ignore[no-untyped-def]
        length = pkt.wirelen
        state.lengths[min(length, LONGEST)] += 1
        if length > LONGEST:
            state.excess[0] += length - LONGEST
        return PASS

    @staticmethod
    def report(merged: State, params: Any) -> dict[str, Any]:
        counts = merged.lengths
        used = counts.nonzero()[0]
        packets = int(counts.sum())
        octets = int(merged.excess[0]) + sum(int(length) * int(counts[length]) for length in used)
        histogram: dict[str, int] = {}
        for length in used:
            low = int(length) // params.bin * params.bin
            label = f"{low}-{low + params.bin - 1}"
            histogram[label] = histogram.get(label, 0) + int(counts[length])
        return {
            "packets": packets,
            "bytes": octets,
            "min": int(used[0]) if packets else 0,
            "max": int(used[-1]) if packets else 0,
            "mean": octets / packets if packets else 0.0,
            "histogram": histogram,
        }

    @staticmethod
    def lines(report: dict[str, Any]) -> list[str]:
        return [f"{report['min']} to {report['max']} bytes, mean {report['mean']:.0f}"]
