"""python -m benchmarks.live [--rounds 3] [--write FILE.md]: measure live sources and peers."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

from benchmarks.bench import Bench
from benchmarks.ending import exit_by
from benchmarks.table import write_section

from .contenders import Contender, contenders
from .measure import cost, cost_on_tap, delivered
from .report import Figures, report
from .space import RECEIVER, SENDER, LiveError

SECTION = "bench-live"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.live", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="rounds of everything (default: 3)")
    parser.add_argument("--write", type=Path, metavar="FILE", help="Markdown file whose section to replace")
    arguments = parser.parse_args()
    if arguments.rounds < 1:
        parser.error("--rounds: at least 1")
    return arguments


def _measure(figures: Figures, contender: Contender) -> None:
    packets, offered = delivered(contender)
    spent, rest = cost(contender)
    for values, value in (
        (figures.delivered, packets),
        (figures.offered, offered),
        (figures.cost, spent),
        (figures.tap, cost_on_tap(contender)),
        (figures.idle, rest),
    ):
        values[contender.name].append(value)


def measure_all(rounds: int, scratch: Path) -> Figures:
    """Contenders take turns, so that what disturbs the machine for a while disturbs all of them."""
    found, missing = contenders(Bench(scratch, 0))
    figures = Figures(missing=missing)
    for number in range(rounds):
        for contender in found:
            print(f"round {number + 1} of {rounds}: {contender.name}", file=sys.stderr)
            _measure(figures, contender)
    return figures


def main() -> int:
    wanted = _arguments()
    try:
        if os.geteuid() or not {RECEIVER, SENDER} <= os.sched_getaffinity(0):
            raise LiveError(f"bench-live needs root, and the CPUs {RECEIVER} and {SENDER}")
        with tempfile.TemporaryDirectory(prefix="zcframe-bench-") as scratch:
            text = report(measure_all(wanted.rounds, Path(scratch)), wanted.rounds)
    except LiveError as error:
        print(f"not measured: {error}", file=sys.stderr)
        return 2
    print(text)
    if wanted.write is not None:
        write_section(wanted.write, text, SECTION)
    return 0


if __name__ == "__main__":
    exit_by(main)
