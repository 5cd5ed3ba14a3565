"""When a shard is ticked: the model of framework/chain/ticks/, in plain Python."""

from __future__ import annotations

from zcframe.framework.chain.ticks.due import BACK_NS


class Clock:
    """due: the end of the interval under way, in ns since the epoch; 0 before the first packet."""

    def __init__(self, interval: int) -> None:
        self._interval, self.due = interval, 0

    def before(self, ts: int) -> list[int]:
        """The times of the ticks that precede a packet of this time, none or up to two of them."""
        if self.due - self._interval - BACK_NS <= ts < self.due:
            return []
        latest, ended = ts - ts % self._interval, self.due
        self.due = latest + self._interval
        return [now for now in dict.fromkeys((ended, latest)) if ended and now >= ended]
