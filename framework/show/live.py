"""The live view: a row a queue, the balance of RSS, the plugins' own lines; drawn by the supervisor's own ticks.

rich's refresh thread stays off: workers are forked during the run, which is safe only in a process without threads.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from rich.console import Console, Group, RenderableType
from rich.control import Control
from rich.live import Live
from rich.segment import ControlType
from rich.style import Style
from rich.table import Table
from rich.text import Text

from zcframe.framework.stats import Observer, QueueStats, RunPlan, RunResult, RunSnapshot

from .report import plugin_lines
from .summary import cpu_cell, queue_label, source_line
from .text import bar, columns, cut, megabits

COLUMNS = ("queue", "CPU", "pid", "pps", "Mb/s", "ring", "drops", "restarts")
# Where the terminal is too narrow for all columns, these are left out, in this order. Drops and restarts are also told
# by the summary, restarts by a warning, too.
DROPPED_FIRST = ("pid", "CPU", "restarts", "Mb/s", "ring", "drops")
GAP = 2
FILL_WIDTH = 10
PROGRESS_WIDTH = 40
SOURCE_WIDTH = 16
PLUGIN_ROWS = 8
HIGH_FILL = 0.75
PREPARING = "zcframe: starting; the first start compiles the plugins, for some seconds"

HEAD = Style(bold=True)
DIM = Style(dim=True)
GOOD = Style(color="green")
BAD = Style(color="red", bold=True)


class Rates:
    """Packets and bytes a second of each queue, from one tick to the next."""

    def __init__(self) -> None:
        self._last: dict[tuple[str, int], tuple[float, int, int]] = {}
        self._rates: dict[tuple[str, int], tuple[float, float]] = {}

    def update(self, snapshot: RunSnapshot) -> None:
        for queue in snapshot.queues:
            place = queue.ifname, queue.queue
            then, packets, octets = self._last.get(place, (0.0, 0, 0))
            seconds = snapshot.elapsed_s - then
            if seconds > 0:
                self._rates[place] = (queue.packets - packets) / seconds, (queue.bytes - octets) / seconds
                self._last[place] = snapshot.elapsed_s, queue.packets, queue.bytes

    def of(self, queue: QueueStats) -> tuple[float, float]:
        return self._rates.get((queue.ifname, queue.queue), (0.0, 0.0))

    def total(self) -> tuple[float, float]:
        return sum(r[0] for r in self._rates.values()), sum(r[1] for r in self._rates.values())


def _drops(count: int) -> Text:
    return Text(f"{count:,}", BAD if count else DIM)


def _fill(queue: QueueStats) -> Text:
    fill = Text(bar(queue.ring_fill, FILL_WIDTH), BAD if queue.ring_fill > HIGH_FILL else GOOD)
    return fill.append(f" {queue.ring_fill:4.0%}", DIM)


def _queue_cells(label: str, queue: QueueStats, rates: Rates) -> list[Text]:
    """A cell for each of COLUMNS."""
    packets, octets = rates.of(queue)
    return [
        Text(label),
        Text(str(cpu_cell(queue.cpu))),
        Text(str(queue.pid)),
        Text(f"{packets:,.0f}"),
        Text(megabits(octets)),
        _fill(queue),
        _drops(queue.ledger.lost),
        _drops(queue.restarts),
    ]


def _total_cells(snapshot: RunSnapshot, rates: Rates) -> list[Text]:
    totals, (packets, octets) = snapshot.totals, rates.total()
    rate, bits = Text(f"{packets:,.0f}"), Text(megabits(octets))
    none = Text("")
    return [Text("all"), none, none, rate, bits, none, _drops(totals.ledger.lost), _drops(totals.restarts)]


def _fitting(rows: Sequence[Sequence[Text]], width: int) -> list[int]:
    """Numbers of the columns that fit into `width`, those of DROPPED_FIRST left out one by one until the rest does."""
    shown = list(range(len(COLUMNS)))
    needed = [max(len(COLUMNS[i]), *(row[i].cell_len for row in rows)) + GAP for i in shown]
    for name in DROPPED_FIRST:
        if sum(needed[i] for i in shown) - GAP <= width:
            break
        shown.remove(COLUMNS.index(name))
    return shown


def _queue_table(snapshot: RunSnapshot, rates: Rates, width: int) -> Table:
    rows = [_queue_cells(queue_label(snapshot.source, queue), queue, rates) for queue in snapshot.queues]
    total = _total_cells(snapshot, rates)
    shown = _fitting([*rows, total], width)
    grid = Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0), header_style=HEAD, show_footer=False)
    for i in shown:
        grid.add_column(COLUMNS[i], justify="left" if COLUMNS[i] == "ring" else "right", no_wrap=True)
    for row in rows:
        grid.add_row(*(row[i] for i in shown))
    grid.add_row(*(total[i] for i in shown), style=HEAD)
    return grid


def _balance(snapshot: RunSnapshot, width: int) -> Text:
    """The balance and a column a queue; how RSS spreads is said where there is room for it."""
    packets = [queue.packets for queue in snapshot.queues]
    if not any(packets):
        return Text("RSS balance: no packets yet", DIM)
    line = Text("RSS balance ", HEAD)
    line.append(f"{snapshot.balance:.2f} ")
    unit, bars = "max/mean ", columns(packets)
    if line.cell_len + len(unit) + len(bars) <= width:
        line.append(unit)
    line.append(bars, GOOD)
    how = f"  {snapshot.rss.key_name or 'own'} key, {snapshot.rss.fields}"
    return line.append(how, DIM) if line.cell_len + len(how) <= width else line


def _headline(snapshot: RunSnapshot, width: int) -> Text:
    totals = snapshot.totals
    left, right = "zcframe", f"  {snapshot.elapsed_s:6.1f} s  {totals.packets:,} packets"
    source = f"  {source_line(snapshot.source)}"
    room = width - len(left) - len(right)
    # A shorter piece would say nothing.
    if room >= min(len(source), SOURCE_WIDTH):
        left += cut(source, room)
    return Text(left + right, HEAD)


def _progress(done: int, whole: int, width: int) -> Text:
    """The part of the files that was read; the bar takes what room the figures leave."""
    part = done / whole
    figures = f" {part:4.0%}  {done / 2**20:,.1f} of {whole / 2**20:,.1f} MiB"
    line = Text("read  ")
    line.append(bar(part, min(PROGRESS_WIDTH, max(width - line.cell_len - len(figures), 0))), GOOD)
    return line.append(figures, DIM)


def _plugin_block(snapshot: RunSnapshot, width: int, room: int) -> list[Text]:
    """All plugins' lines in `room` lines. Each gets its share; lines that one does not need go to the next."""
    blocks: list[Text] = []
    names = list(snapshot.plugins)
    for i, name in enumerate(names):
        share = (room - len(blocks)) // (len(names) - i)
        lines = plugin_lines(name, snapshot.plugins[name], snapshot.lines.get(name), width, PLUGIN_ROWS)
        blocks += [Text(line, Style.null() if at else HEAD) for at, line in enumerate(lines[: max(share, 0)])]
    return blocks


def view(snapshot: RunSnapshot, rates: Rates, width: int, height: int) -> Group:
    """The whole view, at most `height - 1` lines: the terminal's last one is left to the cursor."""
    parts: list[RenderableType] = [_headline(snapshot, width)]
    if snapshot.progress and snapshot.progress[1]:
        parts.append(_progress(*snapshot.progress, width))
    parts.append(_queue_table(snapshot, rates, width))
    parts.append(_balance(snapshot, width))
    used = len(parts) - 1 + len(snapshot.queues) + 2
    parts += _plugin_block(snapshot, width, height - 1 - used)
    return Group(*parts)


class LiveObserver(Observer):
    """The live view on a terminal; it goes when the run is over, and leaves its place to the summary."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(highlight=False)
        self._rates = Rates()
        self._waiting = False
        self._live = Live(
            console=self._console,
            auto_refresh=False,
            transient=True,
            redirect_stderr=sys.stderr.isatty(),
            vertical_overflow="crop",
        )

    def preparing(self) -> None:
        self._console.print(PREPARING, end="", style=DIM)
        self._waiting = True

    def started(self, plan: RunPlan) -> None:
        self._wipe()
        self._live.start()

    def tick(self, snapshot: RunSnapshot) -> None:
        self._rates.update(snapshot)
        size = self._console.size
        self._live.update(view(snapshot, self._rates, size.width, size.height), refresh=True)

    def finished(self, result: RunResult) -> None:
        self.close()

    def close(self) -> None:
        """Give the terminal back as it was."""
        self._wipe()
        self._live.stop()

    def _wipe(self) -> None:
        """Take the line of `preparing` off the screen."""
        if self._waiting:
            self._console.control(Control((ControlType.ERASE_IN_LINE, 2), ControlType.CARRIAGE_RETURN))
            self._waiting = False
