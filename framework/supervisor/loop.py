"""The run: start the source and the workers, watch over both, end in order, settle the books.

One process, one thread, one loop over file descriptors: workers' and source's ends, stop signals, the log funnel. It
forks only from this loop, warm: a new worker starts with the compiled chain in its memory.
"""

from __future__ import annotations

import gc
import logging
import selectors
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from zcframe.affinity import pin_to
from zcframe.framework import log as funnel
from zcframe.framework.chain.build import build_chain
from zcframe.framework.config import RunConfig
from zcframe.framework.errors import ZcframeError
from zcframe.framework.sources.base import Source
from zcframe.framework.sources.opening import open_source
from zcframe.framework.state.shared import StateMemory
from zcframe.framework.stats import Observer, RssCheck, RunResult, RunSnapshot
from zcframe.framework.worker.loop import warm_up
from zcframe.framework.worker.privileges import drop_privileges

from .accounts import RingBooks, queue_stats
from .crew import Crew, Member
from .prepare import Prepared, prepare, rss_info, run_plan
from .reports import Reports
from .signals import StopSignals

log = logging.getLogger(__name__)

TICK_S = 0.25
WATCH_S = 0.1
# SIGINT to the end: so long may workers drain what is in their rings, so long may a straggler take to obey.
DRAIN_S = 1.5
OBEY_S = 0.2
# Reports may take this share of the supervisor's time while packets flow.
REPORT_SHARE = 0.1


@dataclass
class Course:
    """How far the run has come and what went wrong on the way."""

    started: float = 0.0
    ended: float = 0.0
    source_done: bool = False
    source_failed: bool = False
    stopping: bool = False
    drain_until: float | None = None
    warnings: list[str] = field(default_factory=list)
    error: ZcframeError | None = None

    def fail(self, error: ZcframeError) -> None:
        """Keep the first error: what follows it is mostly its consequence."""
        self.error = self.error or error


class Supervisor:
    """One run of prepared options; `run()` returns its result. Everything it opens is closed by `close()`."""

    def __init__(self, prepared: Prepared, observer: Observer, logs: funnel.LogFunnel) -> None:
        self.prepared, self.observer, self.logs = prepared, observer, logs
        self.course = Course()
        self._closers: list[Callable[[], None]] = []
        try:
            self.source: Source = self._closing(open_source(prepared.source_plan))
            self.source.start()
            self.chain = build_chain(prepared.plugins)
            warm_up()
            self.source.ready()
            domains = max(ring.domain for ring in self.source.rings) + 1
            self.state = self._closing(StateMemory([plugin.layout for plugin in prepared.plugins], domains))
            self.crew = self._closing(Crew(self.source.rings, self.chain, self.state, prepared.cpus, self._settle))
            self.books = [self._closing(RingBooks(ring)) for ring in self.source.rings]
        except BaseException:
            self.close()
            raise
        self.reports = Reports(prepared.plugins, self.state)
        self._selector = self._closing(selectors.DefaultSelector())
        self._next_tick = self._next_report = 0.0
        self._shown: tuple[dict[str, Any], dict[str, list[str]]] = ({}, {})

    def _closing(self, thing: Any) -> Any:
        self._closers.append(thing.close)
        return thing

    def close(self) -> None:
        while self._closers:
            self._closers.pop()()

    def _settle(self, cpu: int | None) -> None:
        """In a new worker: bind it to its CPU; where that is not allowed, say so and go on."""
        warning = pin_to(cpu) if cpu is not None else None
        if warning:
            log.warning("%s", warning)
        if self.source.kind == "iface":
            drop_privileges()

    def run(self, signals: StopSignals) -> RunResult:
        """Let packets flow until the source ends or somebody asks for the end."""
        gc.collect()
        gc.freeze()
        self.crew.spawn_all()
        self.observer.started(run_plan(self.prepared, self.source))
        self._watch(signals)
        self.course.started = time.monotonic()
        self.source.go()
        try:
            while not self.crew.finished:
                self._step(signals)
        except ZcframeError as error:
            self.course.fail(error)
        self.crew.end(OBEY_S)
        self.course.ended = time.monotonic()
        return self._result()

    def _watch(self, signals: StopSignals) -> None:
        self._selector.register(signals, selectors.EVENT_READ, signals.drain)
        self._selector.register(self.logs, selectors.EVENT_READ, self.logs.drain)
        self._selector.register(self.source.events_fd, selectors.EVENT_READ, self._hear_source)
        for member in self.crew.members:
            self._watch_member(member)

    def _watch_member(self, member: Member) -> None:
        self._selector.register(member.pidfd, selectors.EVENT_READ, lambda: self._reap(member))

    def _step(self, signals: StopSignals) -> None:
        """Wait for something to happen, deal with it, then do what is due."""
        for key, _ in self._selector.select(WATCH_S):
            key.data()
        now = time.monotonic()
        duration = self.prepared.config.duration
        if signals.count > 1:
            self.crew.halt()
            self.crew.end(0.0)
            return
        if signals.count or self._enough() or (duration is not None and now - self.course.started >= duration):
            self._stop(now)
        if self.course.drain_until is not None and now >= self.course.drain_until:
            self.crew.end(OBEY_S)
            return
        self.crew.kill_stuck()
        if now >= self._next_tick:
            self._tick(now)

    def _enough(self) -> bool:
        """Whether an interface has brought the frames that were asked for; a replay counts for itself."""
        count = self.prepared.config.count
        live = self.source.kind == "iface"
        return live and count is not None and sum(member.post.done for member in self.crew.members) >= count

    def _stop(self, now: float) -> None:
        """End in order: the source first, then each worker when its ring is empty."""
        if not self.course.stopping:
            self.course.stopping = True
            self.course.drain_until = now + DRAIN_S
            self.source.stop()

    def _hear_source(self) -> None:
        for event in self.source.poll_events():
            if event.kind == "warning":
                self.course.warnings.append(event.text)
                continue
            self.course.source_done = True
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
            self._watch_member(member)

    def _tick(self, now: float) -> None:
        interval = self.prepared.config.stats_interval or TICK_S
        self._next_tick = now + interval
        config = self.prepared.config
        # To read a worker's state is to stop it for milliseconds: not where nobody looks before the end.
        if now >= self._next_report and (config.stats_interval is not None or not config.json):
            self.reports.read_live(self.crew)
            self._shown = self.reports.make()
            self._next_report = now + (time.monotonic() - now) / REPORT_SHARE
        # Looking took its time: what is counted now is of now.
        self.observer.tick(RunSnapshot(**self._snapshot(time.monotonic())))

    def _snapshot(self, now: float) -> dict[str, Any]:
        died = self.course.source_failed and self.course.ended > 0
        members = zip(self.crew.members, self.books, strict=True)
        reports, lines = self._shown
        plan = run_plan(self.prepared, self.source)
        worker_warnings = [warning for member in self.crew.members for warning in member.warnings]
        return {
            "source": plan.source,
            "elapsed_s": now - self.course.started,
            "rss": rss_info(self.prepared.rss, self.crew.check()),
            "queues": [queue_stats(member, books, self.chain, source_died=died) for member, books in members],
            "plugins": reports,
            "lines": lines,
            "progress": self._progress(),
            "warnings": [*plan.warnings, *self.course.warnings, *worker_warnings],
        }

    def _progress(self) -> tuple[int, int] | None:
        done, total = self.source.progress()
        return (done, total) if total else None

    def _result(self) -> RunResult:
        """Settle the books: all workers have ended."""
        self.reports.read_final(self.crew)
        self._shown = self.reports.make()
        fields = self._snapshot(self.course.ended)
        totals = RunSnapshot(**fields).totals.ledger
        if not totals.closes():
            self.course.fail(ZcframeError(f"the ledger does not close, this is a bug in zcframe: {totals}"))
        check = self.crew.check()
        if check is not None and check.example:
            self.course.fail(ZcframeError(_disproved(check)))
        if self.reports.errors:
            self.course.fail(ZcframeError(self.reports.errors[0]))
        error = self.course.error
        return RunResult(
            **fields,
            exit_code=error.exit_code if error else 0,
            error=str(error) if error else "",
            details=error.details if error else "",
        )


def _disproved(check: RssCheck) -> str:
    wrong = f"{check.wrong_hash:,} frames with another hash, {check.wrong_queue:,} in another queue"
    return f"--verify-rss: of {check.frames:,} frames {wrong}; first {check.example}"


def run(config: RunConfig, observer: Observer) -> RunResult:
    """Run with these options, telling `observer`. Raises ZcframeError for what is wrong before the first packet."""
    prepared = prepare(config)
    logs = funnel.install(verbose=config.verbose)
    try:
        # Until packets flow, a signal simply ends the command: compiling may take seconds.
        supervisor = Supervisor(prepared, observer, logs)
        try:
            with StopSignals() as signals:
                result = supervisor.run(signals)
        finally:
            supervisor.close()
        observer.finished(result)
        return result
    finally:
        funnel.uninstall(logs)
