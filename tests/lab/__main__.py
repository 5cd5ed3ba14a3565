"""`python -m tests.lab [--kernel 6.12] [scenario ...]`: a line a scenario, then 'N passed, N failed, N skipped'."""

from __future__ import annotations

import argparse
import importlib
import pkgutil
import subprocess
import sys
import time
from types import ModuleType

from . import scenarios
from .bench import Bench, unit
from .packages import LabError
from .prepare import Lab, prepare


def all_scenarios() -> dict[str, ModuleType]:
    names = sorted(module.name for module in pkgutil.iter_modules(scenarios.__path__))
    return {name: importlib.import_module(f"{scenarios.__name__}.{name}") for name in names}


class Score:
    def __init__(self) -> None:
        self.passed = self.failed = self.skipped = 0

    def line(self, mark: str, where: str, title: str, text: str, seconds: float) -> None:
        print(f"{mark:4}  {where:5} {title}: {text} ({seconds:.0f} s)", flush=True)

    def attempt(self, bench: Bench, scenario: ModuleType) -> None:
        start = time.monotonic()
        try:
            text = scenario.run(bench)
        except (LabError, LookupError, ValueError, OSError, subprocess.SubprocessError) as error:
            self.failed += 1
            text = f"{error}\n      kernel log: {bench.keep_log(scenario.__name__.rpartition('.')[2])}"
            bench.close()
            self.line("FAIL", bench.kernel.series, scenario.TITLE, text, time.monotonic() - start)
            return
        self.passed += 1
        self.line("ok", bench.kernel.series, scenario.TITLE, text, time.monotonic() - start)


def parse(names: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.lab", description=__doc__)
    parser.add_argument("--kernel", action="append", metavar="SERIES", help="6.1, 6.12; default: all that Debian has")
    parser.add_argument("scenario", nargs="*", choices=[*names, []], help="default: all")
    return parser.parse_args()


def main() -> int:
    found = all_scenarios()
    wanted = parse(list(found))
    score = Score()
    try:
        lab: Lab = prepare(wanted.kernel)
    except LabError as error:
        print(f"the lab cannot run: {error}", file=sys.stderr)
        return 2
    print(f"ok    host  {unit(lab.host)}")
    score.passed += 1
    for bench in lab.benches():
        try:
            for name in wanted.scenario or found:
                score.attempt(bench, found[name])
        finally:
            bench.close()
    print(f"{score.passed} passed, {score.failed} failed, {score.skipped} skipped")
    return 1 if score.failed else 0


if __name__ == "__main__":
    sys.exit(main())
