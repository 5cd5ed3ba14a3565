"""Gaps in a stream: frames that were lost in front of it, told at the first record that is surely behind them.

A count grows when frames are lost. What lies in the worker's ring by then is older than the gap; when the worker has
read all of it, the gap is in front of whatever it hands on from there.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from zcframe.framework.jit.words import Words

CHECK_S: Final = 0.01
HALF_COUNTER: Final = 1 << 31
COUNTER_BITS: Final = 0xFFFFFFFF


class Losses(NamedTuple):
    """What a worker's queue has lost so far, in frames; no_room: for want of room in the ring of this output."""

    nic_drop: int = 0
    ring_full: int = 0
    no_room: int = 0


class State(NamedTuple):
    """A worker at a moment. written, done: frames that were put into its ring, and that it has read."""

    losses: Losses
    written: int
    done: int


class Gap:
    """Of one worker. name: of its queue. look: its state."""

    def __init__(self, name: str, look: Callable[[], State]) -> None:
        self._name, self._look = name, look
        self._told = self._found = Losses()
        self._reach = self._done = 0
        self._place: int | None = None

    def begin(self) -> None:
        """What was lost before is in nobody's gap."""
        self._told = self._found = self._look().losses

    def check(self, end: int) -> None:
        """See whether frames were lost. end: up to where the worker's ring was filled before this call."""
        if self._place is not None:
            return
        read_up, state = self._done, self._look()
        self._done = state.done
        if self._found == self._told:
            self._found, self._reach = state.losses, state.written
        elif (read_up - self._reach) & COUNTER_BITS < HALF_COUNTER:
            self._place = end

    def due(self, position: int) -> str:
        """What is to be told when the stream is at `position` of the worker's ring, or ""."""
        if self._place is None or position < self._place:
            return ""
        pairs = zip(Losses._fields, self._found, self._told, strict=True)
        return f"{self._name} " + ", ".join(f"{name} {now - then}" for name, now, then in pairs if now > then)

    def told(self) -> None:
        self._told, self._place = self._found, None


class Gaps:
    """Of all workers that feed a stream, in the order of its rows."""

    def __init__(self, gaps: Sequence[Gap]) -> None:
        self._gaps, self._next = gaps, 0.0

    def begin(self) -> None:
        """As a successor, who does not know what was told."""
        for gap in self._gaps:
            gap.begin()

    def check(self, ends: Words) -> None:
        """Look whether there are new ones, now and then. ends: up to where each ring is filled."""
        now = time.monotonic()
        if now >= self._next:
            self._next = now + CHECK_S
            for gap, end in zip(self._gaps, ends.tolist(), strict=True):
                gap.check(end)

    def due(self, positions: Words) -> str:
        """A line about those in front of the next record, or "". positions: up to where each ring is merged."""
        lines = [gap.due(at) for gap, at in zip(self._gaps, positions.tolist(), strict=True)]
        found = "; ".join(filter(None, lines))
        return f"frames lost before this one: {found}" if found else ""

    def told(self, positions: Words) -> None:
        """The line stands in the stream. positions: as for `due`, before the record was taken."""
        for gap, at in zip(self._gaps, positions.tolist(), strict=True):
            if gap.due(at):
                gap.told()
