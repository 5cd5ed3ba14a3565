"""Which of the lines that come again and again are told at once, and which are counted and told later."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from operator import itemgetter
from typing import Final

from zcframe.framework.clock import local
from zcframe.framework.stats import Event

# One text may be told this often within QUIET_S, as long as others come in between: a link that goes down and up.
BURST: Final = 10
QUIET_S: Final = 10.0


@dataclass
class _Told:
    """One text. since: when its present QUIET_S began, and `times` it was told in it; held: those that wait."""

    since: float
    times: int = 0
    held: int = 0
    first_at: float = 0.0
    last: Event | None = None

    def line(self) -> tuple[str, float]:
        """The text with how often it came while it was held, and the time of the last of them."""
        assert self.last is not None
        often = f" ({self.held} times since {local(self.first_at)})" if self.held > 1 else ""
        return f"{self.last.text}{often}", self.last.at


class Repeats:
    """Takes events as they come, gives lines with their times; nothing is forgotten, and no flood passes.

    A text that differs from the one before is told at once, at most BURST times within QUIET_S. What is held is told
    with its count when that time is over, or before another line; so the last line is always the last event's.
    """

    def __init__(self) -> None:
        self._told: dict[str, _Told] = {}
        self._before = ""

    def hear(self, event: Event, now: float) -> Iterator[tuple[str, float]]:
        """The line of this event, where it is told at once. now: by a clock that never steps back."""
        told = self._told.setdefault(event.text, _Told(now))
        if now - told.since >= QUIET_S and not told.held:
            told.since, told.times = now, 0
        again, self._before = event.text == self._before, event.text
        if not told.held and told.times < (1 if again else BURST):
            yield from self._release(self._told.values(), now)
            told.times += 1
            yield event.text, event.at
            return
        told.first_at = told.first_at if told.held else event.at
        told.held, told.last = told.held + 1, event

    def due(self, now: float) -> Iterator[tuple[str, float]]:
        """Lines that were held for long enough; a text that has not come for as long is forgotten."""
        over = [text for text, told in self._told.items() if now - told.since >= QUIET_S]
        for text in over:
            if not self._told[text].held:
                del self._told[text]
        yield from self._release([self._told[text] for text in over if text in self._told], now)

    def rest(self) -> Iterator[tuple[str, float]]:
        """All lines that are held, at the end of the run."""
        return self._release(self._told.values(), 0.0)

    def _release(self, some: Iterable[_Told], now: float) -> Iterator[tuple[str, float]]:
        """Tell what is held of some texts, in the order in which each came last."""
        held = [(told.last.number, told) for told in some if told.last is not None and told.held]
        for _, told in sorted(held, key=itemgetter(0)):
            yield told.line()
            told.since, told.times, told.held = now, 1, 0
