"""`python -m tests.lab [--kernel 6.12 | --debug] [scenario ...]`: a line a scenario, then how many passed, failed, were tried again."""

from __future__ import annotations

import argparse
import importlib
import os
import pkgutil
import subprocess
import sys
import time
from types import ModuleType

from . import scenarios
from .attempt import AGAIN, attempt
from .bench import Bench, unit
from .packages import LabError
from .prepare import Lab, prepare

# On the debug kernel: what goes wrong in the modules alone, not in Python, not in how fast they are.
DEBUG = [
    "d01_detectors",
    "s02_exact",
    "s05_kill",
    "s06_gone",
    "s07_overload",
    "s08_hostile",
    "s09_denied",
    "s10_unwind",
    "s11_settings",
    "s13_waiting",
    "s16_wire",
    "s20_life",
]


def _scenario(name: str) -> ModuleType:
    return importlib.import_module(f"{scenarios.__name__}.{name}")


def all_scenarios(*, debug: bool = False) -> dict[str, ModuleType]:
    """By name; those of the debug kernel, or those of all others: s*."""
    names = sorted(module.name for module in pkgutil.iter_modules(scenarios.__path__))
    return {name: _scenario(name) for name in names if (name in DEBUG if debug else name.startswith("s"))}


class Score:
    def __init__(self) -> None:
        self.passed = self.failed = self.skipped = 0

    def line(self, mark: str, where: str, title: str, text: str, seconds: float) -> None:
        print(f"{mark:4}  {where:5} {title}: {text} ({seconds:.0f} s)", flush=True)

    def lack(self, lacking: str) -> None:
        """A kernel that cannot be had: named, and in CI a failure."""
        if lacking:
            required = os.environ.get("CI") == "true"
            self.failed += required
            self.skipped += not required
            print(f"{'FAIL' if required else 'skip':4}  next  {lacking}", flush=True)

    def attempt(self, bench: Bench, scenario: ModuleType) -> None:
        start = time.monotonic()
        try:
            text = attempt(bench, scenario)
        except (LabError, LookupError, ValueError, OSError, subprocess.SubprocessError) as error:
            self.failed += 1
            text = f"{error}\n      kernel log: {bench.keep_log(scenario.__name__.rpartition('.')[2])}"
            bench.close()
            self.line("FAIL", bench.kernel.series, scenario.TITLE, text, time.monotonic() - start)
            return
        self.passed += 1
        self.line("ok", bench.kernel.series, scenario.TITLE, text, time.monotonic() - start)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.lab", description=__doc__)
    kernel = parser.add_mutually_exclusive_group()
    kernel.add_argument(
        "--kernel", action="append", metavar="SERIES", help="6.1, 6.12, 7.3; default: all that Debian has"
    )
    kernel.add_argument(
        "--debug", action="store_true", help="a kernel with every detector; built once, 15 to 40 minutes"
    )
    parser.add_argument("scenario", nargs="*", help="default: all")
    wanted = parser.parse_args()
    if unknown := set(wanted.scenario) - set(there := all_scenarios(debug=wanted.debug)):
        parser.error(f"no scenario {', '.join(sorted(unknown))} here; there are {', '.join(there)}")
    return wanted


def main() -> int:
    wanted = parse()
    found = all_scenarios(debug=wanted.debug)
    score = Score()
    try:
        lab: Lab = prepare(wanted.kernel, debug=wanted.debug)
    except LabError as error:
        print(f"the lab cannot run: {error}", file=sys.stderr)
        return 2
    print(f"ok    host  {unit(lab.host)}")
    score.passed += 1
    score.lack(lab.lacking)
    for bench in lab.benches():
        try:
            for name in wanted.scenario or found:
                score.attempt(bench, found[name])
        finally:
            bench.close()
    for line in AGAIN:
        print(f"again {line}")
    print(f"{score.passed} passed, {score.failed} failed, {score.skipped} skipped, {len(AGAIN)} tried again")
    return 1 if score.failed else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(130)
