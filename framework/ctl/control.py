"""What a run answers to orders: its status, a snapshot, and, once it is over, how it ended."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from typing import Any

from zcframe import __version__
from zcframe.framework.nearest import hint
from zcframe.framework.outputs.document import document, one_line
from zcframe.framework.stats import RunPlan, RunSnapshot

from .caller import Caller
from .door import Door
from .words import DROP_STATE, FILTER, ORDERS, RELOAD, SNAPSHOT, STATUS, STOP


def status(snapshot: RunSnapshot, plan: RunPlan) -> dict[str, Any]:
    """A run in a line, from counters alone."""
    return {
        "pid": os.getpid(),
        "version": __version__,
        "seconds": round(snapshot.elapsed_s, 3),
        "packets": snapshot.totals.packets,
        "lost": snapshot.lost,
        "queues": len(snapshot.queues),
        "plugins": [plugin.name for plugin in plan.plugins],
        "outputs": [*(output.spec for output in plan.outputs), *plan.rows],
    }


# (new filter, "" for none, or None: plugins are read anew; whether state may begin anew; what gets the answer)
Changed = Callable[[str | None, bool, Callable[[dict[str, Any]], None]], None]


class Control:
    """The orders of one run. Raises UsageError where its path is not to be had."""

    def __init__(self, path: str) -> None:
        self._door = Door(path)
        self._waiting: list[Caller] = []
        self._plan: RunPlan | None = None

    def fileno(self) -> int:
        return self._door.fileno()

    def begin(self, plan: RunPlan) -> None:
        """There is a run to be asked about; who came before is heard now."""
        self._plan = plan

    def hear(
        self,
        stop: Callable[[], None],
        counted: Callable[[], RunSnapshot],
        reported: Callable[[], RunSnapshot],
        changed: Changed,
    ) -> None:
        """Deal with what came. counted: takes the counters; reported: has reports made for it, for all who ask now.

        changed: begins a change of the run.
        """
        assert self._plan is not None
        callers = self._door.hear()
        if any(caller.order == STOP for caller in callers):
            stop()
        self._waiting += [caller for caller in callers if caller.order == STOP]
        found = one_line(document(reported())) if any(caller.order == SNAPSHOT for caller in callers) else ""
        for caller in callers:
            if caller.order == STATUS:
                self._answer(caller, status(counted(), self._plan))
            elif caller.order == SNAPSHOT:
                self._answer(caller, found)
            elif caller.order != STOP:
                self._change(caller, changed)

    def _change(self, caller: Caller, changed: Changed) -> None:
        """Begin a change; what is no order at all is told so."""
        word, _, rest = (caller.order or "").partition(" ")
        if word == RELOAD and rest in ("", DROP_STATE):
            changed(None, bool(rest), partial(self._answer, caller))
        elif word == FILTER:
            changed(rest.strip(), False, partial(self._answer, caller))
        else:
            word = caller.order or ""
            self._answer(caller, {"error": f"there is no order {word!r}{hint(word, ORDERS)}: {', '.join(ORDERS)}"})

    def _answer(self, caller: Caller, message: Any) -> None:
        if not caller.gone:
            caller.answer(message)
            self._door.see_to(caller)

    def ended(self, exit_code: int) -> None:
        """The run is over: tell those who asked for it."""
        for caller in self._waiting:
            self._answer(caller, {"exit_code": exit_code})

    def let_go(self) -> None:
        """In a fork of the run: it does not listen."""
        self._door.let_go()

    def close(self) -> None:
        self._door.close()
