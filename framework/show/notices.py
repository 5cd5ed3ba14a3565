"""Notices on stderr while a run goes on: each warning once, and where the packets come from if no source was named."""

from __future__ import annotations

import sys
from collections.abc import Iterable

from zcframe.framework.stats import Observer, RunPlan, RunResult, RunSnapshot
from zcframe.framework.terminal import clean


class Notices(Observer):
    """Writes to what sys.stderr is at that moment, so that lines pass above the live view."""

    def __init__(self) -> None:
        self._seen: set[str] = set()

    def started(self, plan: RunPlan) -> None:
        if plan.source.kind == "trace":
            rounds = "for ever, Ctrl-C ends it" if plan.loop == 0 else f"{plan.loop} times"
            self._line(f"no source named: the bundled trace at {plan.pace}, {rounds}")
        for change in plan.tuning:
            self._line(f"tune: {clean(str(change))}")
        self.warnings(plan.warnings)

    def tick(self, snapshot: RunSnapshot) -> None:
        self.warnings(snapshot.warnings)

    def finished(self, result: RunResult) -> None:
        self.warnings(result.last.warnings)

    def warnings(self, warnings: Iterable[str]) -> None:
        """Write those that were not written yet."""
        for warning in warnings:
            if warning not in self._seen:
                self._seen.add(warning)
                self._line(f"warning: {clean(warning)}")

    def _line(self, text: str) -> None:
        print(f"zcframe: {text}", file=sys.stderr, flush=True)
