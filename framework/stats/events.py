"""What happened in a run that people should know of: each event once, with its time."""

from __future__ import annotations

import itertools
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

# A run may last for months; observers take events every quarter of a second.
KEPT: Final = 1000

_numbers = itertools.count(1)


@dataclass(frozen=True)
class Event:
    """One event. at: seconds since the epoch; number: rises from event to event of a process."""

    text: str
    at: float
    number: int


class Events:
    """The last events, in their order; the same text may occur again and again."""

    def __init__(self) -> None:
        self._all: deque[Event] = deque(maxlen=KEPT)

    def append(self, text: str) -> None:
        """This has just happened."""
        self._all.append(Event(text, time.time(), next(_numbers)))

    def __iter__(self) -> Iterator[Event]:
        return iter(self._all)
