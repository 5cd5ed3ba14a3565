"""The run: start the source and the workers, watch both, stop in order, settle the books.

One process, one thread, one loop over file descriptors: ends of workers and of the source, stop signals, the log
funnel. It forks only from this loop, warm: a new worker starts with the compiled chain in its memory.
"""

from __future__ import annotations

import gc
import logging
import selectors
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing

from zcframe.affinity import pin_to
from zcframe.framework import log as funnel
from zcframe.framework.chain.build import build_chain
from zcframe.framework.chain.no_ip import state_layouts
from zcframe.framework.config import RunConfig
from zcframe.framework.errors import ZcframeError
from zcframe.framework.privileges import drop_privileges
from zcframe.framework.sources.opening import open_source
from zcframe.framework.state.shared import StateMemory
from zcframe.framework.stats import Observer, RssCheck, RunResult, RunSnapshot
from zcframe.framework.worker.loop import warm_up

from .course import Course
from .crew import Crew
from .member import Member
from .prepare import Prepared, prepare, run_plan
from .reports import Reports
from .signals import StopSignals
from .snapshots import Snapshots

log = logging.getLogger(__name__)

TICK_S = 0.25
WATCH_S = 0.1
# After the order to stop, workers may take DRAIN_S to empty their rings; after the order to end, OBEY_S to obey.
DRAIN_S = 1.5
OBEY_S = 0.2
# Reports may take this share of the supervisor's time while packets flow.
REPORT_SHARE = 0.1


class Supervisor:
    """One run of prepared options; `run()` returns its result, `close()` gives back everything that it opened."""

    def __init__(self, prepared: Prepared, observer: Observer, logs: funnel.LogFunnel) -> None:
        self.config, self.observer, self.logs = prepared.config, observer, logs
        self.course = Course()
        self._next_tick = self._next_report = 0.0
        with ExitStack() as opened:
            self.source = opened.enter_context(closing(open_source(prepared.source_plan)))
            self.source.start()
            chain = build_chain(prepared.plugins)
            warm_up()
            self.source.ready()
            rings = self.source.rings
            domains = max(ring.domain for ring in rings) + 1
            layouts = state_layouts(prepared.plugins, len(rings))
            state = opened.enter_context(closing(StateMemory(layouts, domains)))
            self.crew = opened.enter_context(closing(Crew(rings, chain, state, prepared.cpus, self._confine)))
            self.plan = run_plan(prepared, self.source)
            reports = Reports(prepared.plugins, state)
            self.snapshots = opened.enter_context(closing(Snapshots(self.plan, self.source, self.crew, reports)))
            self._selector = opened.enter_context(selectors.DefaultSelector())
            self._opened = opened.pop_all()

    def close(self) -> None:
        self._opened.close()

    def _confine(self, cpu: int | None) -> None:
        """In a new worker: bind it to its CPU, where that is allowed, and drop the privileges that it does not need."""
        warning = pin_to(cpu) if cpu is not None else None
        if warning:
            log.warning("%s", warning)
        # What it keeps stands in the plan's warnings, once for all workers.
        drop_privileges()

    def run(self, signals: StopSignals) -> RunResult:
        """Let packets flow until the source ends or somebody asks for the end."""
        self._start(signals)
        try:
            while not self.crew.finished:
                self._step(signals)
        except ZcframeError as error:
            self.course.fail(error)
        self.crew.end(OBEY_S)
        self.course.ended, self.course.ended_at = time.monotonic(), time.time()
        return self._settle()

    # --- start

    def _start(self, signals: StopSignals) -> None:
        gc.collect()
        gc.freeze()
        self.crew.spawn_all()
        self.observer.started(self.plan)
        self._selector.register(signals, selectors.EVENT_READ, signals.drain)
        self._selector.register(self.logs, selectors.EVENT_READ, self.logs.drain)
        self._selector.register(self.source.events_fd, selectors.EVENT_READ, self._hear_source)
        for member in self.crew.members:
            self._watch(member)
        self.course.started, self.course.started_at = time.monotonic(), time.time()
        self.source.go()

    def _watch(self, member: Member) -> None:
        self._selector.register(member.pidfd, selectors.EVENT_READ, lambda: self._reap(member))

    # --- watch

    def _step(self, signals: StopSignals) -> None:
        """Wait for something to happen, deal with it, then do what is due."""
        for key, _ in self._selector.select(WATCH_S):
            key.data()
        now = time.monotonic()
        if signals.count > 1:
            self.crew.end(0.0)
        elif now >= self.course.drain_until:
            self.crew.end(OBEY_S)
        else:
            if signals.count or self._complete(now):
                self._stop(now)
            self.crew.kill_stuck()
            if now >= self._next_tick:
                self._tick(now)

    def _hear_source(self) -> None:
        for event in self.source.poll_events():
            if event.kind == "warning":
                self.course.warnings.append(event.text)
                continue
            if event.kind == "failed":
                self.course.source_failed = True
                self.course.fail(ZcframeError(event.text))
            self._selector.unregister(self.source.events_fd)
            self.crew.drain()
            return

    def _reap(self, member: Member) -> None:
        self._selector.unregister(member.pidfd)
        self.crew.reap(member)
        if member.process is not None:
            self._watch(member)

    def _tick(self, now: float) -> None:
        """Show the observer how the run goes."""
        interval = self.config.stats_interval
        self._next_tick = now + (interval or TICK_S)
        # To read a worker's state is to stop it for milliseconds: not where nobody looks before the end.
        if now >= self._next_report and self.observer.reads_reports:
            self.snapshots.read_live()
            self._next_report = now + (time.monotonic() - now) / REPORT_SHARE
        self.observer.tick(self.snapshots.take(self.course))

    # --- stop

    def _complete(self, now: float) -> bool:
        """Whether --duration is over, or an interface has brought --count packets; a replay counts for itself."""
        duration, count = self.config.duration, self.config.count
        if duration is not None and now - self.course.started >= duration:
            return True
        return count is not None and self.source.kind == "iface" and self.crew.packets >= count

    def _stop(self, now: float) -> None:
        """Stop in order: the source first, then each worker when its ring is empty."""
        if not self.course.stopping:
            self.course.drain_until = now + DRAIN_S
            self.source.stop()

    # --- settle the books

    def _settle(self) -> RunResult:
        """All workers have ended: read what they counted, and check that it adds up."""
        failed_reports = self.snapshots.read_final()
        last = self.snapshots.take(self.course)
        for text in (*_contradictions(last), *failed_reports[:1]):
            self.course.fail(ZcframeError(text))
        error = self.course.error
        if error is None:
            return RunResult(last)
        return RunResult(last, exit_code=error.exit_code, error=str(error), details=error.details)


def _contradictions(last: RunSnapshot) -> Iterator[str]:
    """What proves that this run, or the NIC, did not do what it should."""
    totals, check = last.totals.ledger, last.rss.check
    if not totals.closes():
        yield f"the ledger does not close, this is a bug in zcframe: {totals}"
    if check is not None and check.example:
        yield _disproved(check)


def _disproved(check: RssCheck) -> str:
    wrong = f"{check.wrong_hash:,} frames with another hash, {check.wrong_queue:,} in another queue"
    return f"--verify-rss: of {check.frames:,} frames {wrong}; first {check.example}"


def run(config: RunConfig, observer: Observer) -> RunResult:
    """Run with these options, watched by `observer`. Raises ZcframeError where the run cannot start."""
    logs = funnel.install(verbose=config.verbose)
    try:
        with StopSignals() as signals, closing(Supervisor(prepare(config), observer, logs)) as supervisor:
            signals.listen()
            result = supervisor.run(signals)
        observer.finished(result)
        return result
    finally:
        funnel.uninstall(logs)
