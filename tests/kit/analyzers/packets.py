"""Plugins that remember what the NIC said of every packet, and which worker saw what."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from typing import Any

import numpy as np

from zcframe import PASS, Array, State, Table, plugin, u8, u32, u64


@plugin
class Packets:
    """Time, hash, type, bucket and length of each packet, and how often it came."""

    packets = Table(
        key={"ts": u64, "hash": u32, "type": u8, "bucket": u8, "wire": u32}, value={"count": u64}, capacity=1 << 22
    )

    @staticmethod
    def filter(pkt, state, params):  # type: ignore[no-untyped-def]
        row = state.packets.upsert(pkt.ts, pkt.rss_hash, pkt.rss_type, pkt.bucket, pkt.wirelen)
        if row:
            row.count += 1
        return PASS

    @staticmethod
    def report(merged: State) -> dict[str, Any]:
        return {"lost": merged.lost["packets"], "rows": [list(row) for row in merged.packets.tolist()]}


@plugin
class Tags:
    """How many packets had these VLAN tags, and how many octets those were."""

    tags = Table(key={"count": u8, "vlan": u32, "vlan2": u32}, value={"packets": u64, "octets": u64}, capacity=1 << 10)

    @staticmethod
    def filter(pkt, state, params):  # type: ignore[no-untyped-def]
        row = state.tags.upsert(pkt.vlan_count, pkt.vlan, pkt.vlan2)
        if row:
            row.packets += 1
            row.octets += pkt.wirelen
        return PASS

    @staticmethod
    def report(merged: State) -> dict[str, Any]:
        return {"lost": merged.lost["tags"], "rows": sorted(list(row) for row in merged.tags.tolist())}


@plugin(per="worker")
class Buckets:
    """Packets of each bucket, of every worker that saw one, in the order of their queues."""

    seen = Array(u64, 129)

    @staticmethod
    def filter(pkt, state, params):  # type: ignore[no-untyped-def]
        state.seen[pkt.bucket] += 1
        return PASS

    @staticmethod
    def merge(states: Sequence[State]) -> State:
        """The counts side by side: a row a worker."""
        merged = copy(states[0])
        rows = np.vstack([np.atleast_2d(state.seen) for state in states])
        merged.seen = rows[rows.any(axis=1)]
        return merged

    @staticmethod
    def report(merged: State) -> dict[str, Any]:
        return {"workers": np.atleast_2d(merged.seen).tolist()}
