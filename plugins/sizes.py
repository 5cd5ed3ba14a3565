"""Histogram of wire lengths."""

from __future__ import annotations

from typing import Any

from zcframe import PASS, Array, Param, State, plugin, u64


@plugin(per="worker")
class Sizes:
    """Histogram of wire lengths, without FCS.

    Every length has its own count up to 65,535 bytes; what is longer (merged segments) counts there too.
    """

    bin = Param(64, "bytes that a bar of the report is wide", minimum=1, maximum=65536)
    lengths = Array(u64, 1 << 16)
    bytes = Array(u64, 1)

    @staticmethod
    def filter(pkt, state, params):  # type: ignore[no-untyped-def]
        length = pkt.wirelen
        state.lengths[min(length, 65535)] += 1
        state.bytes[0] += length
        return PASS

    @staticmethod
    def report(merged: State, params: Any) -> dict[str, Any]:
        counts = merged.lengths
        used = counts.nonzero()[0]
        packets = int(counts.sum())
        histogram: dict[str, int] = {}
        for length in used:
            low = int(length) // params.bin * params.bin
            label = f"{low}-{low + params.bin - 1}"
            histogram[label] = histogram.get(label, 0) + int(counts[length])
        return {
            "packets": packets,
            "bytes": int(merged.bytes[0]),
            "min": int(used[0]) if packets else 0,
            "max": int(used[-1]) if packets else 0,
            "mean": int(merged.bytes[0]) / packets if packets else 0.0,
            "histogram": histogram,
        }

    @staticmethod
    def lines(report: dict[str, Any]) -> list[str]:
        return [f"{report['min']} to {report['max']} bytes, mean {report['mean']:.0f}"]
