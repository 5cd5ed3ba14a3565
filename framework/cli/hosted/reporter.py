"""Tells the host of a run how it goes."""

from __future__ import annotations

import pickle
from contextlib import suppress

from zcframe.framework.library.channel import Channel
from zcframe.framework.library.message import Counted, Progress, Started
from zcframe.framework.outputs.document import document, one_line
from zcframe.framework.outputs.rows.handed import HANDED
from zcframe.framework.stats import Observer, RunPlan, RunResult, RunSnapshot


def _recorded(snapshot: RunSnapshot) -> int:
    """Bytes of records in the host's file that hold, whatever happens to the writer."""
    return sum(rows.bytes for rows in snapshot.rows if rows.kind == HANDED)


class Reporter(Observer):
    """progress: whether the host wants to know of it."""

    title = "the program that asked for the run"

    def __init__(self, channel: Channel, *, progress: bool) -> None:
        self._channel, self._progress = channel, progress
        self._owed: RunSnapshot | None = None

    @property
    def reads_states(self) -> bool:
        return True

    def started(self, plan: RunPlan) -> None:
        self._channel.send(Started(plan.records))

    def tick(self, snapshot: RunSnapshot) -> None:
        self._pay()
        # To who does not listen, an old figure is of no use later.
        if self._progress and self._channel.taken:
            done, whole = snapshot.progress or (0, 0)
            message = Progress(done, whole, snapshot.totals.packets, snapshot.elapsed_s, _recorded(snapshot))
            self._channel.send(message, wait=False)

    def asked(self, snapshot: RunSnapshot) -> None:
        self._owed = snapshot
        self._pay()

    def _pay(self) -> None:
        """Answer who asked. Where there is no room yet, the next tick tries again: a run waits for nobody."""
        if self._owed is not None and self._tell(self._owed, wait=False):
            self._owed = None

    def finished(self, result: RunResult) -> None:
        # A host that is gone cannot be told, and that is no failure of the run.
        with suppress(OSError):
            self._owed = None
            self.tick(result.last)
            self._tell(result.last, wait=True)

    def _tell(self, snapshot: RunSnapshot, *, wait: bool) -> bool:
        text, recorded = one_line(document(snapshot)), _recorded(snapshot)
        warnings = [*snapshot.warnings, *(event.text for event in snapshot.events)]
        try:
            return self._channel.send(Counted(text, snapshot.states, warnings, snapshot.final, recorded), wait=wait)
        except (pickle.PicklingError, TypeError, AttributeError) as error:
            warnings.append(f"a plugin's merge() returned a state that cannot be handed over: {error}")
            return self._channel.send(Counted(text, {}, warnings, snapshot.final, recorded), wait=wait)
