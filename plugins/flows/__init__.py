"""Bidirectional flows by 5-tuple and time."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from typing import Any

import numpy as np

from zcframe import PASS, Array, Param, State, Table, ip_text, merge, plugin, u8, u64

from .community import community_id
from .connection import (
    ASKED,
    CLOSING,
    FIN,
    FINS,
    FORWARD,
    RESET,
    RST,
    SENT,
    SPLIT,
    SYN,
    A,
    B,
    is_another,
    known,
    learned,
    number,
    told,
)
from .key import ICMP, ICMPV6, NO_PORTS, answers_by_icmp, flow_key
from .parts import FIELDS, join, parts_of

# Longer than any capture, for an `idle` or `active` of 0.
NEVER = 1 << 62
# Packets that come this much late are among those of their time: what is earlier is another part of its flow, or of
# another one, which the report finds out.
LATE = 10**9

# Of a place among the flows that ended; the bytes of a flow take the rest of a word.
PLACE_BITS = 16

# Columns of the flows that ended.
PAST = tuple(f"past_{name}" for name in FIELDS)


def nanoseconds(seconds):  # type: ignore[no-untyped-def]
    return int(seconds * 1e9) if seconds else NEVER


def leave(state, packets, octets):  # type: ignore[no-untyped-def]
    """Count a flow that ended and is not listed."""
    state.unlisted[0] += 1
    state.unlisted[1] += packets
    state.unlisted[2] += octets


def smallest(state):  # type: ignore[no-untyped-def]
    """(place, bytes) of the smallest of the flows that ended; where there is room, one that has 0 bytes.

    Size and place are compared as one number, so that the loop has no branch and the compiler takes four at a time.
    """
    least = state.past_bytes[0] << PLACE_BITS
    for i in range(len(state.past_bytes)):
        least = min(least, state.past_bytes[i] << PLACE_BITS | i)
    return least & (1 << PLACE_BITS) - 1, least >> PLACE_BITS


def keep(state, row):  # type: ignore[no-untyped-def]
    """Put the flow of a row among those that ended, in place of the smallest of them where there is no room."""
    if row.bytes <= state.floor[0]:
        leave(state, row.packets, row.bytes)
        return
    at = state.floor[1]
    if state.past_bytes[at]:
        leave(state, state.past_packets[at], state.past_bytes[at])
    state.past_a_hi[at], state.past_a_lo[at] = row.a_hi, row.a_lo
    state.past_b_hi[at], state.past_b_lo[at] = row.b_hi, row.b_lo
    state.past_ports[at] = row.ports
    state.past_packets[at] = row.packets
    state.past_bytes[at] = row.bytes
    state.past_first_ns[at] = row.first_ns
    state.past_last_ns[at] = row.last_ns
    state.past_numbers[at] = row.numbers
    state.past_tcp_flags[at] = row.tcp_flags
    state.past_seen[at] = row.seen
    state.past_marks[at] = row.marks
    state.floor[1], state.floor[0] = smallest(state)


def learn(row, marks, numbers):  # type: ignore[no-untyped-def]
    """Who asked, and the numbers that the connection began with, as a packet tells them."""
    if marks & ASKED and row.marks & ASKED == 0:
        row.marks = row.marks & ~FORWARD | marks & (FORWARD | ASKED)
    for end in (A, B):
        row.marks, row.numbers = learned(row.marks, row.numbers, end, known(marks, end), number(numbers, end))


def begin(row, now, marks):  # type: ignore[no-untyped-def]
    """An empty flow in the row."""
    row.packets = 0
    row.bytes = 0
    row.first_ns = now
    row.last_ns = now
    row.tcp_flags = 0
    row.marks = marks


def turn(pkt, state, row, sender, silent, split):  # type: ignore[no-untyped-def]
    """Begin a flow in the row with this packet where it does not belong to the one there; learn what the packet tells.

    silent: it comes too long after that flow; split: that flow lasts too long already. Both may cut a connection in
    two, so that who asked and the numbers stay known. It may also come from before that flow.
    """
    now, flags = pkt.ts, pkt.tcp_flags
    marks, numbers = told(pkt, sender, answers_by_icmp(pkt))
    over = row.seen & CLOSING != 0 and now >= row.last_ns
    if row.new:
        begin(row, now, marks & (FORWARD | ASKED))
    elif row.first_ns - now > LATE or (
        flags & (SYN | RST) == SYN and is_another(row.marks, row.numbers, over, marks, numbers)
    ):
        keep(state, row)
        begin(row, now, marks & (FORWARD | ASKED))
        row.seen = 0
        row.numbers = 0
        row.closed = 0
    elif silent:
        keep(state, row)
        known_asker = row.marks & ASKED
        begin(row, now, row.marks & ~SPLIT if known_asker else row.marks & ~(SPLIT | FORWARD) | marks & FORWARD)
        row.seen &= CLOSING
    elif split:
        keep(state, row)
        begin(row, now, row.marks | SPLIT)
        row.seen &= CLOSING
    learn(row, marks, numbers)


@plugin
class Flows:
    """Bidirectional flows: packets, bytes, times, TCP flags, Community ID.

    Key: both addresses, both ports, protocol; VLAN ids are not part of it. A flow ends where another one begins over
    the same key: after `idle` seconds of silence, by a packet's own time; with a TCP SYN of another initial sequence
    number, or one after a FIN or RST; `active` seconds after its first packet, as exporters split long flows: each part
    then counts, and is listed, as a flow. Packets out of order do not split it.

    `src` is the end that asked: the one that sent the SYN or was sent the SYN-ACK; the one that sent the ICMP request,
    or was sent the answer; else the one that sent the first packet.

    ICMP has types in place of ports, paired as Community ID and Zeek pair them: a request with its answer is one flow,
    each other type and code is a flow of one direction. The fragment rule: every fragment of a packet, the first one
    too, counts for the flow of its addresses and protocol with ports 0, since only the first one has ports and the NIC
    hashes them all by address. Protocols without ports have ports 0. What is not IP belongs to no flow.

    A full table gives the room of closed and silent flows to new ones, the smallest first. Of the flows after which
    another began over the same key, each bucket keeps the largest, `ended` of them. `unlisted` counts the flows that
    gave up their room: they are among `count`, `packets` and `bytes`, not in `top`. `lost` counts packets that found no
    room; they are in none of these.

    Parts of one flow that different workers or files saw are joined by the same rules, in the order of their times. A
    part whose beginning was not seen belongs to the connection before it.
    """

    capacity = Param(1 << 20, "flows that the table has room for, over all buckets", minimum=2048, maximum=1 << 26)
    ended = Param(
        128, "flows in each bucket that stay listed after another began over their key", minimum=1, maximum=65536
    )
    idle = Param(120, "seconds of silence that end a flow (0: never)", minimum=0, maximum=1e6)
    active = Param(1800, "seconds after which a flow that goes on is split (0: never)", minimum=0, maximum=1e6)
    top = Param(10, "flows listed in the report, by bytes", minimum=0, maximum=1_000_000)

    # a is the end with the smaller address (then port); the last fields are those of connection.py.
    flows = Table(
        key={"a_hi": u64, "a_lo": u64, "b_hi": u64, "b_lo": u64, "ports": u64},
        value={
            "packets": u64,
            "bytes": u64,
            "first_ns": u64.min,
            "last_ns": u64.max,
            "numbers": u64.first,
            "tcp_flags": u8.bits,
            "seen": u8.bits,
            "marks": u8.first,
            "closed": u8.bits,
        },
        capacity=capacity,
        idle=idle,
        last="last_ns",
        done="closed",
        least="bytes",
    )
    # Of the flows that ended, the largest; `floor`: the bytes of the smallest, 0 while there is room, and its place.
    past_a_hi = Array(u64, ended)
    past_a_lo = Array(u64, ended)
    past_b_hi = Array(u64, ended)
    past_b_lo = Array(u64, ended)
    past_ports = Array(u64, ended)
    past_first_ns = Array(u64, ended)
    past_last_ns = Array(u64, ended)
    past_packets = Array(u64, ended)
    past_bytes = Array(u64, ended)
    past_numbers = Array(u64, ended)
    past_tcp_flags = Array(u8, ended)
    past_seen = Array(u8, ended)
    past_marks = Array(u8, ended)
    floor = Array(u64, 2)
    # The others that ended: flows, packets, bytes.
    unlisted = Array(u64, 3)

    @staticmethod
    def ahead(pkt, state, params):  # type: ignore[no-untyped-def]
        a_hi, a_lo, b_hi, b_lo, ports, forward = flow_key(pkt)
        return state.flows.spot(a_hi, a_lo, b_hi, b_lo, ports), forward

    @staticmethod
    def filter(pkt, state, params, ahead):  # type: ignore[no-untyped-def]
        if pkt.ip_version == 0:
            return PASS
        spot, forward = ahead
        row = state.flows.upsert(spot)
        if row:
            now, flags, sender = pkt.ts, pkt.tcp_flags, B - forward
            idle, active = nanoseconds(params.idle), nanoseconds(params.active)
            silent = now - row.last_ns > idle
            split = now - row.first_ns > active
            first = (flags != 0) & (row.seen & sender == 0)
            early = row.first_ns - now > LATE
            if row.new | silent | split | early | first | (flags & SYN != 0):
                turn(pkt, state, row, sender, silent, split)
            row.packets += 1
            row.bytes += pkt.wirelen
            row.first_ns = min(row.first_ns, now)
            row.last_ns = max(row.last_ns, now)
            row.tcp_flags |= flags
            seen = row.seen | sender | (flags & FIN) * sender << 2 | (flags & RST) << 2
            row.seen = seen
            row.closed |= int(seen & RESET != 0) | int(seen & FINS == FINS)
        return PASS

    @staticmethod
    def merge(states: Sequence[State]) -> State:
        """Parts of flows stand side by side: which belong together is decided in the report, when all are there."""
        joined = ("flows", *PAST)
        parts = []
        for state in states:
            part = copy(state)
            for name in joined:
                setattr(part, name, getattr(state, name)[:0])
            parts.append(part)
        merged = merge(parts)
        for name in joined:
            setattr(merged, name, np.concatenate([getattr(state, name) for state in states]))
        return merged

    @staticmethod
    def report(merged: State, params: Any) -> dict[str, Any]:
        there = merged.past_packets > 0
        past = {name: getattr(merged, f"past_{name}")[there] for name in FIELDS}
        rows = join(parts_of([merged.flows, past]), nanoseconds(params.idle))
        given_up, (unlisted, packets, octets) = merged.given_up["flows"], merged.unlisted.tolist()
        unlisted += merged.expired["flows"]
        busiest = np.lexsort((rows["first_ns"], np.iinfo(np.uint64).max - rows["bytes"]))[: params.top]
        return {
            "count": len(rows) + unlisted,
            "packets": int(rows["packets"].sum()) + packets + given_up["packets"],
            "bytes": int(rows["bytes"].sum()) + octets + given_up["bytes"],
            "lost": merged.lost["flows"],
            "unlisted": unlisted,
            "top": [_described(row) for row in rows[busiest]],
        }

    @staticmethod
    def lines(report: dict[str, Any]) -> list[str]:
        lines = [f"{report['count']:,} flows, {report['lost']:,} packets without room in the table"]
        for flow in report["top"][:3]:
            ends = " > ".join(_end(flow[end], flow[port], flow["proto"]) for end, port in ENDS)
            lines.append(f"{ends}  proto {flow['proto']}  {flow['packets']:,} packets  {flow['bytes']:,} bytes")
        return lines


ENDS = (("src", "sport"), ("dst", "dport"))


def _end(address: str, port: int, proto: int) -> str:
    if not port or proto in (ICMP, ICMPV6):
        return address
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def _described(row: Any) -> dict[str, Any]:
    """One flow as the report shows it, seen from who asked."""
    ports, marks = int(row["ports"]), int(row["marks"])
    ends = [(ip_text(row["a_hi"], row["a_lo"]), ports >> 32), (ip_text(row["b_hi"], row["b_lo"]), ports >> 16 & 0xFFFF)]
    (src, sport), (dst, dport) = ends if marks & FORWARD else ends[::-1]
    icmp = number(int(row["numbers"]), A) if ports & NO_PORTS and ports & 0xFF in (ICMP, ICMPV6) else 0
    return {
        "src": src,
        "dst": dst,
        "sport": sport,
        "dport": dport,
        "proto": ports & 0xFF,
        "packets": int(row["packets"]),
        "bytes": int(row["bytes"]),
        "first_ns": int(row["first_ns"]),
        "last_ns": int(row["last_ns"]),
        "tcp_flags": int(row["tcp_flags"]),
        "one_sided": int(row["seen"]) & SENT != SENT and (src, sport) != (dst, dport),
        "community_id": community_id(src, dst, sport, dport, ports & 0xFFFF, icmp),
    }
