"""What was measured, as Markdown: the bars, then every contender with the spread of its rounds."""

from __future__ import annotations

import os
import re
from collections import defaultdict
from dataclasses import dataclass, field

from benchmarks.rounds import Spread
from benchmarks.table import Row, figure, machine, render

from .contenders import CYPCAP, LIBPCAP, PACKET, PACKET_THREE, PCAPY, SCAPY, XDP

Values = dict[str, list[float]]
HEADINGS = ("contender", "delivered, kpps", "of offered", "worker, ns a packet", "on a TAP", "idle, % of a CPU")


def _values() -> Values:
    return defaultdict(list)


@dataclass
class Figures:
    """Every round's value by contender: packets a second, ns of the worker a packet (veth, TAP), share of a CPU."""

    delivered: Values = field(default_factory=_values)
    offered: Values = field(default_factory=_values)
    cost: Values = field(default_factory=_values)
    tap: Values = field(default_factory=_values)
    idle: Values = field(default_factory=_values)
    missing: dict[str, str] = field(default_factory=dict)


def _median(values: Values, name: str) -> float | None:
    return Spread(tuple(values[name])).median if name in values else None


def _against(figures: Figures, ours: str, peer: str, bar: float | None) -> Row:
    rates = [_median(figures.delivered, name) for name in (ours, peer)]
    mine, other = (rate / 1000 if rate is not None else None for rate in rates)
    reason = next((figures.missing[name] for name in (ours, peer) if name in figures.missing), "")
    return Row(f"delivered on one core: {ours}, against {peer}", "kpps", mine, other, bar, not_measured=reason)


def bars(figures: Figures) -> list[Row]:
    bindings = [name for name in (CYPCAP, PCAPY) if name in figures.delivered]
    best = max(bindings, key=lambda name: _median(figures.delivered, name) or 0, default=CYPCAP)
    rows = [
        _against(figures, XDP, LIBPCAP, 2.5),
        _against(figures, PACKET_THREE, LIBPCAP, 0.9),
        _against(figures, PACKET_THREE, best, 10),
        _against(figures, PACKET_THREE, SCAPY, 1000),
    ]
    for name, bar in ((PACKET, 25), (XDP, 110)):
        reason = figures.missing.get(name, "")
        spent = _median(figures.cost, name)
        rows.append(Row(f"CPU a packet: {name}", "ns", spent, None, bar, True, reason))
    for name in (PACKET, PACKET_THREE, XDP):
        share = _median(figures.idle, name)
        percent = share * 100 if share is not None else None
        rows.append(Row(f"CPU without traffic: {name}", "%", percent, None, 1, True, figures.missing.get(name, "")))
    return rows


def _cell(values: list[float], factor: float) -> str:
    spread = Spread(tuple(value * factor for value in values))
    return f"{figure(spread.median)} ({figure(spread.least)}-{figure(spread.most)})"


def _contenders(figures: Figures) -> str:
    columns = [(figures.delivered, 1e-3), (figures.offered, 1e-3)]
    columns += [(figures.cost, 1.0), (figures.tap, 1.0), (figures.idle, 100.0)]
    rows = [(name, *(_cell(values[name], factor) for values, factor in columns)) for name in figures.delivered]
    table = [HEADINGS, *rows]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    lines = ["| " + " | ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)) + " |" for row in table]
    return "\n".join([lines[0], re.sub(r"[^|]", "-", lines[0]), *lines[1:]])


def report(figures: Figures, rounds: int) -> str:
    load = f"Load average at the end: {os.getloadavg()[1]:.1f} over five minutes."
    lines = [f"{machine()}\nRounds in this run: {rounds}; medians, least and most in parentheses. {load}"]
    lines += [render(bars(figures)), _contenders(figures)]
    return "\n\n".join(lines)
