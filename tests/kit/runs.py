"""Runs that never were, for tests of what shows them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from zcframe.framework.config import RunConfig
from zcframe.framework.nic import Change
from zcframe.framework.stats import (
    Ledger,
    Observer,
    PluginPlan,
    QueuePlan,
    QueueStats,
    RssInfo,
    RunPlan,
    RunResult,
    RunSnapshot,
    SourceInfo,
)

RSS = RssInfo(key="6d5a" * 20, fields="5-tuple", reta=tuple(i % 8 for i in range(128)), key_name="symmetric")
TRACE = SourceInfo("trace", ("bundled",), "soft82576", ("ETHERNET",))
FILE = SourceInfo("file", ("a.pcap",), "soft82576", ("ETHERNET", "LINUX_SLL"))

FLOW = {"src": "10.0.0.1", "dst": "10.0.0.2", "sport": 40000, "dport": 443, "proto": 6, "packets": 17, "bytes": 12345}
REPORTS: dict[str, dict[str, Any]] = {
    "flows": {"count": 3, "packets": 5_000, "bytes": 4_000_000, "lost": 0, "top": [FLOW] * 12},
    "sizes": {"histogram": {"0-63": 0, "64-127": 3_000, "128-255": 1_500, "256-511": 500}},
}


def queue_stats(queue: int, packets: int = 1000, *, ring_full: int = 0, restarts: int = 0) -> QueueStats:
    return QueueStats(
        queue=queue,
        cpu=queue % 2,
        pid=4000 + queue,
        restarts=restarts,
        packets=packets,
        bytes=packets * 800,
        ring_fill=0.5,
        ledger=Ledger(arrived=packets + ring_full, delivered=packets, accepted=packets, ring_full=ring_full),
        worker=queue,
    )


def queues(number: int = 8, **more: Any) -> list[QueueStats]:
    return [queue_stats(queue, 1000 * (queue + 1), **more) for queue in range(number)]


def plan(
    source: SourceInfo = TRACE, *, loop: int = 0, tuning: tuple[Change, ...] = (), warnings: tuple[str, ...] = ()
) -> RunPlan:
    return RunPlan(
        source=source,
        rss=RSS,
        queues=tuple(QueuePlan(queue, queue % 2, worker=queue) for queue in range(8)),
        plugins=(PluginPlan("flows", {"top": 20}, "zcframe.plugins.flows"), PluginPlan("sizes")),
        pace="100,000 packets a second",
        loop=loop,
        ring_slots=4096,
        memory=8 * 4096 * 2080,
        tuning=tuning,
        warnings=warnings,
    )


def snapshot(number: int = 8, elapsed_s: float = 2.0, **more: Any) -> RunSnapshot:
    given = {"queues": queues(number), "plugins": REPORTS} | more
    return RunSnapshot(source=FILE, elapsed_s=elapsed_s, rss=RSS, **given)


def result(number: int = 8, *, exit_code: int = 0, error: str = "", details: str = "", **more: Any) -> RunResult:
    return RunResult(snapshot(number, **more), exit_code, error, details)


class Supervisor:
    """In place of the real one: tells the observer a plan, ticks and a result, and keeps the configuration."""

    def __init__(
        self,
        outcome: RunResult | Callable[[], RunResult],
        ticks: Sequence[RunSnapshot] = (),
        found: RunPlan | None = None,
    ) -> None:
        self.outcome = outcome
        self.ticks = ticks
        self.found = found or plan(FILE, loop=1)
        self.config: RunConfig | None = None

    def plan(self, config: RunConfig) -> RunPlan:
        self.config = config
        return self.found

    def run(self, config: RunConfig, observer: Observer, control: object = None) -> RunResult:
        self.config = config
        observer.started(self.found)
        for tick in self.ticks:
            observer.tick(tick)
        found = self.outcome if isinstance(self.outcome, RunResult) else self.outcome()
        observer.finished(found)
        return found
