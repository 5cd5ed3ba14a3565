"""Hosts by the bytes that they send and receive."""

from __future__ import annotations

from typing import Any

import numpy as np

from zcframe import PASS, Param, State, Table, ip_text, plugin, u64

SHOWN = 3


@plugin
class Talkers:
    """Top hosts by bytes: packets and wire bytes that each IP address sent and received.

    Every IP packet counts once for its source and once for its destination, fragments and multicast included; what is
    not IP has no hosts. A host has a row in each bucket that its flows fall into, so `capacity` holds as many hosts as
    given only where each has many flows; `lost` counts packets' ends that found no room.
    """

    capacity = Param(1 << 18, "rows for hosts, over all buckets", minimum=2048, maximum=1 << 26)
    top = Param(10, "hosts listed in the report", minimum=0, maximum=1_000_000)

    hosts = Table(
        key={"hi": u64, "lo": u64},
        value={"sent_packets": u64, "sent_bytes": u64, "received_packets": u64, "received_bytes": u64},
        capacity=capacity,
    )

    @staticmethod
    def ahead(pkt, state, params):  # type: ignore[no-untyped-def]
        return state.hosts.spot(pkt.src_hi, pkt.src_lo), state.hosts.spot(pkt.dst_hi, pkt.dst_lo)

    @staticmethod
    def filter(pkt, state, params, ahead):  # type: ignore[no-untyped-def]
        if pkt.ip_version == 0:
            return PASS
        sender = state.hosts.upsert(ahead[0])
        if sender:
            sender.sent_packets += 1
            sender.sent_bytes += pkt.wirelen
        receiver = state.hosts.upsert(ahead[1])
        if receiver:
            receiver.received_packets += 1
            receiver.received_bytes += pkt.wirelen
        return PASS

    @staticmethod
    def report(merged: State, params: Any) -> dict[str, Any]:
        rows = merged.hosts
        octets = rows["sent_bytes"] + rows["received_bytes"]
        # Equal hosts in the order of their addresses: a report does not depend on which worker saw them first.
        busiest = np.lexsort((rows["lo"], rows["hi"], np.iinfo(np.uint64).max - octets))[: params.top]
        return {"count": len(rows), "lost": merged.lost["hosts"], "top": [_described(row) for row in rows[busiest]]}

    @staticmethod
    def lines(report: dict[str, Any]) -> list[str]:
        lines = [f"{report['count']:,} hosts, {report['lost']:,} times no room in the table"]
        for host in report["top"][:SHOWN]:
            lines.append(f"{host['host']}  sent {host['sent_bytes']:,}  received {host['received_bytes']:,} bytes")
        return lines


def _described(row: Any) -> dict[str, Any]:
    sent, received = int(row["sent_bytes"]), int(row["received_bytes"])
    return {
        "host": ip_text(row["hi"], row["lo"]),
        "bytes": sent + received,
        "packets": int(row["sent_packets"]) + int(row["received_packets"]),
        "sent_packets": int(row["sent_packets"]),
        "sent_bytes": sent,
        "received_packets": int(row["received_packets"]),
        "received_bytes": received,
    }
