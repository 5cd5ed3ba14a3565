"""The course of a run: when it started and ended, and what went wrong on the way."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field

from zcframe.framework.errors import ZcframeError
from zcframe.framework.stats import Events


@dataclass
class Course:
    """Times are those of time.monotonic(); `started` and `ended` are 0 before that. `_at`: seconds since the epoch.

    drain_until: set by the order to stop; workers that have not emptied their rings by then are ended.
    """

    started: float = 0.0
    ended: float = 0.0
    started_at: float = 0.0
    ended_at: float = 0.0
    drain_until: float = math.inf
    source_failed: bool = False
    warnings: Events = field(default_factory=Events)
    error: ZcframeError | None = None

    @property
    def elapsed_s(self) -> float:
        """Seconds from the first packet to now, or to the end."""
        return (self.ended or time.monotonic()) - self.started

    @property
    def stopping(self) -> bool:
        """Whether the source was ordered to stop."""
        return self.drain_until < math.inf

    @property
    def source_died(self) -> bool:
        """Whether frames that the source has not published yet are lost for good."""
        return self.source_failed and self.ended > 0

    def fail(self, error: ZcframeError) -> None:
        """Keep the first error: later ones are mostly its consequences."""
        self.error = self.error or error
