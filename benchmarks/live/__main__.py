"""python -m benchmarks.live [--rounds 5] [--write FILE.md]: measure live sources and peers."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.bench import Bench
from benchmarks.ending import exit_by
from benchmarks.table import write_section

from .contenders import COST, DELIVERED, FREE, Contender, contenders
from .dumping import dumpers, written
from .measure import cost, cost_on_tap, delivered, delivered_freely
from .report import Figures, report
from .space import RECEIVER, SENDER, LiveError

SECTION = "bench-live"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.live", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="rounds of everything (default: 5)")
    parser.add_argument("--only", nargs="+", metavar="WORD", help="only contenders in whose names one of these is")
    parser.add_argument("--write", type=Path, metavar="FILE", help="Markdown file whose section to replace")
    arguments = parser.parse_args()
    if arguments.rounds < 1:
        parser.error("--rounds: at least 1")
    return arguments


def _measure(figures: Figures, contender: Contender) -> None:
    name = contender.name
    if DELIVERED in contender.figures:
        packets, offered = delivered(contender)
        figures.delivered[name].append(packets)
        figures.offered[name].append(offered)
    if COST in contender.figures:
        spent, rest = cost(contender)
        figures.cost[name].append(spent)
        figures.idle[name].append(rest)
        figures.tap[name].append(cost_on_tap(contender))
    if FREE in contender.figures:
        figures.free[name].append(delivered_freely(contender))


def measure_all(rounds: int, scratch: Path, only: Sequence[str] = ("",)) -> Figures:
    """Contenders take turns, so that what disturbs the machine for a while disturbs all of them."""
    found, missing = contenders(Bench(scratch, 0))
    found = [contender for contender in found if any(word in contender.name for word in only)]
    dumping, absent = dumpers()
    dumping = [dumper for dumper in dumping if any(word in dumper.name for word in only)]
    figures = Figures(missing=missing | absent)
    for number in range(rounds):
        for contender in found:
            print(f"round {number + 1} of {rounds}: {contender.name}", file=sys.stderr)
            _measure(figures, contender)
        for dumper in dumping:
            print(f"round {number + 1} of {rounds}: {dumper.name}", file=sys.stderr)
            figures.written[dumper.name].append(written(dumper, scratch))
    return figures


def main() -> int:
    wanted = _arguments()
    try:
        if os.geteuid() or not {RECEIVER, SENDER} <= os.sched_getaffinity(0):
            raise LiveError(f"bench-live needs root, and the CPUs {RECEIVER} and {SENDER}")
        with tempfile.TemporaryDirectory(prefix="zcframe-bench-") as scratch:
            text = report(measure_all(wanted.rounds, Path(scratch), wanted.only or ("",)), wanted.rounds)
    except LiveError as error:
        print(f"not measured: {error}", file=sys.stderr)
        return 2
    print(text)
    if wanted.write is not None:
        write_section(wanted.write, text, SECTION)
    return 0


if __name__ == "__main__":
    exit_by(main)
