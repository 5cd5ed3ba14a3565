"""Orders for a replay."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from zcframe.framework.errors import UsageError
from zcframe.framework.rss import RssConfig
from zcframe.framework.rss.reta import check_queues, check_reta

from .windows.pool import WINDOW


@dataclass(frozen=True)
class ReplayPlan:
    """Orders for the software NIC.

    files: pcap or pcapng, "-" for standard input. loop: rounds, 0 for no end; timestamps go on rising from one to the
    next. pace: frames a second, "original" for that of the recording (both drop what finds no room), or "max", which
    waits for room. max_gap: with pace "original", seconds that a gap takes at most, 0 for no bound. count: end after so
    many frames have arrived. verify: compare each frame's hash and queue with Toeplitz. window: bytes of a regular file
    that one process reads at once, at pace "max". sandbox: close walls around those who read. Raises UsageError for
    orders that make no sense.
    """

    files: tuple[str, ...]
    rss: RssConfig
    kind: Literal["file", "trace"] = "file"
    loop: int = 1
    pace: Literal["max", "original"] | float = "max"
    max_gap: float = 10.0
    count: int | None = None
    queues: int = 8
    ring_slots: int = 4096
    verify: bool = False
    window: int = WINDOW
    sandbox: bool = True

    def __post_init__(self) -> None:
        check_queues(self.queues)
        check_reta(self.rss.reta, self.queues)
        if not self.files:
            raise UsageError("nothing to replay: name a capture file")
        if self.files.count("-") > 1:
            raise UsageError("standard input can be replayed only once")
        if self.loop < 0:
            raise UsageError(f"--loop {self.loop}: a number of rounds, or 0 for no end")
        if not isinstance(self.pace, str) and not self.pace > 0:
            raise UsageError(f"--pps {self.pace}: more than 0 frames a second")
        if self.max_gap < 0:
            raise UsageError(f"--max-gap {self.max_gap}: seconds, or 0 for no bound")
        if self.count is not None and self.count < 1:
            raise UsageError(f"--count {self.count}: at least 1 frame")
