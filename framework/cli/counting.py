"""What `zcframe dump -i` says: tcpdump's lines, by an observer of the run."""

from __future__ import annotations

from zcframe.framework.stats import Observer, RunPlan, RunResult, RunSnapshot

from .counts import count_lines, say, source_line


class Counts(Observer):
    """The closing lines, at the end and when somebody asks."""

    title = "the counts"

    def started(self, plan: RunPlan) -> None:
        say(source_line(plan.source.kind, plan.source.names, plan.source.link_types))

    def asked(self, snapshot: RunSnapshot) -> None:
        shares = [share for output in snapshot.outputs for share in output.shares]
        written, lost = sum(share.written for share in shares), sum(share.lost for share in shares)
        say(*count_lines(written, snapshot.totals.ledger.accepted, snapshot.lost + lost))

    def finished(self, result: RunResult) -> None:
        self.asked(result.last)
