"""Packets of each tenth of a second, by bucket, as records."""

from __future__ import annotations

from typing import Any

from zcframe import PASS, Array, Packet, Records, Verdict, plugin, u8, u64


@plugin(tick=0.1)
class Beats:
    """What came since the last tick, and in all."""

    packets = Array(u64, 1)
    sum = Array(u64, 1)
    bucket = Array(u8, 1)
    told = Records(now=u64, bucket=u8, packets=u64)

    @staticmethod
    def filter(pkt: Packet, state: Any, params: Any) -> Verdict:
        state.bucket[0] = pkt.bucket
        state.packets[0] += 1
        return PASS

    @staticmethod
    def tick(state: Any, now: int, params: Any) -> None:
        state.told.emit(now=now, bucket=state.bucket[0], packets=state.packets[0])
        state.sum[0] += state.packets[0]
        state.packets[0] = 0

    @staticmethod
    def report(merged: Any) -> dict[str, Any]:
        return {"sum": merged.sum.tolist()}
