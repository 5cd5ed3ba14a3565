"""The summary of a run in text, and its one line a tick."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import PurePath
from typing import TextIO

from zcframe.framework.stats import Observer, QueuePlan, QueueStats, RssInfo, RunResult, RunSnapshot, SourceInfo
from zcframe.framework.stats.ledger import SHOWN, SHOWN_IF_ANY
from zcframe.framework.terminal import clean

from .report import plugin_lines
from .text import megabits, table

WIDTH = 100
ROWS = 24
ALWAYS = ("packets", "bytes", *SHOWN)
COLUMNS = (*ALWAYS, *SHOWN_IF_ANY, "restarts")


def source_line(source: SourceInfo) -> str:
    """Kind, names, backend and link types in one line; the bundled trace without its path."""
    links = f", {', '.join(source.link_types)}" if source.link_types else ""
    names = (PurePath(name).name if source.kind == "trace" else name for name in source.names)
    return clean(f"{source.kind} {' '.join(names)} ({source.backend}{links})")


def queue_label(source: SourceInfo, queue: QueueStats | QueuePlan) -> str:
    """The queue's number, with its interface in front where there are several."""
    several = len(source.names) > 1 and source.kind == "iface"
    return f"{queue.ifname}/{queue.queue}" if several else str(queue.queue)


def cpu_cell(cpu: int | None) -> int | str:
    return "-" if cpu is None else cpu


def _counts(queue: QueueStats) -> dict[str, int]:
    """The columns of a queue's row: traffic, the ledger, restarts."""
    rows = {name: int(getattr(queue.ledger, name)) for name in (*SHOWN, *SHOWN_IF_ANY)}
    return {"packets": queue.packets, "bytes": queue.bytes, **rows, "restarts": queue.restarts}


def _queue_table(snapshot: RunSnapshot) -> list[str]:
    """A row a queue and one for all; of the rare columns those that hold something."""
    counts = [_counts(queue) for queue in snapshot.queues]
    totals = {name: sum(row[name] for row in counts) for name in COLUMNS}
    shown = [name for name, total in totals.items() if total or name in ALWAYS]
    places = [(queue_label(snapshot.source, queue), cpu_cell(queue.cpu)) for queue in snapshot.queues]
    rows = [[*place, *(row[name] for name in shown)] for place, row in zip(places, counts, strict=True)]
    return table(["queue", "cpu", *shown], [*rows, ["all", "", *(totals[name] for name in shown)]])


def _by_name(verb: str, counts: dict[str, int]) -> str:
    return f"{verb} by " + ", ".join(f"{clean(name)} {n:,}" for name, n in counts.items())


def _lost_line(snapshot: RunSnapshot) -> str:
    ledger = snapshot.totals.ledger
    least = "at least " if ledger.at_least else ""
    line = f"lost {least}{snapshot.lost:,} of {ledger.arrived:,} frames ({snapshot.loss:.4%})"
    left = ledger.in_flight if snapshot.final else 0
    return f"{line}, {left:,} of them in flight when the run ended" if left else line


def _ledger_lines(snapshot: RunSnapshot) -> Iterator[str]:
    ledger = snapshot.totals.ledger
    if ledger.dropped_by:
        yield _by_name("dropped", ledger.dropped_by)
    if ledger.faulted_by:
        yield _by_name("faulted", ledger.faulted_by)
    yield _lost_line(snapshot)
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


def _rate_line(last: RunSnapshot) -> str:
    totals, seconds = last.totals, last.elapsed_s
    amount = f"{totals.packets:,} packets, {totals.bytes:,} bytes in {seconds:.3f} s"
    if not seconds:
        return amount
    return f"{amount}: {totals.packets / seconds:,.0f} packets/s, {megabits(totals.bytes / seconds)} Mb/s"


def counter_lines(snapshot: RunSnapshot) -> list[str]:
    """The summary without the plugins' reports."""
    lines = [source_line(snapshot.source), _rate_line(snapshot), "", *_queue_table(snapshot)]
    return [*lines, *_ledger_lines(snapshot), balance_line(snapshot), *_check_lines(snapshot.rss)]


def summary_lines(last: RunSnapshot, width: int = WIDTH) -> list[str]:
    """The whole summary: amounts, the ledger of each queue, balance, and each plugin's report."""
    lines = counter_lines(last)
    for name, report in last.plugins.items():
        lines += ["", *plugin_lines(name, report, None, width, ROWS)]
    return lines


def tick_line(snapshot: RunSnapshot) -> str:
    """The run so far in one line."""
    totals = snapshot.totals
    lost = f"lost {totals.ledger.lost:,} ({totals.ledger.loss:.2%})"
    return f"{snapshot.elapsed_s:.1f} s  {totals.packets:,} packets  {totals.bytes:,} bytes  {lost}"


class SummaryObserver(Observer):
    """The summary on stdout when the run is over; without the plugins' reports on stderr, when somebody asks for it."""

    def __init__(self, stdout: TextIO | None = None) -> None:
        self._stdout = stdout or sys.stdout

    def asked(self, snapshot: RunSnapshot) -> None:
        _print_all(counter_lines(snapshot), sys.stderr)

    def finished(self, result: RunResult) -> None:
        _print_all(summary_lines(result.last), self._stdout)


class TickObserver(Observer):
    """A line on stderr a tick."""

    def tick(self, snapshot: RunSnapshot) -> None:
        print(tick_line(snapshot), file=sys.stderr, flush=True)


def _print_all(lines: Sequence[str], stream: TextIO) -> None:
    # Characters that the stream cannot encode (LANG=C) are replaced.
    encoding = stream.encoding or "utf-8"
    text = "\n".join(lines).encode(encoding, "replace").decode(encoding)
    print(text, file=stream, flush=True)
