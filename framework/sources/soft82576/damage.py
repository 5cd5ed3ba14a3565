"""Files of a replay that could not be read to their end: each is told when it is met, and all of them at the end."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from zcframe.framework.sources.base import SourceEvent

from .plan import ReplayPlan

# So many names stand in the last line.
NAMED: Final = 8


class Damage:
    """Damaged files so far. tell: called with each warning; known: why files are no captures, told before the run."""

    def __init__(self, plan: ReplayPlan, known: Mapping[int, str], tell: Callable[[SourceEvent], None]) -> None:
        self._files, self._tell = plan.files, tell
        self._first = dict(known)
        # Of the only file of a single round, the last line says all.
        self._silent = len(plan.files) == 1 and plan.loop == 1

    def add(self, index: int, text: str) -> None:
        """Note what is wrong with a file; in later rounds it is told no more."""
        if index not in self._first:
            self._first[index] = text
            if not self._silent:
                self._tell(SourceEvent("warning", text))

    def end(self, text: str) -> SourceEvent:
        """The event that ends the replay; text: what it says where all files were whole."""
        if not self._first:
            return SourceEvent("finished", text)
        if len(self._files) == 1:
            return SourceEvent("failed", self._first[0])
        places = sorted(self._first)
        names = ", ".join(self._files[place] for place in places[:NAMED])
        more = f" and {len(places) - NAMED} more" if len(places) > NAMED else ""
        whole = f"{len(places)} of {len(self._files)} files could not be replayed whole"
        return SourceEvent("failed", f"{whole}: {names}{more}; every whole record was delivered")
