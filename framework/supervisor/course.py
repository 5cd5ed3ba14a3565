"""The course of a run: when it started and ended, and what went wrong on the way."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field

from zcframe.framework.errors import ProcessError, ZcframeError
from zcframe.framework.stats import Events


@dataclass
class Course:
    """Times are those of time.monotonic(); `started`, `stopped` (the order to stop) and `ended` are 0 before that.
    Those that end in `_at` are seconds since the epoch.

    drain_until: set by the order to stop; workers that have not emptied their rings by then are ended. cut_short: they
    were.
    """

    started: float = 0.0
    stopped: float = 0.0
    ended: float = 0.0
    started_at: float = 0.0
    ended_at: float = 0.0
    drain_until: float = math.inf
    cut_short: bool = False
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
        return self.stopped > 0.0

    def stop(self, now: float, drain: float) -> None:
        """Note the order to stop; workers get so many seconds to empty their rings."""
        self.stopped, self.drain_until = now, now + drain

    def stood_still(self, seconds: float) -> None:
        """This process was stopped, as by Ctrl-Z, and so was what it waits for: that is no part of the draining."""
        self.drain_until += seconds

    @property
    def source_died(self) -> bool:
        """Whether frames that the source has not published yet are lost for good."""
        return self.source_failed and self.ended > 0

    def fail(self, error: ZcframeError) -> None:
        """Keep the first error: later ones are mostly its consequences. That the books may be wrong is told besides."""
        if self.error is not None and isinstance(error, ProcessError):
            self.warnings.append(str(error))
        self.error = self.error or error
