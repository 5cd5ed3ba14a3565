"""What was measured, as Markdown: the bars, then every contender with the spread of its runs."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from benchmarks.rounds import Spread
from benchmarks.table import Row, figure, machine, render
from tests.lab.kernels import Kernel
from tests.lab.packages import output

from .contenders import PCAP, PCAP_FANOUT, PCAP_MODERATED, PCAP_ONE, PEERS, RING, RING_ONE, Contender

# From 256 bytes on, so the paper, the wire is what limits.
SMALL = 256
DELIVERED_BAR, COST_BAR, CALM_BAR = 4.0, 3.0, 1.0
# Frames a second at which a frame's cost is held against libpcap's.
BUSY_RATE = 10_000
RANDOM = 0

# Who is held against whom where few frames come: to wake readers is most of the cost then.
CALM = (
    ("eight readers each", RING, (PCAP_FANOUT,)),
    ("one reader each", RING_ONE, (PCAP, PCAP_MODERATED, PCAP_ONE)),
    ("eight readers against one", RING, (PCAP, PCAP_MODERATED)),
)

Point = tuple[Contender, int]
Sides = tuple[Contender, Sequence[Contender]]


@dataclass
class Figures:
    """Spreads by contender and frame size (`delivered`, `kernel`, `user`), or rate of frames of 60 B (`calm`)."""

    delivered: dict[Point, Spread] = field(default_factory=dict)
    kernel: dict[Point, Spread] = field(default_factory=dict)
    user: dict[Point, Spread] = field(default_factory=dict)
    calm: dict[Point, Spread] = field(default_factory=dict)


def size_name(size: int) -> str:
    return f"{size} B" if size != RANDOM else "random"


def _columns(spreads: Mapping[Point, Spread]) -> list[int]:
    return list(dict.fromkeys(column for _, column in spreads))


def _thousands(spreads: Mapping[Point, Spread], contender: Contender, column: int) -> float:
    return spreads[contender, column].median / 1000


def _delivered(figures: Figures, size: int) -> Row:
    best = max(_thousands(figures.delivered, peer, size) for peer in PEERS)
    mine, bar = _thousands(figures.delivered, RING, size), DELIVERED_BAR if RANDOM < size < SMALL else None
    return Row(f"delivered under overload, {size_name(size)}", "kpps", mine, best, bar)


def _kernel(where: str, spreads: Mapping[Point, Spread], column: int, sides: Sides, bar: float) -> Row:
    ours, peers = sides
    least = min(spreads[peer, column].median for peer in peers)
    name = f"kernel instructions a frame, {where}"
    return Row(name, "", spreads[ours, column].median, least, bar, smaller_is_better=True)


def bars(figures: Figures) -> list[Row]:
    """Against the best that libpcap can do, whichever way it is set up."""
    rows = [_delivered(figures, size) for size in _columns(figures.delivered)]
    for size in _columns(figures.kernel):
        where = f"{BUSY_RATE / 1000:g} kpps, {size_name(size)}"
        rows.append(_kernel(where, figures.kernel, size, (RING, PEERS), COST_BAR))
    for rate in _columns(figures.calm):
        for name, ours, peers in CALM:
            rows.append(_kernel(f"{rate / 1000:g} kpps, {name}", figures.calm, rate, (ours, peers), CALM_BAR))
    return rows


def _cell(spread: Spread, unit: float) -> str:
    return f"{figure(spread.median / unit)} ({figure(spread.least / unit)}-{figure(spread.most / unit)})"


def _matrix(title: str, spreads: Mapping[Point, Spread], names: Sequence[str], unit: float) -> str:
    columns = _columns(spreads)
    contenders = list(dict.fromkeys(contender for contender, _ in spreads))
    rows = [[who.name, *(_cell(spreads[who, column], unit) for column in columns)] for who in contenders]
    table = [[title, *names], *rows]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    lines = ["| " + " | ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)) + " |" for row in table]
    return "\n".join([lines[0], re.sub(r"[^|]", "-", lines[0]), *lines[1:]])


def qemu_version() -> str:
    return output("qemu-system-x86_64", "--version").split("(")[0].split()[-1]


def report(figures: Figures, kernel: Kernel, runs: int, offered: int) -> str:
    sizes = [size_name(size) for size in _columns(figures.delivered)]
    rates = [f"{rate / 1000:g} kpps" for rate in _columns(figures.calm)]
    return "\n\n".join(
        (
            f"{machine()}\nGuest: Linux {kernel.release}, one processor, QEMU {qemu_version()}, plain emulation."
            f" Medians of {runs} runs in one boot, least and most in parentheses; offered under overload:"
            f" {offered / 1000:,.0f} kpps.",
            render(bars(figures)),
            _matrix("delivered, kpps", figures.delivered, sizes, 1000),
            _matrix(f"kernel instructions a frame, {BUSY_RATE / 1000:g} kpps", figures.kernel, sizes, 1),
            _matrix(f"user instructions a frame, {BUSY_RATE / 1000:g} kpps", figures.user, sizes, 1),
            _matrix("kernel instructions a frame, 60 B", figures.calm, rates, 1),
        )
    )
