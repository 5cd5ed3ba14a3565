"""Notices on stderr while a run goes on: where packets come from, each warning as often as it is news."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator, Sequence

from zcframe.framework.clock import event_line
from zcframe.framework.stats import Observer, QueueStats, RunPlan, RunResult, RunSnapshot
from zcframe.framework.terminal import clean

from .repeats import Repeats

# That more frames were cut is told again after this time.
CUTS_S = 60.0
# Frames beyond this are no jumbo frames: some offload merged them.
MERGED = 1 << 14


class Cuts:
    """Frames of live interfaces that were longer than a worker can see."""

    def __init__(self) -> None:
        self._told: dict[str, tuple[int, float]] = {}

    def lines(self, rows: Iterable[QueueStats], now: float) -> Iterator[str]:
        """A line an interface whose frames were cut since the last one; now: by a clock that never steps back."""
        found: dict[str, tuple[int, int]] = {}
        for row in rows:
            count, _ = found.get(row.ifname, (0, 0))
            found[row.ifname] = count + row.ledger.truncated, row.cut_at
        for ifname, (count, limit) in found.items():
            before, at = self._told.get(ifname, (0, -CUTS_S))
            if count > before and now - at >= CUTS_S:
                self._told[ifname] = count, now
                yield _cut_line(ifname, count, limit)


def compiling_line(names: Iterable[str]) -> str:
    """Why the first packet is some seconds away."""
    return f"compiling {', '.join(map(clean, names))}: this takes some seconds, once"


def _cut_line(ifname: str, count: int, limit: int) -> str:
    text = f"{ifname}: frames that were cut so far: {count:,}; plugins see the first {limit:,} bytes of each"
    mend = f"; where offloads merged them, ethtool -K {ifname} gro off tso off gso off keeps them apart"
    return text + (mend if limit > MERGED else "")


class Notices(Observer):
    """Writes to what sys.stderr is at that moment, so that lines pass above the live view.

    announces: say when packets of an interface come, which scripts wait for, and what is being compiled.
    """

    title = "notices"

    def __init__(self, *, announces: bool = False) -> None:
        self._announces = announces
        self._seen: set[str] = set()
        self._heard = 0
        self._repeats, self._cuts = Repeats(), Cuts()

    def compiling(self, names: Sequence[str]) -> None:
        # The live view has its own line for it.
        if self._announces:
            self._line(compiling_line(names))

    def started(self, plan: RunPlan) -> None:
        if plan.source.kind == "trace":
            rounds = "for ever, Ctrl-C ends it" if plan.loop == 0 else f"{plan.loop} times"
            self._line(f"no source named: the bundled trace at {plan.pace}, {rounds}")
        for change in plan.tuning:
            self._line(f"tune: {clean(str(change))}")
        self.warnings(plan.warnings)

    def tick(self, snapshot: RunSnapshot) -> None:
        if self._announces and snapshot.source.kind == "iface":
            self._announce(snapshot)
        self._look(snapshot)
        self._warn(self._repeats.due(time.monotonic()))
        # What was not taken when it was written may be taken now.
        sys.stderr.flush()

    def finished(self, result: RunResult) -> None:
        self._look(result.last)
        self._warn(self._repeats.rest())

    def warnings(self, warnings: Iterable[str]) -> None:
        """Write those that were not written yet; they hold for the whole run and have no time."""
        for warning in warnings:
            if warning not in self._seen:
                self._seen.add(warning)
                self._line(f"warning: {clean(warning)}")

    def _announce(self, snapshot: RunSnapshot) -> None:
        """The first tick comes when the source has been opened: whatever arrives from now on is counted."""
        self._announces = False
        source, workers = snapshot.source, len(snapshot.queues)
        crew = f"{workers} worker{'' if workers == 1 else 's'}"
        text = f"capturing from {', '.join(map(clean, source.names))} by {source.backend}, {crew}"
        self._event(text, snapshot.started or time.time())

    def _look(self, snapshot: RunSnapshot) -> None:
        """Tell of what is new in a snapshot."""
        self.warnings(snapshot.warnings)
        now = time.monotonic()
        for event in snapshot.events:
            if event.number > self._heard:
                self._heard = event.number
                self._warn(self._repeats.hear(event, now))
        if snapshot.source.kind == "iface":
            at = snapshot.at or time.time()
            self._warn((line, at) for line in self._cuts.lines(snapshot.queues, now))

    def _warn(self, lines: Iterable[tuple[str, float]]) -> None:
        for text, at in lines:
            self._event(f"warning: {clean(text)}", at)

    def _event(self, text: str, at: float) -> None:
        self.say(event_line(text, at))

    def _line(self, text: str) -> None:
        self.say(f"zcframe: {text}")

    def say(self, line: str) -> None:
        """Where lines go."""
        print(line, file=sys.stderr, flush=True)
