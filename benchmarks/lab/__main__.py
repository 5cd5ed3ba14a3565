"""python -m benchmarks.lab [--kernel 6.12] [--runs 3] [--write FILE.md]: measure in one boot, and print the tables."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks.ending import exit_by
from benchmarks.rounds import Spread
from benchmarks.table import write_section
from tests.lab.packages import LabError
from tests.lab.prepare import prepare

from .contenders import CONTENDERS, ONE_QUEUE, Contender
from .machine import Machine, boot
from .measure import check_counter, cost, delivered, idle
from .profile import print_profile
from .report import BUSY_RATE, RANDOM, Figures, Point, report

SIZES = (60, 124, 252, 508, 1020, 1514, RANDOM)
CALM_RATES = (1000, 2000)
# More than the emulated card takes.
OFFERED = 1_500_000
BUSY_S, CALM_S = 0.7, 1.5
ATTEMPTS = 3
SECTION = "bench-lab"

Measure = Callable[[Contender, int], tuple[float, ...]]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.lab", description=__doc__)
    parser.add_argument("--kernel", default="6.12", metavar="SERIES", help="kernel of the guest (default: 6.12)")
    parser.add_argument("--runs", type=int, default=3, metavar="N", help="runs of everything (default: 3)")
    parser.add_argument("--write", type=Path, metavar="FILE", help="Markdown file whose section to replace")
    parser.add_argument("--profile", type=int, metavar="PPS", help="print where the kernel's instructions go, instead")
    arguments = parser.parse_args()
    if arguments.runs < 1:
        parser.error("--runs: at least 1")
    return arguments


def _alternating(
    runs: int, columns: tuple[int, ...], contenders: tuple[Contender, ...] = CONTENDERS
) -> Iterator[Point]:
    """Contenders take turns, so that what disturbs the machine for a while disturbs all of them."""
    for run in range(runs):
        for column in columns:
            print(f"run {run + 1} of {runs}: {column}", file=sys.stderr)
            for contender in contenders:
                yield contender, column


def _patiently(measure: Measure, point: Point) -> tuple[float, ...]:
    """A host that others use loses frames now and then: once more. Raises LabError where it goes on."""
    for _ in range(ATTEMPTS - 1):
        try:
            return measure(*point)
        except LabError as error:
            print(f"again: {error}", file=sys.stderr)
    return measure(*point)


def _collect(points: Iterator[Point], measure: Measure) -> list[dict[Point, Spread]]:
    """A dictionary for each value that `measure` gives."""
    found: dict[Point, list[tuple[float, ...]]] = {}
    for point in points:
        found.setdefault(point, []).append(_patiently(measure, point))
    width = len(next(iter(found.values()))[0])
    return [{point: Spread(tuple(run[i] for run in runs)) for point, runs in found.items()} for i in range(width)]


def measure_all(machine: Machine, runs: int) -> Figures:
    check_counter(machine)
    rest = idle(machine)

    def busy(contender: Contender, size: int) -> tuple[float, ...]:
        spent = cost(machine, contender, size, BUSY_RATE, BUSY_S, rest)
        return spent.kernel, spent.user

    def calm(contender: Contender, rate: int) -> tuple[float, ...]:
        return (cost(machine, contender, 60, rate, CALM_S, rest).kernel,)

    (kernel, user) = _collect(_alternating(runs, SIZES), busy)
    (quiet,) = _collect(_alternating(runs, CALM_RATES, (*CONTENDERS, *ONE_QUEUE)), calm)
    (fast,) = _collect(_alternating(runs, SIZES), lambda who, size: (delivered(machine, who, size, OFFERED),))
    return Figures(fast, kernel, user, quiet)


def main() -> int:
    wanted = _arguments()
    try:
        lab = prepare([wanted.kernel])
        bench = next(lab.benches(), None)
        if bench is None:
            raise LabError(f"Debian has no kernel {wanted.kernel} here")
        with boot(lab, bench, profile=wanted.profile is not None) as machine:
            if wanted.profile is not None:
                print_profile(machine, wanted.profile)
                return 0
            text = report(measure_all(machine, wanted.runs), bench.kernel, wanted.runs, OFFERED)
            trouble = machine.guest.trouble()
    except LabError as error:
        print(f"not measured: {error}", file=sys.stderr)
        return 2
    print(text)
    for line in trouble:
        print(f"the guest's kernel says: {line}", file=sys.stderr)
    if wanted.write is not None and not trouble:
        write_section(wanted.write, text, SECTION)
    return 1 if trouble else 0


if __name__ == "__main__":
    exit_by(main)
