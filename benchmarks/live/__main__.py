"""python -m benchmarks.live [--rounds 5] [--write FILE.md]: measure live sources and peers."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from benchmarks.bench import Bench
from benchmarks.ending import exit_by
from benchmarks.table import write_section

from .contenders import COST, DELIVERED, FREE, TAP, Contender, contenders
from .dumping import PACES as DUMP_PACES
from .dumping import dumpers, written
from .engine import PACES as ENGINE_PACES
from .engine import decoded, engines
from .measure import PACES, Paces, cost, cost_on_tap, delivered, delivered_freely
from .report import Figures, Values, report
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


def _measure(figures: Figures, contender: Contender, alone: Paces, freely: Paces) -> None:
    name = contender.name
    if DELIVERED in contender.figures:
        packets, offered = delivered(contender, alone)
        figures.delivered[name].append(packets)
        figures.offered[name].append(offered)
    if COST in contender.figures:
        spent, rest = cost(contender)
        figures.cost[name].append(spent)
        figures.idle[name].append(rest)
    if TAP in contender.figures:
        figures.tap[name].append(cost_on_tap(contender))
    if FREE in contender.figures:
        figures.free[name].append(delivered_freely(contender, freely))


def _note(values: Values, name: str, measure: Callable[[], float]) -> None:
    values[name].append(measure())


def measure_all(rounds: int, scratch: Path, only: Sequence[str] = ("",)) -> Figures:
    """Contenders take turns, so that what disturbs the machine for a while disturbs all of them."""
    found, missing = contenders(Bench(scratch, 0))
    dumping, absent = dumpers()
    fed, lacking = engines()
    figures = Figures(missing=missing | absent | lacking)
    alone, freely, dumped, seen = Paces(PACES), Paces(PACES[1::2]), Paces(DUMP_PACES), Paces(ENGINE_PACES)
    turns: list[tuple[str, Callable[[], None]]] = []
    turns += [(one.name, partial(_measure, figures, one, alone, freely)) for one in found]
    for one in dumping:
        turns.append((one.name, partial(_note, figures.written, one.name, partial(written, one, scratch, dumped))))
    turns += [(name, partial(_note, figures.seen, name, partial(decoded, name, scratch, seen))) for name in fed]
    for number in range(rounds):
        for name, measure in turns:
            if any(word in name for word in only):
                print(f"round {number + 1} of {rounds}: {name}", file=sys.stderr)
                measure()
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
