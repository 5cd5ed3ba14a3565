"""Snapshots of a run: every queue's ledger and every plugin's report at one moment."""

from __future__ import annotations

import time
from dataclasses import replace

from zcframe.framework.sources.base import Source
from zcframe.framework.stats import NoIp, QueueStats, RunPlan, RunSnapshot

from .accounts import RingBooks, queue_stats
from .course import Course
from .crew import Crew
from .faults import read_faults
from .reports import PluginReports, Reports
from .writers import Writers


class Snapshots:
    """Takes snapshots. What plugins report is read apart from that, since it costs far more than the counters do."""

    def __init__(self, plan: RunPlan, source: Source, crew: Crew, reports: Reports, writers: Writers) -> None:
        self.plan, self.source, self.crew, self.reports, self.writers = plan, source, crew, reports, writers
        self._books = [RingBooks(ring) for ring in source.rings]
        self._made = PluginReports()

    def read_live(self) -> None:
        """Make the plugins' reports while packets flow."""
        self.reports.read_live(self.crew)
        self._made = self.reports.make()

    def read_final(self) -> list[str]:
        """Make the plugins' reports after the workers have ended; a line for each plugin that failed in it."""
        self.reports.read_final(self.crew)
        self._made = self.reports.make()
        return self.reports.errors

    def take(self, course: Course) -> RunSnapshot:
        """The counters of now, with the reports that were made last."""
        told = [course.warnings, *(member.warnings for member in self.crew.members)]
        events = [event for some in (*told, *(writer.warnings for writer in self.writers.members)) for event in some]
        return RunSnapshot(
            source=replace(self.plan.source, passed_over=self.source.passed_over()),
            filter=self.plan.filter,
            elapsed_s=course.elapsed_s,
            rss=replace(self.plan.rss, check=self.crew.check()),
            queues=self._queues(course),
            plugins=self._made.reports,
            lines=self._made.lines,
            no_ip=NoIp(self._made.no_ip),
            progress=self._progress(),
            warnings=self.plan.warnings,
            events=sorted(events, key=lambda event: event.number),
            started=course.started_at,
            ended=course.ended_at,
            at=course.ended_at or time.time(),
            final=course.ended > 0,
            outputs=self.writers.stats(self._made.flows, final=course.ended > 0),
            states=self._made.states,
            rows=self.writers.row_stats(final=course.ended > 0),
            faults=read_faults((member.post for member in self.crew.members), self.crew.chain.plugins),
        )

    def _queues(self, course: Course) -> list[QueueStats]:
        members = zip(self.crew.members, self._books, strict=True)
        plugins, died = self.crew.chain.plugins, course.source_died
        return [queue_stats(member, books, plugins, source_died=died) for member, books in members]

    def _progress(self) -> tuple[int, int] | None:
        done, total = self.source.progress()
        return (done, total) if total else None

    def close(self) -> None:
        while self._books:
            self._books.pop().close()
