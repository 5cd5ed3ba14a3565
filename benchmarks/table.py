"""The table of results: a row a figure, with its bar and what became of it, under a line on machine and versions."""

from __future__ import annotations

import ctypes
import ctypes.util
import os
import platform
import shutil
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from .rounds import Spread

BEGIN, END = "<!-- {}: begin -->", "<!-- {}: end -->"
SECTION = "benchmarks"
HEADINGS = ("figure", "zcframe", "peer", "ratio", "bar", "verdict")
PACKAGES = ("numba", "llvmlite", "numpy", "dpkt", "scapy", "nfstream", "cypcap", "pcapy-ng", "hyperscan")


@dataclass(frozen=True)
class Row:
    """One figure. With a peer the bar is for the ratio (how many times as good as the peer), else for ours.

    A Spread stands for several rounds: its median counts, and a ratio is that of two measurements of one round. cost:
    the ratio is how many times as much as the peer's, and `bar` the most that it may be. aim: what is better than the
    bar, and not asked for.
    """

    name: str
    unit: str
    ours: float | Spread | None = None
    peer: float | Spread | None = None
    bar: float | None = None
    smaller_is_better: bool = False
    not_measured: str = ""
    aim: float | None = None
    cost: bool = False

    @property
    def ratios(self) -> Spread | None:
        """Ratios of the rounds; None where there were no rounds with both."""
        if not isinstance(self.ours, Spread) or not isinstance(self.peer, Spread):
            return None
        inverse = self.smaller_is_better and not self.cost
        return self.peer.over(self.ours) if inverse else self.ours.over(self.peer)

    @property
    def ratio(self) -> float | None:
        if self.ratios is not None:
            return self.ratios.median
        ours, peer = _median(self.ours), _median(self.peer)
        if not ours or not peer:
            return None
        return peer / ours if self.smaller_is_better and not self.cost else ours / peer

    @property
    def verdict(self) -> str:
        if self.not_measured:
            return f"not measured: {self.not_measured}"
        value = _median(self.ours) if self.peer is None else self.ratio
        if self.bar is None or value is None:
            return ""
        short = value - self.bar if self._at_most else self.bar - value
        return "met" if short <= 0 else f"missed by {100 * short / self.bar:.1f} %"

    @property
    def _at_most(self) -> bool:
        """Whether the bar is the most that is allowed; a ratio is always the larger the better but for costs."""
        return self.cost if self.peer is not None else self.smaller_is_better

    def cells(self) -> tuple[str, ...]:
        ours, peer = (_cell(value, f" {self.unit}") for value in (self.ours, self.peer))
        ratio = _cell(self.ratio if self.ratios is None else self.ratios, "x")
        return (self.name, ours, peer, ratio, self._bar(), self.verdict)

    def _bar(self) -> str:
        unit = "x" if self.peer is not None else f" {self.unit}"
        bar = f"{'<=' if self._at_most else '>='} {self.bar:,g}{unit}" if self.bar is not None else ""
        return ", ".join(filter(None, (bar, f"aim {self.aim:,g}{unit}" if self.aim is not None else "")))


def _median(value: float | Spread | None) -> float | None:
    return value.median if isinstance(value, Spread) else value


def _cell(value: float | Spread | None, unit: str) -> str:
    """A value with its unit; of several rounds the median, the least and the most."""
    if value is None:
        return ""
    if not isinstance(value, Spread):
        return f"{figure(value)}{unit}"
    return f"{figure(value.median)}{unit} ({figure(value.least)}..{figure(value.most)})"


def figure(value: float) -> str:
    """Three significant digits, without exponent."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}" if value >= 0.001 or not value else f"{value:.6f}"


def _aligned(rows: list[tuple[str, ...]]) -> list[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADINGS))]
    return ["| " + " | ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)) + " |" for row in rows]


def render(rows: list[Row]) -> str:
    """A Markdown table that also reads well in a terminal."""
    head, *body = _aligned([HEADINGS, *(row.cells() for row in rows)])
    rule = "".join("|" if c == "|" else "-" for c in head)
    return "\n".join([head, rule, *body])


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()


def _gcc_version() -> str:
    if shutil.which("gcc") is None:
        return "none"
    return subprocess.run(["gcc", "-dumpfullversion"], capture_output=True, text=True, check=False).stdout.strip()


def _libpcap_version() -> str:
    name = ctypes.util.find_library("pcap")
    if name is None:
        return "none"
    text = ctypes.CDLL(name).pcap_lib_version
    text.restype = ctypes.c_char_p
    return str(text().decode()).removeprefix("libpcap version ").split()[0]


def _tshark_version() -> str:
    if shutil.which("tshark") is None:
        return "none"
    ran = subprocess.run(["tshark", "--version"], capture_output=True, text=True, check=False)
    return next((word for word in ran.stdout.split() if word[0].isdigit()), "unknown").rstrip(".")


def _package_version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "none"


def machine() -> str:
    """CPU, cores and kernel of this machine, and the versions of all that is measured, on two lines."""
    cores = len(os.sched_getaffinity(0))
    packages = ", ".join(f"{name} {_package_version(name)}" for name in PACKAGES)
    programs = f"gcc {_gcc_version()}, libpcap {_libpcap_version()}, tshark {_tshark_version()}"
    return (
        f"Machine: {_cpu_model()}, {cores} CPUs, Linux {platform.release()}, {datetime.now(UTC):%Y-%m-%d}.\n"
        f"Versions: Python {platform.python_version()}, {packages}, {programs}."
    )


def write_section(path: Path, text: str, section: str = SECTION) -> None:
    """Put `text` between a section's markers in a Markdown file, which are added at its end where they are missing."""
    begin, end = BEGIN.format(section), END.format(section)
    old = path.read_text() if path.exists() else "# Benchmarks\n"
    if begin not in old or end not in old:
        old = f"{old.rstrip()}\n\n{begin}\n{end}\n"
    before, _, rest = old.partition(begin)
    _, _, after = rest.partition(end)
    path.write_text(f"{before}{begin}\n{text}\n{end}{after}")
