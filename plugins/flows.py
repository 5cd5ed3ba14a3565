"""Bidirectional flows by 5-tuple."""

from __future__ import annotations

import base64
import hashlib
import ipaddress
from typing import Any

import communityid
import numpy as np

from zcframe import PASS, Param, State, Table, ip_text, plugin, u8, u16, u64

ICMP = (1, 58)


def _key(pkt):  # type: ignore[no-untyped-def]
    """(a_hi, a_lo, b_hi, b_lo, ports, forward): the end with the smaller address, then port, is a.

    Which end sent is a coin toss for the branch predictor, so that the ends are compared and exchanged without a
    branch; whether it is IPv4 is not.
    """
    whole = pkt.is_fragment - 1
    sport, dport = pkt.sport & whole, pkt.dport & whole
    if pkt.ip_version == 4:
        src, dst = pkt.src_lo, pkt.dst_lo
        forward = int(src << 16 | sport <= dst << 16 | dport)
        lo, port = (src ^ dst) & (forward - 1), (sport ^ dport) & (forward - 1)
        return 0, src ^ lo, 0, dst ^ lo, (sport ^ port) << 32 | (dport ^ port) << 16 | pkt.proto, forward
    src_hi, src_lo, dst_hi, dst_lo = pkt.src_hi, pkt.src_lo, pkt.dst_hi, pkt.dst_lo
    low = (src_lo < dst_lo) | ((src_lo == dst_lo) & (sport <= dport))
    forward = int((src_hi < dst_hi) | ((src_hi == dst_hi) & low))
    swap = forward - 1
    hi, lo, port = (src_hi ^ dst_hi) & swap, (src_lo ^ dst_lo) & swap, (sport ^ dport) & swap
    ports = (sport ^ port) << 32 | (dport ^ port) << 16 | pkt.proto
    return src_hi ^ hi, src_lo ^ lo, dst_hi ^ hi, dst_lo ^ lo, ports, forward


@plugin
class Flows:
    """Bidirectional flows: packets, bytes, times, TCP flags, Community ID.

    Key: both addresses, both ports, protocol; VLAN ids are not part of it. The fragment rule: every fragment of a
    packet, the first one too, counts for the flow of its addresses and protocol with ports 0, since only the first one
    has ports and the NIC hashes them all by address. Protocols without ports have ports 0. What is not IP belongs to no
    flow.
    """

    capacity = Param(1 << 20, "flows that the table has room for, over all buckets", minimum=2048, maximum=1 << 26)
    idle = Param(0, "seconds after which a silent flow may give up its room (0: never)", minimum=0, maximum=1e6)
    top = Param(10, "flows listed in the report, by bytes", minimum=0, maximum=1_000_000)

    # a is the end with the smaller address (then port); forward is 1 where a sent the first packet.
    flows = Table(
        key={"a_hi": u64, "a_lo": u64, "b_hi": u64, "b_lo": u64, "ports": u64},
        value={
            "packets": u64,
            "bytes": u64,
            "first_ns": u64.min,
            "last_ns": u64.max,
            "icmp": u16.first,
            "tcp_flags": u8.bits,
            "seen": u8.bits,
            "forward": u8.first,
        },
        capacity=capacity,
        idle=idle,
        last="last_ns",
    )

    @staticmethod
    def prefetch(pkt, state, params):  # type: ignore[no-untyped-def]
        if pkt.ip_version:
            a_hi, a_lo, b_hi, b_lo, ports, _ = _key(pkt)
            state.flows.prefetch(a_hi, a_lo, b_hi, b_lo, ports)

    @staticmethod
    def filter(pkt, state, params):  # type: ignore[no-untyped-def]
        if pkt.ip_version == 0:
            return PASS
        a_hi, a_lo, b_hi, b_lo, ports, forward = _key(pkt)
        row = state.flows.upsert(a_hi, a_lo, b_hi, b_lo, ports)
        if row:
            if row.new:
                row.first_ns = pkt.ts
                row.last_ns = pkt.ts
                row.forward = forward
                row.icmp = pkt.icmp
            row.packets += 1
            row.bytes += pkt.wirelen
            row.first_ns = min(row.first_ns, pkt.ts)
            row.last_ns = max(row.last_ns, pkt.ts)
            row.tcp_flags |= pkt.tcp_flags
            row.seen |= 2 - forward
        return PASS

    @staticmethod
    def report(merged: State, params: Any) -> dict[str, Any]:
        rows = merged.flows
        busiest = np.argsort(rows["bytes"], kind="stable")[::-1][: params.top]
        return {
            "count": len(rows) + merged.expired["flows"],
            "packets": int(rows["packets"].sum()),
            "bytes": int(rows["bytes"].sum()),
            "lost": merged.lost["flows"],
            "top": [_described(row) for row in rows[busiest]],
        }

    @staticmethod
    def lines(report: dict[str, Any]) -> list[str]:
        lines = [f"{report['count']:,} flows, {report['lost']:,} packets without room in the table"]
        for flow in report["top"][:3]:
            ends = f"{_end(flow['src'], flow['sport'])} > {_end(flow['dst'], flow['dport'])}"
            lines.append(f"{ends}  proto {flow['proto']}  {flow['packets']:,} packets  {flow['bytes']:,} bytes")
        return lines


def _end(address: str, port: int) -> str:
    host = f"[{address}]" if ":" in address and port else address
    return f"{host}:{port}" if port else host


def _described(row: Any) -> dict[str, Any]:
    """One flow as the report shows it, seen from who sent the first packet."""
    ends = [
        (ip_text(row["a_hi"], row["a_lo"]), int(row["ports"]) >> 32),
        (ip_text(row["b_hi"], row["b_lo"]), int(row["ports"]) >> 16 & 0xFFFF),
    ]
    (src, sport), (dst, dport) = ends if row["forward"] else ends[::-1]
    proto = int(row["ports"]) & 0xFF
    return {
        "src": src,
        "dst": dst,
        "sport": sport,
        "dport": dport,
        "proto": proto,
        "packets": int(row["packets"]),
        "bytes": int(row["bytes"]),
        "first_ns": int(row["first_ns"]),
        "last_ns": int(row["last_ns"]),
        "tcp_flags": int(row["tcp_flags"]),
        "one_sided": int(row["seen"]) != 3 and (src, sport) != (dst, dport),
        "community_id": _community_id(src, dst, sport, dport, proto, int(row["icmp"])),
    }


def _community_id(src: str, dst: str, sport: int, dport: int, proto: int, icmp: int) -> str:
    """Community ID 1.0 of the flow; of ICMP by the type and code of its first packet."""
    if proto in ICMP:
        sport, dport = icmp >> 8, icmp & 0xFF
    if proto in ICMP or sport or dport:
        return str(communityid.CommunityID().calc(communityid.FlowTuple(proto, src, dst, sport, dport)))
    # The library refuses UDP and the like without ports. Fragments have none: their ID is that of protocol and
    # addresses.
    ends = sorted(ipaddress.ip_address(end).packed for end in (src, dst))
    digest = hashlib.sha1(bytes(2) + b"".join(ends) + bytes([proto, 0]), usedforsecurity=False).digest()
    return "1:" + base64.b64encode(digest).decode()
