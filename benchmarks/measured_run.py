"""`zcframe run`, and the CPU that it took: python -m benchmarks.measured_run OPTION...

Prints one JSON line, as the flow counters do. `seconds` is the run's own elapsed_s; `cpu` is user and system time of
all its processes in that time, from the first frame's release to the last worker's end. Neither the start is in it nor
the report.
"""

from __future__ import annotations

import contextlib
import json
import resource
import sys
from pathlib import Path
from typing import Any

import psutil

from zcframe.framework.cli.parser import Parser
from zcframe.framework.cli.run import add_arguments
from zcframe.framework.config import load
from zcframe.framework.jit.environment import shield_numba
from zcframe.framework.stats import Observer, RunPlan, RunResult
from zcframe.framework.supervisor import loop


def _child_seconds(pid: int) -> float:
    """CPU of a child that was not waited for; it may have ended."""
    with contextlib.suppress(OSError):
        return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9
    return 0.0


def cpu_seconds() -> float:
    """User and system time of this process and its children, so far."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    running = [_child_seconds(child.pid) for child in psutil.Process().children(recursive=True)]
    return sum(one.ru_utime + one.ru_stime for one in used) + sum(running)


class CpuObserver(Observer):
    """Notes the CPU at the first frame's release, and `figures` at the end."""

    def __init__(self) -> None:
        self.at_release = self.at_end = 0.0
        self.figures: dict[str, Any] = {}

    def started(self, plan: RunPlan) -> None:
        self.at_release = cpu_seconds()

    def finished(self, result: RunResult) -> None:
        totals, flows = result.last.totals, result.last.plugins.get("flows", {})
        self.figures = {
            "packets": totals.packets,
            "bytes": totals.bytes,
            "flows": flows.get("count", 0),
            "seconds": result.last.elapsed_s,
            "cpu": self.at_end - self.at_release,
        }


def _mark_the_end(observer: CpuObserver) -> None:
    """Have the supervisor note the CPU where it ends the time, before it merges and reports."""
    settle = loop.Supervisor._settle

    def marked(supervisor: loop.Supervisor) -> RunResult:
        observer.at_end = cpu_seconds()
        return settle(supervisor)

    loop.Supervisor._settle = marked  # type: ignore[method-assign]


def main() -> int:
    parser = Parser(prog="python -m benchmarks.measured_run", description="zcframe run, and the CPU that it took.")
    add_arguments(parser)
    shield_numba()
    observer = CpuObserver()
    _mark_the_end(observer)
    result = loop.run(load(vars(parser.parse(sys.argv[1:]))), observer)
    print(json.dumps(observer.figures))
    return result.exit_code


if __name__ == "__main__":
    raise SystemExit(main())
