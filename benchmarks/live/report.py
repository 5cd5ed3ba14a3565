"""What was measured, as Markdown: the bars, then every contender with the spread of its rounds."""

from __future__ import annotations

import os
import re
from collections import defaultdict
from dataclasses import dataclass, field

from benchmarks.rounds import Spread
from benchmarks.table import Row, figure, machine, render

from .contenders import (
    CYPCAP,
    GRO_OFF,
    LIBPCAP,
    LIBPCAP_THREE,
    PACKET,
    PACKET_COUNTS,
    PACKET_THREE,
    PCAPY,
    SCAPY,
    TUNED,
    XDP,
    XDP_COUNTS,
)
from .dumping import DUMP_PACKET, DUMP_XDP, DUMPCAP, TCPDUMP
from .engine import ENGINE, ENGINE_PACKET, ENGINE_XDP

Values = dict[str, list[float]]
LEFT_OUT = "left out"
HEADINGS = (
    "contender",
    "delivered, kpps",
    "of offered",
    "delivered freely",
    "in the file",
    "by Suricata",
    "worker, ns a packet",
    "on a TAP",
    "idle, % of a CPU",
)


def _values() -> Values:
    return defaultdict(list)


@dataclass
class Figures:
    """Every round's value by contender: packets a second, ns of the worker a packet (veth, TAP), share of a CPU.

    delivered is on one core, free where the kernel receives wherever it likes; written: into a file, on one core;
    seen: by one thread of Suricata, on one core.
    """

    delivered: Values = field(default_factory=_values)
    offered: Values = field(default_factory=_values)
    free: Values = field(default_factory=_values)
    written: Values = field(default_factory=_values)
    seen: Values = field(default_factory=_values)
    cost: Values = field(default_factory=_values)
    tap: Values = field(default_factory=_values)
    idle: Values = field(default_factory=_values)
    missing: dict[str, str] = field(default_factory=dict)


def _spread(values: Values, name: str, factor: float = 1.0) -> Spread | None:
    return Spread(tuple(values[name])).times(factor) if name in values else None


def _against(
    figures: Figures, values: Values, title: str, ours: str, peer: str, unit: str, bar: float | None, *, cost: bool
) -> Row:
    """Ratios of rounds; rates in kpps, costs in ns."""
    mine, other = (_spread(values, name, 1.0 if cost else 1e-3) for name in (ours, peer))
    reason = next((figures.missing[name] for name in (ours, peer) if name in figures.missing), "")
    if not reason and (mine is None or other is None):
        reason = LEFT_OUT
    name = f"{title}: {ours}, against {peer}"
    return Row(name, unit, mine, other, bar, cost, reason, cost=cost)


def _delivered(figures: Figures, ours: str, peer: str, bar: float | None = None) -> Row:
    return _against(figures, figures.delivered, "delivered on one core", ours, peer, "kpps", bar, cost=False)


def _cost(figures: Figures, ours: str, peer: str, bar: float | None = None) -> Row:
    return _against(figures, figures.cost, "CPU a packet", ours, peer, "ns", bar, cost=True)


def _freely(figures: Figures, ours: str, peer: str) -> Row:
    return _against(figures, figures.free, "delivered freely", ours, peer, "kpps", None, cost=False)


def _dumped(figures: Figures, ours: str, bar: float) -> Row:
    """Against the better one of tcpdump and dumpcap."""
    peers = [name for name in (TCPDUMP, DUMPCAP) if name in figures.written]
    best = max(peers, key=lambda name: Spread(tuple(figures.written[name])).median, default=TCPDUMP)
    return _against(figures, figures.written, "in the file, on one core", ours, best, "kpps", bar, cost=False)


def _seen(figures: Figures, ours: str, bar: float | None = None) -> Row:
    return _against(figures, figures.seen, "decoded by one thread, on one core", ours, ENGINE, "kpps", bar, cost=False)


def bars(figures: Figures) -> list[Row]:
    """The rows with a bar, and beside them those that hold our plugins against a loop that only counts."""
    rows = [
        _delivered(figures, PACKET_THREE, LIBPCAP_THREE, 1.0),
        _cost(figures, PACKET_COUNTS, LIBPCAP, 1.0),
        _cost(figures, XDP_COUNTS, LIBPCAP, 3.6),
        _cost(figures, PACKET, LIBPCAP),
        _cost(figures, XDP, LIBPCAP),
        _cost(figures, PACKET_THREE, LIBPCAP_THREE),
        *(_delivered(figures, PACKET_THREE, peer) for peer in (LIBPCAP, CYPCAP, PCAPY, SCAPY)),
        _delivered(figures, XDP, LIBPCAP),
        _freely(figures, TUNED.format(PACKET_THREE), PACKET_THREE),
        _freely(figures, TUNED.format(XDP_COUNTS), XDP_COUNTS),
        _freely(figures, GRO_OFF.format(XDP_COUNTS), XDP_COUNTS),
        _dumped(figures, DUMP_PACKET, 1.0),
        _dumped(figures, DUMP_XDP, 1.5),
        _seen(figures, ENGINE_PACKET, 1.0),
        _seen(figures, ENGINE_XDP),
    ]
    for name in (PACKET_THREE, XDP):
        share = _spread(figures.idle, name, 100.0)
        rows.append(Row(f"CPU without traffic: {name}", "%", share, None, 1, True, "" if share else LEFT_OUT))
    return [row for row in rows if row.not_measured != LEFT_OUT]


def _cell(values: list[float], factor: float) -> str:
    if not values:
        return ""
    spread = Spread(tuple(value * factor for value in values))
    return f"{figure(spread.median)} ({figure(spread.least)}-{figure(spread.most)})"


def _contenders(figures: Figures) -> str:
    columns = [(figures.delivered, 1e-3), (figures.offered, 1e-3), (figures.free, 1e-3), (figures.written, 1e-3)]
    columns += [(figures.seen, 1e-3), (figures.cost, 1.0), (figures.tap, 1.0), (figures.idle, 100.0)]
    names = dict.fromkeys(name for values, _ in columns for name in values)
    rows = [(name, *(_cell(values.get(name, []), factor) for values, factor in columns)) for name in names]
    table = [HEADINGS, *rows]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    lines = ["| " + " | ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)) + " |" for row in table]
    return "\n".join([lines[0], re.sub(r"[^|]", "-", lines[0]), *lines[1:]])


def report(figures: Figures, rounds: int) -> str:
    load = f"Load average at the end: {os.getloadavg()[1]:.1f} over five minutes."
    lines = [f"{machine()}\nRounds in this run: {rounds}; medians, least and most in parentheses. {load}"]
    lines += [render(bars(figures)), _contenders(figures)]
    return "\n\n".join(lines)
