"""The run: start the source and the workers, watch both, stop in order, settle the books.

One process, one thread, one loop over file descriptors: ends of workers and of the source, stop signals, the log
funnel. It forks only from this loop, warm: a new worker starts with the compiled chain in its memory.
"""

from __future__ import annotations

import gc
import logging
import math
import selectors
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from functools import partial
from typing import Any

from zcframe.affinity import pin_to
from zcframe.framework import log as funnel
from zcframe.framework.chain.build import build_chain
from zcframe.framework.chain.handover import HandOver, flow_places
from zcframe.framework.chain.no_ip import state_layouts
from zcframe.framework.config import RunConfig
from zcframe.framework.ctl.control import Control
from zcframe.framework.errors import OutputError, ZcframeError, refusal
from zcframe.framework.garbage import uncollected
from zcframe.framework.outputs.make import make_outputs, require_apart
from zcframe.framework.outputs.output import Door, Input, Output
from zcframe.framework.outputs.rows.choose import make_rows
from zcframe.framework.outputs.writer.process import entry_points as writer_entry_points
from zcframe.framework.privileges import drop_privileges
from zcframe.framework.sandbox import Walls, missing
from zcframe.framework.sources.opening import open_source
from zcframe.framework.state.shared import StateMemory
from zcframe.framework.stats import Observer, RssCheck, RunResult, RunSnapshot
from zcframe.framework.worker.loop import entry_points

from .change.changes import Changes, Running
from .change.order import Order
from .commands import Command
from .course import Course
from .crew import Crew
from .member import Member, Version
from .prepare import Prepared, prepare, run_plan
from .reports import Reports
from .signals import ENOUGH, StopSignals
from .snapshots import Snapshots
from .writers import Writer, Writers, let_go

log = logging.getLogger(__name__)

TICK_S = 0.25
WATCH_S = 0.1
# After the order to end, workers may take OBEY_S to obey. (How long they may empty their rings before that is --drain.)
OBEY_S = 0.2
# A drain that takes longer than this is reported.
DRAIN_TOLD_S = 2.0
# A wait that took so much longer than it should is no wait: this process was stopped.
STOPPED_S = 1.0
# Readers of FIFOs are looked for so often; a wait that takes longer than the other is told.
READER_NAP_S = 0.02
READERS_TOLD_S = 1.0
# Readers of a ring may take so long to read what was written last.
LAGGING_S = 1.0
# While workers are replaced one by one, it is looked so often whether the next one may be.
SWAP_NAP_S = 1e-3
# Somebody who asked for the end waits so long for commands that have read all; after so long a wait is told.
COMMANDS_S = 5.0
COMMANDS_TOLD_S = 10.0
# Reports may take this share of the supervisor's time while packets flow.
REPORT_SHARE = 0.1


class Supervisor:
    """One run of prepared options; `run()` returns its result, `close()` gives back everything that it opened."""

    def __init__(
        self, prepared: Prepared, observer: Observer, logs: funnel.LogFunnel, control: Control | None = None
    ) -> None:
        self.config, self.observer, self.logs, self.control = prepared.config, observer, logs, control
        self.course = Course()
        self._next_tick = self._next_report = 0.0
        self._source_ended = self._drain_told = self._reader_missing = False
        with ExitStack() as opened:
            self.source = opened.enter_context(closing(open_source(prepared.source_plan)))
            self.source.start()
            rings = self.source.rings
            also = entry_points(verifying=any(ring.spread is not None for ring in rings))
            inputs = [Input(ring.ifname, ring.queue) for ring in rings]
            outputs = make_outputs(prepared.outputs, inputs)
            outputs += make_rows(prepared.rows, prepared.kinds, inputs, len(outputs), self.config.records_to)
            require_apart(output for output, _ in outputs)
            also += writer_entry_points() if any(output.writes for output, _ in outputs) else ()
            also += tuple(dict.fromkeys(job for output, _ in outputs for job in output.jobs))
            hand_overs = [hand_over for _, hand_over in outputs]
            chain = build_chain(prepared.plugins, also, observer.compiling, prepared.program, hand_overs)
            self.source.ready()
            live = prepared.live
            self.writers = opened.enter_context(closing(Writers(outputs, len(rings), live=live, waits=not live)))
            domains = max(ring.domain for ring in rings) + 1
            layouts = state_layouts(prepared.plugins, len(rings), hand_overs)
            state = opened.enter_context(closing(StateMemory(layouts, domains)))
            crew = (rings, Version(chain, state), prepared.cpus, self._confine)
            self.crew = opened.enter_context(closing(Crew(*crew, self.writers.rings, live=live)))
            self.writers.open()
            if self.config.command:
                self.writers.start_commands(self.config.command)
            self.plan = run_plan(prepared, self.source)
            places = flow_places(len(prepared.plugins), hand_overs)
            reports = Reports(prepared.plugins, layouts, places, keeps=observer.reads_states)
            self.snapshots = opened.enter_context(
                closing(Snapshots(self.plan, self.source, self.crew, reports, self.writers))
            )
            self._selector = opened.enter_context(selectors.DefaultSelector())
            # Nobody can ask for one without a control socket.
            self._changes = opened.enter_context(closing(self._may_change(prepared, outputs))) if control else None
            self._opened = opened.pop_all()

    def close(self) -> None:
        self._opened.close()

    def _may_change(self, prepared: Prepared, outputs: Sequence[tuple[Output, HandOver]]) -> Changes:
        tell = self.course.warnings.append
        run = Running(prepared, self.source, self.crew, self.snapshots, outputs, tell)
        return Changes(run, self._selector, self._let_go)

    def _let_go(self) -> None:
        """In a fork: it holds nothing that readers and callers would wait for."""
        for member in self.writers.members:
            let_go(member.output)
        if self.control is not None:
            self.control.let_go()

    def _confine(self, cpu: int | None) -> Walls:
        """In a new worker: bind it to its CPU, where that is allowed, and drop the privileges that it does not need."""
        self._let_go()
        warning = pin_to(cpu) if cpu is not None else None
        if warning:
            log.warning("%s", warning)
        # Behind what was let go of: the worker's own memory may take its place.
        walls = Walls(up=not self.config.no_sandbox)
        # What it keeps stands in the plan's warnings, once for all workers.
        drop_privileges()
        return walls

    def run(self, signals: StopSignals) -> RunResult:
        """Let packets flow until the source ends or somebody asks for the end. There is a result whatever happens."""
        self._start(signals)
        with self._failing():
            while not self.crew.finished:
                self._step(signals)
        asked = self.course.stopping
        with self._failing():
            self._end_changes()
        with self._failing():
            self._order_stop(time.monotonic())
        with self._failing():
            self._end_crew(OBEY_S)
        with self._failing():
            self._end_writers(signals, self.course.drain_until if asked else math.inf)
        self.course.ended, self.course.ended_at = time.monotonic(), time.time()
        with self._failing():
            self.source.hurry()
            self._hear_source()
        with self._failing():
            self._end_commands(signals, asked=signals.look() > 0)
        return self._settle()

    @contextmanager
    def _failing(self) -> Iterator[None]:
        """What fails in here ends the run, and not its report."""
        try:
            yield
        except ZcframeError as error:
            self.course.fail(error)
        except (OSError, MemoryError) as error:
            self.course.fail(ZcframeError(f"the system refused: {refusal(error)}", details=traceback.format_exc()))
        except Exception as error:
            text = " ".join(f"{type(error).__name__}: {error}".split())
            self.course.fail(ZcframeError(f"this is a bug in zcframe: {text}", details=traceback.format_exc()))

    # --- start

    def _start(self, signals: StopSignals) -> None:
        if not self.config.no_sandbox and (lacking := missing()):
            log.debug("workers may make any system call: %s", lacking)
        # What has been loaded stays: neither this process nor its children look through it.
        gc.freeze()
        self.crew.spawn_all()
        self.writers.spawn_all([member.post for member in self.crew.members])
        self.observer.started(self.plan)
        self._selector.register(signals, selectors.EVENT_READ, signals.drain)
        self._selector.register(self.logs, selectors.EVENT_READ, self.logs.drain)
        self._selector.register(self.source.events_fd, selectors.EVENT_READ, self._hear_source)
        if self.control is not None:
            self.control.begin(self.plan)
            self._selector.register(self.control, selectors.EVENT_READ, partial(self._hear_control, signals))
        for member in self.crew.members:
            self._watch(member)
        for writer in self.writers.members:
            if writer.process is not None:
                self._watch_writer(writer)
            for door in writer.output.doors():
                self._selector.register(door, selectors.EVENT_READ, partial(self._hear_door, writer, door))
        for command in self._commands:
            self._selector.register(command, selectors.EVENT_READ, partial(self._reap_command, command))
        wanted = self._await_readers(signals)
        self.course.started, self.course.started_at = time.monotonic(), time.time()
        if wanted:
            if self.writers.commands:
                self.writers.commands.serve()
            self.source.go()

    @property
    def _commands(self) -> Sequence[Command]:
        return self.writers.commands.members if self.writers.commands else ()

    def _watch(self, member: Member) -> None:
        assert member.process is not None
        self._selector.register(member.process, selectors.EVENT_READ, lambda: self._reap(member))

    def _watch_writer(self, writer: Writer) -> None:
        assert writer.process is not None
        self._selector.register(writer.process, selectors.EVENT_READ, lambda: self._reap_writer(writer))

    def _await_readers(self, signals: StopSignals) -> bool:
        """Let nothing flow before every FIFO has its reader, or --out-wait is over; False: the end was asked for."""
        began, told = time.monotonic(), False
        while absent := self.writers.absent():
            if signals.look():
                return False
            if self.writers.commands:
                self.writers.commands.require_all()
            waited = time.monotonic() - began
            if waited >= self.config.out_wait:
                log.warning("nobody reads %s yet: its frames are dropped until somebody does", ", ".join(absent))
                break
            if waited > READERS_TOLD_S and not told:
                told = True
                log.warning("waiting for readers of %s", ", ".join(absent))
            self._wait(READER_NAP_S)
        return True

    # --- watch

    def _step(self, signals: StopSignals) -> None:
        """Wait for something to happen, deal with it, then do what is due."""
        self._wait(self._nap_s())
        now, count = time.monotonic(), signals.look()
        if count >= ENOUGH or now >= self.course.drain_until:
            self._cut_short(now, 0.0 if count >= ENOUGH else OBEY_S)
            return
        for member in self.crew.waiting(now):
            if self.crew.try_again(member):
                self._watch(member)
        if count or self._complete(now):
            self._order_stop(now)
        self.crew.kill_stuck()
        if self._changes is not None:
            self._changes.step()
        self._reader_missing = self.writers.tend()
        self._tell_drain(now)
        if signals.take_show():
            self._show()
        if now >= self._next_tick:
            self._tick(now)

    def _nap_s(self) -> float:
        if self._changes is not None and self._changes.swapping:
            return SWAP_NAP_S
        return READER_NAP_S if self._reader_missing else WATCH_S

    def _wait(self, seconds: float = WATCH_S) -> None:
        """Wait for something to happen, at most so long, and deal with it."""
        began = time.monotonic()
        ready = self._selector.select(seconds)
        late = time.monotonic() - began - seconds
        if late > STOPPED_S:
            self.course.stood_still(late)
        for key, _ in ready:
            key.data()

    def _hear_source(self) -> None:
        """Take the source's news; behind its end there are none."""
        if self._source_ended:
            return
        for event in self.source.poll_events():
            if event.kind in ("warning", "degraded"):
                self.course.warnings.append(event.text)
            if event.kind in ("failed", "degraded"):
                self.course.fail(ZcframeError(event.text))
            if event.kind in ("failed", "finished"):
                self._end_source(failed=event.kind == "failed")
                return

    def _end_source(self, *, failed: bool) -> None:
        self._source_ended, self.course.source_failed = True, failed
        self._selector.unregister(self.source.events_fd)
        self.crew.drain()

    def _reap(self, member: Member) -> None:
        assert member.process is not None
        self._selector.unregister(member.process)
        self.crew.reap(member)
        if member.process is not None:
            self._watch(member)

    def _reap_writer(self, writer: Writer) -> None:
        assert writer.process is not None
        self._selector.unregister(writer.process)
        try:
            self.writers.reap(writer)
        except OutputError as error:
            self.course.warnings.append(f"{error}; what else comes is lost to this output")
            self.course.fail(error)
            if self.writers.all_failed and not self.crew.chain.plugins:
                self._order_stop(time.monotonic())
        if writer.process is not None:
            self._watch_writer(writer)

    def _hear_door(self, writer: Writer, door: Door) -> None:
        for text in door.hear():
            self.course.warnings.append(f"{writer.output.prefix}{text}")

    def _reap_command(self, command: Command) -> None:
        self._selector.unregister(command)
        command.reap()
        if command.served and not self.writers.finished:
            moved = self.writers.commands is not None and self.writers.commands.output.streams.drains
            fate = "its flows go to the others" if moved else "what else comes for it is dropped"
            self.course.warnings.append(f"{command.ended()} while frames flow: {fate}")
        if command.served and self.writers.commands_done:
            self._order_stop(time.monotonic())

    def _tick(self, now: float) -> None:
        """Show the observer how the run goes."""
        interval = self.config.stats_interval
        self._next_tick = now + (interval or TICK_S)
        self.writers.hear()
        # To read a worker's state is to stop it for milliseconds: not where nobody looks before the end.
        if now >= self._next_report and self.observer.reads_reports:
            self.snapshots.read_live()
            self._next_report = now + (time.monotonic() - now) / REPORT_SHARE
        self.observer.tick(self.snapshots.take(self.course))

    def _show(self) -> None:
        """Somebody asked for the state of the run."""
        self.observer.asked(self._reported())

    def _reported(self) -> RunSnapshot:
        """The counters of now, with reports made for them."""
        self.snapshots.read_live()
        return self.snapshots.take(self.course)

    def _hear_control(self, signals: StopSignals) -> None:
        assert self.control is not None
        self.control.hear(signals.ask, partial(self.snapshots.take, self.course), self._reported, self._change)

    def _change(self, expression: str | None, drops: bool, answer: Callable[[dict[str, Any]], None]) -> None:
        """Somebody asks for another filter, or for plugins as their files are now."""
        assert self._changes is not None
        if self.course.stopping or self._source_ended:
            answer({"error": "the run ends: nothing is changed any more"})
        else:
            self._changes.ask(Order(expression, drops), answer)

    def _end_changes(self) -> None:
        if self._changes is not None:
            self._changes.end()

    # --- stop

    def _complete(self, now: float) -> bool:
        """Whether --duration is over, or an interface has brought --count packets; a replay counts for itself."""
        duration, count = self.config.duration, self.config.count
        if duration is not None and now - self.course.started >= duration:
            return True
        return count is not None and self.source.kind == "iface" and self.crew.packets >= count

    def _order_stop(self, now: float) -> None:
        """Stop in order: the source first, then each worker when its ring is empty."""
        if not self.course.stopping:
            self.course.stop(now, self.config.drain)
            if not self._source_ended:
                self.source.stop()

    def _cut_short(self, now: float, patience: float) -> None:
        """End now: what is left in the rings is lost, and counted."""
        self.course.cut_short = True
        self._order_stop(now)
        self._end_crew(patience)

    def _end_crew(self, patience: float) -> None:
        """End the workers. Writers hold their descriptors too: closed ones would go on telling the selector."""
        for member in self.crew.members:
            if member.process is not None:
                with suppress(KeyError):
                    self._selector.unregister(member.process)
        self.crew.end(patience)

    def _end_writers(self, signals: StopSignals, until: float) -> None:
        """Let writers write what is left, up to this time; for --drain from when somebody asks for the end."""
        self.writers.drain()
        while not self.writers.finished:
            self._wait()
            self.writers.tend()
            now, count = time.monotonic(), signals.look()
            if count and until == math.inf:
                until = now + self.config.drain
            if count >= ENOUGH or now >= until:
                break
            if signals.take_show():
                self._show()
            if now >= self._next_tick:
                self._tick(now)
        self.writers.end(OBEY_S)
        self.writers.tell_end()
        until = time.monotonic() + LAGGING_S
        while self.writers.lagging and time.monotonic() < until and signals.look() < ENOUGH:
            self._wait(READER_NAP_S)

    def _end_commands(self, signals: StopSignals, *, asked: bool) -> None:
        """End the streams, and wait for commands that read them; who asks for the end does not wait for long."""
        self.writers.hear()
        self.writers.finish()
        commands = self.writers.commands
        if commands is None:
            return
        began, told, count = time.monotonic(), False, signals.look()
        until = began + (COMMANDS_S if count < ENOUGH else 0.0) if asked else math.inf
        while not commands.finished and time.monotonic() < until and any(row.served for row in commands.members):
            self._wait()
            if signals.look() > count:
                until = 0.0 if asked else time.monotonic() + COMMANDS_S
                count, asked = signals.look(), True
            if time.monotonic() - began > COMMANDS_TOLD_S and not told:
                told = True
                log.warning("waiting for the commands to end; Ctrl-C ends them")
        commands.stop()
        commands.require_success()

    def _tell_drain(self, now: float) -> None:
        """Say once that a long drain goes on, and how to end it."""
        if self.course.stopping and not self._drain_told and now - self.course.stopped > DRAIN_TOLD_S:
            self._drain_told = True
            text = "the rings are not empty yet; another Ctrl-C ends at once, and what is left then is lost"
            self.course.warnings.append(text)

    # --- settle the books

    def _settle(self) -> RunResult:
        """All workers have ended: read what they counted, and check that it adds up."""
        failed_reports: list[str] = []
        with self._failing():
            failed_reports = self.snapshots.read_final()
            for text in self.snapshots.reports.flaws():
                self.course.warnings.append(text)
        for text in self._unseen(self.snapshots.take(self.course)):
            self.course.warnings.append(text)
        last = self.snapshots.take(self.course)
        for text in (*_contradictions(last), *failed_reports[:1]):
            self.course.fail(ZcframeError(text))
        error = self.course.error
        if error is None:
            return RunResult(last)
        return RunResult(last, exit_code=error.exit_code, error=str(error), details=error.details)

    def _unseen(self, last: RunSnapshot) -> list[str]:
        """A line about frames that arrived and that no plugin saw, where there are some."""
        ledger = last.totals.ledger
        if not ledger.in_flight:
            return []
        frames = f"{ledger.in_flight:,} of {ledger.arrived:,} frames were in flight when the run ended"
        advice = "; --drain gives workers more time" if self.course.cut_short else ""
        return [f"{frames}: no plugin saw them, and they count as lost{advice}"]


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


def _prepared(config: RunConfig, observer: Observer, logs: funnel.LogFunnel, control: Control | None) -> Supervisor:
    with uncollected():
        return Supervisor(prepare(config), observer, logs, control)


def run(config: RunConfig, observer: Observer, control: Control | None = None) -> RunResult:
    """Run with these options, watched by `observer`. Raises ZcframeError where the run cannot start.

    control: of --ctl; None: there is none.
    """
    logs = funnel.install(verbose=config.verbose)
    try:
        with StopSignals() as signals:
            with closing(_prepared(config, observer, logs, control)) as supervisor:
                signals.listen()
                result = supervisor.run(signals)
            signals.conclude()
            _conclude(observer, result)
        return result
    finally:
        funnel.uninstall(logs)


def _conclude(observer: Observer, result: RunResult) -> None:
    """Have the report written; everything that the run held has been given back."""
    try:
        observer.finished(result)
    except KeyboardInterrupt:
        raise ZcframeError("interrupted while the report was written: it is not whole") from None
