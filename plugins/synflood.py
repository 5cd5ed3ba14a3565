"""SYN floods: connections that were asked for and never answered."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from math import log
from typing import Any

import numpy as np

from zcframe import DROP, PASS, Array, Param, State, Table, ip_text, merge, plugin, u8, u16, u32, u64

SYN, RST, ACK = 0x02, 0x04, 0x10

# A set of 256 bits in four words: of n sources, a source's bit is still free with probability (1 - 1/256) ** n.
BITS, WORD_BITS, WORDS = 256, 64, 4
MIXER, MASK = 0x45D9F3B, 0xFFFFFFFF

SHOWN = 3

# What became of a connection that was asked for.
OPEN, ANSWERED, REFUSED = 1, 2, 3


def mark_source(row, hi, lo):  # type: ignore[no-untyped-def]
    """Set the bit of a source address, one of 256 by the upper bits of a hash."""
    mixed = 0
    for part in (hi >> 32, hi, lo >> 32, lo):
        mixed = (mixed ^ part & MASK) * MIXER & MASK
        mixed = (mixed ^ mixed >> 16) * MIXER & MASK
    bit = 1 << (mixed >> 24 & WORD_BITS - 1)
    word = mixed >> 30
    row.sources0 |= bit if word == 0 else 0
    row.sources1 |= bit if word == 1 else 0
    row.sources2 |= bit if word == 2 else 0
    row.sources3 |= bit if word == 3 else 0


def turn(row, window):  # type: ignore[no-untyped-def]
    """Bring a row to the present window: what was recent becomes old, what was old is forgotten."""
    if row.window < window:
        row.old = row.recent if row.window == window - 1 else 0
        row.recent = 0
        row.window = window


def take(row, window):  # type: ignore[no-untyped-def]
    """Take one half-open connection of those counted in that window; returns 1, or 0 where none is remembered."""
    if row.window == window and row.recent:
        row.recent -= 1
        return 1
    if row.window == window + 1 and row.old:
        row.old -= 1
        return 1
    return 0


def take_latest(row):  # type: ignore[no-untyped-def]
    """Take one half-open connection, of the latest: an answer follows its SYN within a round trip."""
    return take(row, row.window) or take(row, row.window - 1)


def open_connection(row, asked):  # type: ignore[no-untyped-def]
    """Count the connection that a SYN asks for; asked: what is remembered of it, a row that may be new."""
    known = not asked.new and asked.phase != REFUSED and asked.window + 1 >= row.window
    if known and asked.early:
        # Its answer overtook it, and took another one's place.
        row.recent += asked.early - 1
        asked.early = 0
        return
    if known and asked.phase == OPEN:
        taken = take(row, asked.window)
        row.recent += taken
    elif not known:
        row.recent += 1
        asked.phase = OPEN
        asked.over = 0
        asked.early = 0
    row.again += int(known)
    asked.window = row.window


def count_syn(pkt, state, params, window):  # type: ignore[no-untyped-def]
    """One more half-open connection to the destination; DROP above the threshold where that is asked for."""
    row = state.targets.upsert(pkt.dst_hi, pkt.dst_lo, pkt.dport)
    if not row:
        return PASS
    turn(row, window)
    row.last_ns = max(row.last_ns, pkt.ts)
    row.syns += 1
    ends = pkt.sport << 16 | pkt.dport
    asked = state.asked.upsert(pkt.src_hi, pkt.src_lo, pkt.dst_hi, pkt.dst_lo, ends, pkt.tcp_seq)
    if asked:
        open_connection(row, asked)
        asked.last_ns = max(asked.last_ns, pkt.ts)
    else:
        row.recent += 1
    row.peak = max(row.peak, row.old + row.recent)
    mark_source(row, pkt.src_hi, pkt.src_lo)
    if params.drop and row.old + row.recent > params.threshold:
        row.dropped += 1
        return DROP
    return PASS


def close_connection(row, asked, phase):  # type: ignore[no-untyped-def]
    """Take the half-open connection that was answered, or, where its SYN was not seen, the latest."""
    if asked.new:
        asked.early = 1 + take_latest(row)
    elif asked.phase == OPEN:
        take(row, asked.window)
    else:
        return
    row.answers += 1
    asked.phase = phase
    asked.over = 1
    asked.window = row.window


def count_answer(pkt, state, window):  # type: ignore[no-untyped-def]
    """One half-open connection less; an answer that comes again takes none."""
    row = state.targets.find(pkt.src_hi, pkt.src_lo, pkt.sport)
    if not row:
        return
    turn(row, window)
    row.last_ns = max(row.last_ns, pkt.ts)
    ends = pkt.dport << 16 | pkt.sport
    asked = state.asked.upsert(pkt.dst_hi, pkt.dst_lo, pkt.src_hi, pkt.src_lo, ends, pkt.tcp_ack - 1)
    if asked:
        close_connection(row, asked, REFUSED if pkt.tcp_flags & RST else ANSWERED)
        asked.last_ns = max(asked.last_ns, pkt.ts)
    else:
        take_latest(row)
        row.answers += 1


def count_abort(pkt, state, window):  # type: ignore[no-untyped-def]
    """The RST of the end that asked, right behind its SYN: its connection is over, answered or not."""
    ends = pkt.sport << 16 | pkt.dport
    asked = state.asked.find(pkt.src_hi, pkt.src_lo, pkt.dst_hi, pkt.dst_lo, ends, pkt.tcp_seq - 1)
    if not asked:
        return
    row = state.targets.find(pkt.dst_hi, pkt.dst_lo, pkt.dport)
    if row and asked.phase == OPEN:
        turn(row, window)
        take(row, asked.window)
    asked.phase = REFUSED
    asked.over = 1


@plugin(per="worker")
class Synflood:
    """SYNs without answer per destination (address and port): half-open connections, their peak, their sources.

    A SYN adds one. The destination's SYN-ACK takes one, and so does its RST where that refuses a SYN (RST and ACK with
    sequence number 0, RFC 9293 3.10.7.1), and the RST with which the end that asked gives up. A SYN that is sent again
    (same ends, same sequence number, whatever its options) is the same half-open connection, and an answer that is sent
    again takes none; `again` counts such SYNs, which are among `syns`. A SYN with another sequence number, and one
    after such a RST, ask for another connection. After `window` seconds at most, half of that at least, an unanswered
    SYN is forgotten; each one that is sent again begins that time anew. A victim that answers every SYN, as with SYN
    cookies, is not seen here.

    Each worker remembers `connections`. In a flood from more sources than that, what is sent again counts again, and an
    answer takes the latest half-open connection of its destination.

    State is kept per worker, since a flood from many sources falls into every bucket. `drop` therefore begins where one
    worker's own share of the half-open connections to a destination is above `threshold`; the report adds all workers'
    shares, half-open connections and peaks alike, and lists each destination whose sum was above it.

    Both directions of a connection reach one worker with a symmetric RSS key. With any other key an answer may come to
    another worker than its SYN: there it takes one of that worker's share, or is none where there is no share, and the
    SYN stays half-open until the window forgets it.
    """

    threshold = Param(100, "half-open connections to a destination that are no flood yet", minimum=1, maximum=1e9)
    window = Param(60.0, "seconds after which an unanswered SYN is forgotten (0: never)", minimum=0, maximum=1e6)
    drop = Param(False, "give SYNs above the threshold the verdict DROP")
    capacity = Param(1 << 16, "destinations that each worker has room for", minimum=2048, maximum=1 << 26)
    connections = Param(1 << 17, "connections that each worker remembers", minimum=2048, maximum=1 << 26)
    top = Param(10, "destinations listed in the report, by peak", minimum=0, maximum=1_000_000)

    targets = Table(
        key={"hi": u64, "lo": u64, "port": u16},
        value={
            "recent": u64,
            "old": u64,
            "window": u64.max,
            "peak": u64,
            "syns": u64,
            "answers": u64,
            "again": u64,
            "dropped": u64,
            "last_ns": u64.max,
            **{f"sources{i}": u64.bits for i in range(WORDS)},
        },
        capacity=capacity,
        idle=window,
        last="last_ns",
    )
    # By addresses, source port << 16 | destination port, initial sequence number. `over`: it may give up its room;
    # `early`: its answer came before it, and took nothing (1) or the place of another one (2).
    asked = Table(
        key={"src_hi": u64, "src_lo": u64, "dst_hi": u64, "dst_lo": u64, "ports": u32, "number": u32},
        value={"window": u64, "last_ns": u64.max, "phase": u8, "over": u8, "early": u8},
        capacity=connections,
        idle=window,
        last="last_ns",
        done="over",
    )
    # The latest window that any packet fell into.
    latest = Array(u64.max, 1)

    @staticmethod
    def prefetch(pkt, state, params):  # type: ignore[no-untyped-def]
        if pkt.tcp_flags & (SYN | ACK) == SYN:
            state.targets.prefetch(pkt.dst_hi, pkt.dst_lo, pkt.dport)

    @staticmethod
    def filter(pkt, state, params):  # type: ignore[no-untyped-def]
        flags = pkt.tcp_flags
        if flags & (SYN | RST) == 0:
            return PASS
        window = pkt.ts // int(params.window * 5e8) if params.window else 0
        if window > state.latest[0]:
            state.latest[0] = window
        if flags & (SYN | ACK | RST) == SYN:
            return count_syn(pkt, state, params, window)
        if flags & (SYN | ACK | RST) == SYN | ACK or (flags & (RST | ACK) == RST | ACK and pkt.tcp_seq == 0):
            count_answer(pkt, state, window)
        elif flags & RST:
            count_abort(pkt, state, window)
        return PASS

    @staticmethod
    def merge(states: Sequence[State]) -> State:
        """Half-open connections add up once all are brought to the same window."""
        latest = max(int(state.latest[0]) for state in states)
        parts = []
        for state in states:
            part = copy(state)
            part.targets = _turned(state.targets, latest)
            # Workers remember connections for themselves.
            part.asked = state.asked[:0]
            parts.append(part)
        return merge(parts)

    @staticmethod
    def report(merged: State, params: Any) -> dict[str, Any]:
        rows = _turned(merged.targets, int(merged.latest[0]))
        over = rows[rows["peak"] > params.threshold]
        worst = np.lexsort((over["port"], over["lo"], over["hi"], np.iinfo(np.uint64).max - over["peak"]))
        return {
            "threshold": params.threshold,
            "destinations": len(rows),
            "syns": int(rows["syns"].sum()),
            "answers": int(rows["answers"].sum()),
            "again": int(rows["again"].sum()),
            "half_open": int(rows["recent"].sum() + rows["old"].sum()),
            "dropped": int(rows["dropped"].sum()),
            "lost": merged.lost["targets"],
            "over": len(over),
            "top": [_described(row) for row in over[worst[: params.top]]],
        }

    @staticmethod
    def lines(report: dict[str, Any]) -> list[str]:
        lines = [f"{report['half_open']:,} half-open, {report['over']:,} destinations above {report['threshold']:,}"]
        for row in report["top"][:SHOWN]:
            host = f"[{row['dst']}]" if ":" in row["dst"] else row["dst"]
            sources = f"{'more than ' if row['sources_at_least'] else ''}{row['sources']:,} sources"
            lines.append(f"{host}:{row['dport']}  {row['half_open']:,} half-open, peak {row['peak']:,}, {sources}")
        return lines


def _turned(rows: Any, latest: int) -> Any:
    """The rows as they are in window `latest`."""
    rows = rows.copy()
    behind = np.uint64(latest) - rows["window"]
    rows["old"] = np.where(behind == 0, rows["old"], np.where(behind == 1, rows["recent"], 0))
    rows["recent"] = np.where(behind == 0, rows["recent"], 0)
    rows["window"] = latest
    return rows


def _sources(row: Any) -> tuple[int, bool]:
    """(distinct source addresses, whether there may be many more): linear counting (Whang et al., 1990)."""
    free = BITS - sum(int(row[f"sources{i}"]).bit_count() for i in range(WORDS))
    return round(BITS * log(BITS / max(free, 1))), free == 0


def _described(row: Any) -> dict[str, Any]:
    sources, at_least = _sources(row)
    return {
        "dst": ip_text(row["hi"], row["lo"]),
        "dport": int(row["port"]),
        "half_open": int(row["recent"]) + int(row["old"]),
        "peak": int(row["peak"]),
        "syns": int(row["syns"]),
        "answers": int(row["answers"]),
        "again": int(row["again"]),
        "dropped": int(row["dropped"]),
        "sources": sources,
        "sources_at_least": at_least,
    }
