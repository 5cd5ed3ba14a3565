"""What is said on stderr while a run goes on: each warning once, and where the packets come from if nobody said."""

from __future__ import annotations

import sys
from collections.abc import Iterable

from zcframe.framework.stats import RunPlan
from zcframe.framework.terminal import clean


class Notices:
    """Writes to what sys.stderr is at that moment, so that lines pass above the live view."""

    def __init__(self) -> None:
        self._seen: set[str] = set()

    def line(self, text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    def plan(self, plan: RunPlan) -> None:
        """Say which trace is replayed where no source was named, what is tuned, and what the plan warns of."""
        if plan.source.kind == "trace":
            rounds = "for ever, Ctrl-C ends it" if plan.loop == 0 else f"{plan.loop} times"
            self.line(f"zcframe: no source named: the bundled trace at {plan.pace}, {rounds}")
        for change in plan.tuning:
            self.line(f"zcframe: tune: {clean(str(change))}")
        self.warnings(plan.warnings)

    def warnings(self, warnings: Iterable[str]) -> None:
        """Say those that were not said yet."""
        for warning in warnings:
            if warning not in self._seen:
                self._seen.add(warning)
                self.line(f"zcframe: warning: {clean(warning)}")
