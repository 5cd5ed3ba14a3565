"""The summary of a run in text, and its one line a tick."""

from __future__ import annotations

import os
import sys
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from pathlib import PurePath
from typing import TextIO

from zcframe.framework.clock import local
from zcframe.framework.outputs.writing import hand_over
from zcframe.framework.stats import Fault, Observer, QueuePlan, QueueStats, RssInfo, RunResult, RunSnapshot, SourceInfo
from zcframe.framework.stats.ethertypes import ethertype_name
from zcframe.framework.stats.ledger import SHOWN, SHOWN_IF_ANY
from zcframe.framework.terminal import clean

from .report import plugin_lines
from .text import fitting, megabits, number, table, wrapped

WIDTH = 100
# Below this a text is not folded any further.
NARROWEST = 20
ROWS = 24
# Reasons of faults.
FAULTS = 8
ALWAYS = ("packets", "bytes", *SHOWN)
COLUMNS = (*ALWAYS, *SHOWN_IF_ANY, "restarts")
OUTPUT_ALWAYS = ("output", "offered", "written", "bytes")
RECORDS_ALWAYS = ("records", "made", "written")
# Where the terminal is too narrow for all columns, these are left out, in this order: sums of others come first.
DROPPED_FIRST = ("accepted", "delivered", "bytes", "cpu", "arrived", "restarts", "truncated", "dropped", "faulted")


def source_line(source: SourceInfo) -> str:
    """Kind, names, backend and link types in one line; the bundled trace without its path."""
    links = f", {', '.join(source.link_types)}" if source.link_types else ""
    names = (PurePath(name).name if source.kind == "trace" else name for name in source.names)
    return clean(f"{source.kind} {' '.join(names)} ({source.backend}{links})")


def queue_label(source: SourceInfo, queue: QueueStats | QueuePlan) -> str:
    """The queue's number, with its interface in front where there are several."""
    several = len(source.names) > 1 and source.kind == "iface"
    return f"{queue.ifname}/{queue.queue}" if several else str(queue.queue)


def shares_queues(snapshot: RunSnapshot) -> bool:
    """Whether several workers read one queue, so that only their numbers tell them apart."""
    return len({(queue.ifname, queue.queue) for queue in snapshot.queues}) < len(snapshot.queues)


def cpu_cell(cpu: int | None) -> int | str:
    return "-" if cpu is None else cpu


def _counts(queue: QueueStats) -> dict[str, int]:
    """The columns of a queue's row: traffic, the ledger, restarts."""
    rows = {name: int(getattr(queue.ledger, name)) for name in (*SHOWN, *SHOWN_IF_ANY)}
    return {"packets": queue.packets, "bytes": queue.bytes, **rows, "restarts": queue.restarts}


def _place(source: SourceInfo, queue: QueueStats) -> dict[str, int | str]:
    """The columns that say whose row it is."""
    return {"queue": queue_label(source, queue), "worker": queue.worker, "cpu": cpu_cell(queue.cpu)}


def _queue_table(snapshot: RunSnapshot, width: int) -> list[str]:
    """A row a worker and one for all; of the rare columns those that hold something."""
    counts = [_counts(queue) for queue in snapshot.queues]
    totals = {name: sum(row[name] for row in counts) for name in COLUMNS}
    places = [_place(snapshot.source, queue) for queue in snapshot.queues]
    rows = [{**place, **row} for place, row in zip(places, counts, strict=True)]
    rows.append({"queue": "all", "worker": "", "cpu": "", **totals})
    names = ["queue", "worker", "cpu", *(name for name, total in totals.items() if total or name in ALWAYS)]
    widths = {name: max(len(name), *(len(number(row[name])) for row in rows)) for name in names}
    tells = () if shares_queues(snapshot) else ("worker",)
    shown = fitting(widths, (*tells, *DROPPED_FIRST), width)
    return table(shown, [[row[name] for name in shown] for row in rows])


def _by_name(verb: str, counts: dict[str, int]) -> str:
    return f"{verb} by " + ", ".join(f"{clean(name)} {n:,}" for name, n in counts.items())


def _lost_line(snapshot: RunSnapshot) -> str:
    ledger = snapshot.totals.ledger
    least = "at least " if ledger.at_least else ""
    line = f"lost {least}{snapshot.lost:,} of {ledger.arrived:,} frames ({snapshot.loss:.4%})"
    left = ledger.in_flight if snapshot.final else 0
    return f"{line}, {left:,} of them in flight when the run ended" if left else line


def _fault_lines(faults: Sequence[Fault]) -> Iterator[str]:
    """What plugins raised, the most frequent first."""
    for fault in faults[:FAULTS]:
        first = fault.first
        ends = f", {clean(first.source)} to {clean(first.destination)}" if first.source else ""
        packets = f"{fault.packets:,} packet{'s' if fault.packets > 1 else ''}"
        yield (
            f"  {clean(fault.plugin)}: {clean(fault.reason)}: {packets}, first packet {first.number:,} of worker"
            f" {first.worker}, {first.length:,} bytes{ends}"
        )
    if len(faults) > FAULTS:
        yield f"  and {len(faults) - FAULTS} other reasons"


def hex_lines(faults: Sequence[Fault]) -> Iterator[str]:
    """The first bytes of each fault's first packet, as text2pcap reads them."""
    for fault in faults[:FAULTS]:
        frame = fault.first.frame
        kept = f"{len(frame):,} of {fault.first.length:,} bytes"
        yield from ("", f"# {clean(fault.plugin)}: {clean(fault.reason)}: first packet, {kept}")
        yield from (f"{at:06x}  {frame[at : at + 16].hex(' ')}" for at in range(0, len(frame), 16))


def _ledger_lines(snapshot: RunSnapshot) -> Iterator[str]:
    ledger = snapshot.totals.ledger
    if ledger.dropped_by:
        yield _by_name("dropped", ledger.dropped_by)
    if ledger.faulted_by:
        yield _by_name("faulted", ledger.faulted_by)
        yield from _fault_lines(snapshot.faults)
    yield _lost_line(snapshot)
    if not ledger.closes() or not all(share.closes() for output in snapshot.outputs for share in output.shares):
        yield "THE LEDGER DOES NOT CLOSE: frames are missing without a cause; this is a bug in zcframe"


def output_rows(snapshot: RunSnapshot) -> list[dict[str, int | str]]:
    """A row a share of each output: where it goes, and its ledger."""
    return [
        {
            "output": clean(f"{output.kind}:{share.target}"),
            "offered": share.offered,
            "written": share.written,
            "bytes": share.bytes,
            "in_flight": share.in_flight,
            "late": share.late,
            **share.dropped,
            **{f"shed_{reason}": frames for reason, frames in share.shed.items()},
            **({"one_sided": f"{share.one_sided_ratio:.1%}"} if share.one_sided_ratio is not None else {}),
        }
        for output in snapshot.outputs
        for share in output.shares
    ]


def _output_table(snapshot: RunSnapshot, width: int) -> list[str]:
    """The outputs' rows; of the rare columns those that hold something."""
    return [*_table_of(output_rows(snapshot), OUTPUT_ALWAYS, width), *_reader_lines(snapshot)]


def _table_of(rows: Sequence[dict[str, int | str]], always: Sequence[str], width: int) -> list[str]:
    if not rows:
        return []
    names = list(dict.fromkeys(name for row in rows for name, value in row.items() if value or name in always))
    return ["", *table(names, [[row.get(name, 0) for name in names] for row in rows], width)]


def record_rows(snapshot: RunSnapshot) -> list[dict[str, int | str]]:
    """A row a kind of record and output for rows: where they go, and their ledger."""
    return [
        {
            "records": clean(row.name),
            "to": clean(rows.spec),
            "made": row.made,
            "written": row.written,
            "cut": row.cut,
            "in_flight": row.in_flight,
            **row.dropped,
        }
        for rows in snapshot.rows
        for row in rows.records
    ]


def _record_table(snapshot: RunSnapshot, width: int) -> list[str]:
    """The records' rows; of the rare columns those that hold something."""
    return _table_of(record_rows(snapshot), RECORDS_ALWAYS, width)


def _reader_lines(snapshot: RunSnapshot) -> Iterator[str]:
    """Programs that read a ring."""
    for share in (share for output in snapshot.outputs for share in output.shares):
        for row in share.consumers:
            counts = f"{row.read:,} read, {row.lost:,} lost, {row.unread:,} unread"
            yield clean(f"{share.target}: {row.name} (pid {row.pid}) {row.state}: {counts}")


def _no_ip_lines(last: RunSnapshot) -> Iterator[str]:
    """What flows and hosts cannot hold, where there was any: packets without IP, as far as IP was looked for."""
    found = last.no_ip
    if found.packets:
        kinds = [f"{ethertype_name(key)} {packets:,}" for key, packets in found.by_key().items()]
        yield from wrapped([f"no IP in {found.packets:,} packets:", *kinds], WIDTH)


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


def _odd_lines(source: SourceInfo) -> Iterator[str]:
    if source.passed_over:
        counts = ", ".join(f"{count:,} of {clean(name)}" for name, count in source.passed_over.items())
        yield f"passed over, as their link types are not read: {counts}"


def _rate_line(last: RunSnapshot) -> str:
    totals, seconds = last.totals, last.elapsed_s
    amount = f"{totals.packets:,} packets, {totals.bytes:,} bytes in {seconds:.3f} s"
    if not seconds:
        return amount
    return f"{amount}: {totals.packets / seconds:,.0f} packets/s, {megabits(totals.bytes / seconds)} Mb/s"


def _time_lines(last: RunSnapshot) -> Iterator[str]:
    if last.started and last.ended:
        yield f"started {local(last.started)}, ended {local(last.ended)}"


def _folded(lines: Iterable[str], width: int) -> list[str]:
    """Lines of text at most `width` wide, unless that is what they have anyway: what is folded goes on indented."""
    if width >= WIDTH:
        return list(lines)
    return [part for line in lines for part in textwrap.wrap(line, max(width, NARROWEST), subsequent_indent="  ")]


def counter_lines(snapshot: RunSnapshot, width: int = WIDTH) -> list[str]:
    """The summary without the plugins' reports."""
    filtered = [f"filter {clean(snapshot.filter)}"] if snapshot.filter else []
    lines = _folded([source_line(snapshot.source), *filtered, *_time_lines(snapshot), _rate_line(snapshot)], width)
    lines += ["", *_queue_table(snapshot, width)]
    lines += [*_output_table(snapshot, width), *_record_table(snapshot, width)]
    told = [*_ledger_lines(snapshot), *_no_ip_lines(snapshot), *_odd_lines(snapshot.source)]
    told += [balance_line(snapshot), *_check_lines(snapshot.rss)]
    return lines + _folded(told, width)


def summary_lines(last: RunSnapshot, width: int = WIDTH) -> list[str]:
    """The whole summary: amounts, the ledger of each worker, balance, and each plugin's report."""
    lines = counter_lines(last, width)
    for name, report in last.plugins.items():
        lines += ["", *plugin_lines(name, report, None, width, ROWS)]
    return lines


def tick_line(snapshot: RunSnapshot) -> str:
    """The run so far in one line."""
    totals = snapshot.totals
    lost = f"lost {totals.ledger.lost:,} ({totals.ledger.loss:.2%})"
    time = f"{local(snapshot.at)}  " if snapshot.at else ""
    return f"{time}{snapshot.elapsed_s:.1f} s  {totals.packets:,} packets  {totals.bytes:,} bytes  {lost}"


class SummaryObserver(Observer):
    """The summary on stdout when the run is over; without the plugins' reports on stderr, when somebody asks for it."""

    def __init__(self, stdout: TextIO | None = None, *, verbose: bool = False) -> None:
        """verbose: with the first packet of each fault in hex."""
        self._stdout, self._verbose = stdout or sys.stdout, verbose

    def asked(self, snapshot: RunSnapshot) -> None:
        print("\n".join(counter_lines(snapshot, _width_of(sys.stderr))), file=sys.stderr, flush=True)

    def finished(self, result: RunResult) -> None:
        lines = summary_lines(result.last, _width_of(self._stdout))
        if self._verbose:
            lines += hex_lines(result.last.faults)
        text = "\n".join(lines)
        hand_over(f"{text}\n", self._stdout, "the summary", wanted=False)


class TickObserver(Observer):
    """A line on stderr a tick."""

    title = "the lines of --stats-interval"

    def tick(self, snapshot: RunSnapshot) -> None:
        print(tick_line(snapshot), file=sys.stderr, flush=True)


def _width_of(stream: TextIO) -> int:
    """Columns of the terminal, WIDTH at most; without a terminal WIDTH."""
    try:
        return min(os.get_terminal_size(stream.fileno()).columns or WIDTH, WIDTH) if stream.isatty() else WIDTH
    except (OSError, ValueError):
        return WIDTH
