"""What a run was, in text: the plan before it, the summary after it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import PurePath
from typing import Any, TextIO

from zcframe.framework.stats import Ledger, QueueStats, RssInfo, RunPlan, RunResult, RunSnapshot, SourceInfo
from zcframe.framework.terminal import clean

from .notices import Notices
from .report import plugin_lines
from .text import megabits, table, wrapped

WIDTH = 100
ROWS = 24

# Columns of the ledger: always shown, or only where some queue has a number in it.
ALWAYS: dict[str, Callable[[QueueStats], int]] = {
    "packets": lambda queue: queue.packets,
    "bytes": lambda queue: queue.bytes,
    "arrived": lambda queue: queue.ledger.arrived,
    "delivered": lambda queue: queue.ledger.delivered,
    "accepted": lambda queue: queue.ledger.accepted,
}
SOMETIMES: dict[str, Callable[[QueueStats], int]] = {
    "dropped": lambda queue: queue.ledger.dropped,
    "faulted": lambda queue: queue.ledger.faulted,
    "nic_drop": lambda queue: queue.ledger.nic_drop,
    "ring_full": lambda queue: queue.ledger.ring_full,
    "in_flight": lambda queue: queue.ledger.in_flight,
    "truncated": lambda queue: queue.ledger.truncated,
    "restarts": lambda queue: queue.restarts,
}


def source_line(source: SourceInfo) -> str:
    """Kind, names, backend and link types in one line; of the bundled trace the path says nothing to anybody."""
    links = f", {', '.join(source.link_types)}" if source.link_types else ""
    names = (PurePath(name).name if source.kind == "trace" else name for name in source.names)
    return clean(f"{source.kind} {' '.join(names)} ({source.backend}{links})")


def _cpu(cpu: int | None) -> int | str:
    return "-" if cpu is None else cpu


def _queue_table(snapshot: RunSnapshot) -> list[str]:
    """A row a queue and one for all, with the columns of `ALWAYS` and those of `SOMETIMES` that hold something."""
    queues = snapshot.queues
    shown = ALWAYS | {name: of for name, of in SOMETIMES.items() if any(of(queue) for queue in queues)}
    rows: list[list[Any]] = [[snapshot.label(q), _cpu(q.cpu), *(of(q) for of in shown.values())] for q in queues]
    rows.append(["all", "", *(sum(of(queue) for queue in queues) for of in shown.values())])
    return table(["queue", "cpu", *shown], rows)


def _by_name(verb: str, counts: dict[str, int]) -> str:
    return f"{verb} by " + ", ".join(f"{clean(name)} {n:,}" for name, n in counts.items())


def _ledger_lines(ledger: Ledger) -> Iterator[str]:
    if ledger.dropped_by:
        yield _by_name("dropped", ledger.dropped_by)
    if ledger.faulted_by:
        yield _by_name("faulted", ledger.faulted_by)
    least = "at least " if ledger.at_least else ""
    yield f"lost {least}{ledger.lost:,} of {ledger.arrived:,} frames ({ledger.loss:.4%})"
    if not ledger.closes():
        yield "THE LEDGER DOES NOT CLOSE: frames are missing without a cause; this is a bug in zcframe"


def balance_line(snapshot: RunSnapshot) -> str:
    """How evenly RSS spread the packets."""
    rss = snapshot.rss
    how = f"key {rss.key_name or rss.key}, {rss.fields}"
    packets = sum(queue.packets for queue in snapshot.queues)
    return f"RSS balance {snapshot.balance:.2f} (max/mean), {how}" if packets else f"RSS {how}"


def _check_lines(rss: RssInfo) -> Iterator[str]:
    if rss.check is not None:
        wrong = rss.check.wrong_hash + rss.check.wrong_queue
        right = (
            "each with the hash and queue that Toeplitz and the table give" if not wrong else "NOT ALL OF THEM RIGHT"
        )
        yield f"RSS verified: {rss.check.frames:,} frames, {right}"


def _rate_line(result: RunSnapshot) -> str:
    totals, seconds = result.totals, result.elapsed_s
    amount = f"{totals.packets:,} packets, {totals.bytes:,} bytes in {seconds:.3f} s"
    if not seconds:
        return amount
    return f"{amount}: {totals.packets / seconds:,.0f} packets/s, {megabits(totals.bytes / seconds)} Mb/s"


def summary_lines(result: RunSnapshot, width: int = WIDTH) -> list[str]:
    """The whole summary: amounts, the ledger of each queue, balance, and each plugin's report."""
    lines = [source_line(result.source), _rate_line(result), "", *_queue_table(result)]
    lines += [*_ledger_lines(result.totals.ledger), balance_line(result), *_check_lines(result.rss)]
    for name, report in result.plugins.items():
        lines += ["", *plugin_lines(name, report, None, width, ROWS)]
    return lines


def _params(params: Mapping[str, Any]) -> str:
    return "".join(f" {name}={clean(str(value))}" for name, value in params.items())


def plan_lines(plan: RunPlan) -> list[str]:
    """What `--check` prints."""
    loop = "for ever" if plan.loop == 0 else f"{plan.loop} times" if plan.loop > 1 else "once"
    several = len(plan.source.names) > 1 and plan.source.kind == "iface"
    placed = (f"{queue.ifname + '/' if several else ''}{queue.queue}:{_cpu(queue.cpu)}" for queue in plan.queues)
    lines = [
        f"source   {source_line(plan.source)}",
        f"pace     {plan.pace}" + (f", {loop}" if plan.source.kind != "iface" else ""),
        f"queues   {len(plan.queues)}, a ring of {plan.ring_slots:,} slots each, {plan.memory / 2**20:.1f} MiB in all",
        f"rss      key {plan.rss.key_name} {plan.rss.key}",
        f"         fields {plan.rss.fields}",
    ]
    pinned = wrapped(placed, WIDTH)
    lines += [f"{'cpus' if not i else '':8} {line}" for i, line in enumerate(pinned)]
    for i, plugin in enumerate(plan.plugins):
        origin = f"  ({clean(plugin.origin)})" if plugin.origin else ""
        lines.append(f"{'plugins' if not i else '':8} {clean(plugin.name)}{_params(plugin.params)}{origin}")
    lines += [f"{'tune' if not i else '':8} {clean(str(change))}" for i, change in enumerate(plan.tuning)]
    return lines


def tick_line(snapshot: RunSnapshot) -> str:
    """The run so far in one line."""
    totals = snapshot.totals
    lost = f"lost {totals.ledger.lost:,} ({totals.ledger.loss:.2%})"
    return f"{snapshot.elapsed_s:.1f} s  {totals.packets:,} packets  {totals.bytes:,} bytes  {lost}"


class SummaryObserver:
    """The summary on stdout when the run is over; with `interval` also a line on stderr a tick."""

    def __init__(self, notices: Notices, *, interval: bool = False, stdout: TextIO | None = None) -> None:
        self._notices = notices
        self._interval = interval
        self._stdout = stdout or sys.stdout

    def preparing(self) -> None:
        """Nobody is waiting in front of a file or a pipe."""

    def started(self, plan: RunPlan) -> None:
        self._notices.plan(plan)

    def tick(self, snapshot: RunSnapshot) -> None:
        self._notices.warnings(snapshot.warnings)
        if self._interval:
            self._notices.line(tick_line(snapshot))

    def finished(self, result: RunResult) -> None:
        self._notices.warnings(result.warnings)
        _print_all(summary_lines(result), self._stdout)

    def close(self) -> None:
        """Nothing is held open."""


def _print_all(lines: Sequence[str], stream: TextIO) -> None:
    # A stream that cannot say everything (LANG=C) still says most of it.
    encoding = stream.encoding or "utf-8"
    text = "\n".join(lines).encode(encoding, "replace").decode(encoding)
    print(text, file=stream, flush=True)
