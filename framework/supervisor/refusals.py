"""Refusals of the system to make a worker: when to ask again, and when it is enough."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Final

# From the first refusal on, the system is asked again for so long, at first soon, then about once a second.
PATIENCE_S: Final = 10.0
FIRST_PAUSE_S: Final = 0.01
LONGEST_PAUSE_S: Final = 1.0


@dataclass
class Refusals:
    """Refusals in a row for one worker. since: time of the first, again: when to ask again; by time.monotonic()."""

    since: float = 0.0
    again: float = 0.0
    pause: float = FIRST_PAUSE_S

    @property
    def any(self) -> bool:
        return self.since > 0.0

    def add(self) -> bool:
        """Count one more; whether it was the first."""
        now, first = time.monotonic(), not self.any
        self.since = now if first else self.since
        self.again, self.pause = now + self.pause, min(self.pause * 2, LONGEST_PAUSE_S)
        return first

    @property
    def enough(self) -> bool:
        """Whether the system has refused for too long."""
        return self.any and self.again - self.since > PATIENCE_S
