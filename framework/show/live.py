"""The live view: a row a queue, the balance of RSS, the plugins' own lines; drawn by the supervisor's own ticks.

rich's refresh thread stays off: workers are forked during the run, which is safe only in a process without threads.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from typing import TextIO, cast

from rich.console import Console, Group, RenderableType
from rich.control import Control
from rich.live import Live
from rich.segment import ControlType
from rich.style import Style
from rich.table import Table
from rich.text import Text

from zcframe.framework.stats import Observer, QueueStats, RunPlan, RunResult, RunSnapshot
from zcframe.framework.streams import Outlet, Voice

from .notices import compiling_line
from .report import plugin_lines
from .summary import cpu_cell, queue_label, shares_queues, source_line
from .text import bar, columns, cut, fitting, megabits

COLUMNS = ("queue", "CPU", "pid", "worker", "pps", "Mb/s", "ring", "drops", "restarts")
# Where the terminal is too narrow for all columns, these are left out, in this order. Drops and restarts are also told
# by the summary, restarts by a warning, too. One of queue and worker stays: the worker where several share a queue.
DROPPED_FIRST = ("worker", "pid", "CPU", "restarts", "Mb/s", "ring", "drops")
DROPPED_IF_SHARED = ("pid", "CPU", "restarts", "Mb/s", "queue", "ring", "drops")
GAP = 2
FILL_WIDTH = 10
PROGRESS_WIDTH = 40
SOURCE_WIDTH = 16
PLUGIN_ROWS = 8
HIGH_FILL = 0.75
PREPARING = "starting"

HEAD = Style(bold=True)
DIM = Style(dim=True)
GOOD = Style(color="green")
BAD = Style(color="red", bold=True)


class Rates:
    """Packets and bytes a second of each worker, from one tick to the next."""

    def __init__(self) -> None:
        self._last: dict[tuple[str, int, int], tuple[float, int, int]] = {}
        self._rates: dict[tuple[str, int, int], tuple[float, float]] = {}

    def update(self, snapshot: RunSnapshot) -> None:
        for queue in snapshot.queues:
            place = queue.place
            then, packets, octets = self._last.get(place, (0.0, 0, 0))
            seconds = snapshot.elapsed_s - then
            if seconds > 0:
                self._rates[place] = (queue.packets - packets) / seconds, (queue.bytes - octets) / seconds
                self._last[place] = snapshot.elapsed_s, queue.packets, queue.bytes

    def of(self, queue: QueueStats) -> tuple[float, float]:
        return self._rates.get(queue.place, (0.0, 0.0))

    def total(self) -> tuple[float, float]:
        return sum(r[0] for r in self._rates.values()), sum(r[1] for r in self._rates.values())


def _drops(count: int) -> Text:
    return Text(f"{count:,}", BAD if count else DIM)


def _fill(queue: QueueStats) -> Text:
    fill = Text(bar(queue.ring_fill, FILL_WIDTH), BAD if queue.ring_fill > HIGH_FILL else GOOD)
    return fill.append(f" {queue.ring_fill:4.0%}", DIM)


def _queue_cells(label: str, queue: QueueStats, rates: Rates) -> dict[str, Text]:
    """A cell for each of COLUMNS."""
    packets, octets = rates.of(queue)
    return {
        "queue": Text(label),
        "CPU": Text(str(cpu_cell(queue.cpu))),
        "pid": Text(str(queue.pid)),
        "worker": Text(str(queue.worker)),
        "pps": Text(f"{packets:,.0f}"),
        "Mb/s": Text(megabits(octets)),
        "ring": _fill(queue),
        "drops": _drops(queue.ledger.lost),
        "restarts": _drops(queue.restarts),
    }


def _total_cells(snapshot: RunSnapshot, rates: Rates) -> dict[str, Text]:
    """Those of the last row; the first column that is shown says that it is for all."""
    totals, (packets, octets) = snapshot.totals, rates.total()
    cells = dict.fromkeys(COLUMNS, Text(""))
    cells |= {"pps": Text(f"{packets:,.0f}"), "Mb/s": Text(megabits(octets))}
    return cells | {"drops": _drops(totals.ledger.lost), "restarts": _drops(totals.restarts)}


def _fitting(rows: Sequence[Mapping[str, Text]], *, shared: bool, width: int) -> list[str]:
    """The columns that fit into `width`. shared: whether workers share a queue."""
    needed = {name: max(len(name), *(row[name].cell_len for row in rows)) for name in COLUMNS}
    return fitting(needed, DROPPED_IF_SHARED if shared else DROPPED_FIRST, width, GAP)


def _cut_first(rows: Sequence[dict[str, Text]], shown: Sequence[str], width: int) -> None:
    """Where even the last columns do not fit, cut the first one's names, whose ends tell them apart; figures stay."""
    first, *rest = shown
    others = sum(max(len(name), *(row[name].cell_len for row in rows)) + GAP for name in rest)
    room = max(width - others, 1)
    for row in rows:
        name = row[first].plain
        row[first] = Text(name if len(name) <= room else "…" + name[len(name) - room + 1 :])


def _queue_table(snapshot: RunSnapshot, rates: Rates, width: int) -> Table:
    rows = [_queue_cells(queue_label(snapshot.source, queue), queue, rates) for queue in snapshot.queues]
    total = _total_cells(snapshot, rates)
    shown = _fitting([*rows, total], shared=shares_queues(snapshot), width=width)
    total[shown[0]] = Text("all")
    _cut_first(rows, shown, width)
    grid = Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0), header_style=HEAD, show_footer=False)
    for name in shown:
        grid.add_column(name, justify="left" if name == "ring" else "right", no_wrap=True)
    for row in rows:
        grid.add_row(*(row[name] for name in shown))
    grid.add_row(*(total[name] for name in shown), style=HEAD)
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


def _output_lines(snapshot: RunSnapshot, width: int) -> list[Text]:
    """A line a share of each output; red where frames were dropped."""
    lines = []
    for output in snapshot.outputs:
        for share in output.shares:
            dropped = "".join(f"  {name} {count:,}" for name, count in share.dropped.items())
            shed = "".join(f"  shed {name} {count:,}" for name, count in share.shed.items())
            sided = f"  one-sided {share.one_sided_ratio:.1%}" if share.one_sided_ratio is not None else ""
            figures = f"  {share.written:,} of {share.offered:,} frames{dropped}{shed}{sided}"
            name = f"{output.kind}:{share.target}"
            lines.append(Text(cut(name, max(width - len(figures), 1)) + figures, BAD if dropped else Style.null()))
    return lines


def _record_lines(snapshot: RunSnapshot, width: int) -> list[Text]:
    """A line a kind of record and output for rows; red where records that somebody asked for were dropped."""
    lines = []
    for rows in snapshot.rows:
        for row in rows.records:
            dropped = "".join(f"  {name} {count:,}" for name, count in row.dropped.items())
            figures = f"  {row.written:,} of {row.made:,} records{dropped}"
            name = f"{row.name} {rows.spec}"
            lost = bool(dropped and rows.spec)
            lines.append(Text(cut(name, max(width - len(figures), 1)) + figures, BAD if lost else Style.null()))
    return lines


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
    parts += [*_output_lines(snapshot, width), *_record_lines(snapshot, width)]
    used = len(parts) - 1 + len(snapshot.queues) + 2
    parts += _plugin_block(snapshot, width, height - 1 - used)
    return Group(*parts)


def fits(stream: TextIO) -> bool:
    """Whether a live view can be drawn there: on a terminal that moves its cursor by ANSI's sequences."""
    term = os.environ.get("TERM", "")
    return stream.isatty() and term not in ("", "dumb", "unknown") and _moves_as_ansi(term)


def _moves_as_ansi(term: str) -> bool:
    """What terminfo says; a terminal that it does not know is taken for a new one, and those all do."""
    try:
        import curses

        curses.setupterm(term, 1)
        return (curses.tigetstr("cuu") or b"").startswith(b"\x1b[")
    except (ImportError, curses.error):
        return True


def _console() -> tuple[Console, Voice | None]:
    """A console on stdout. What the terminal does not take at once must not hold the supervisor up."""
    if not isinstance(sys.stdout, Outlet):
        return Console(highlight=False), None
    voice = Voice(sys.stdout.fileno(), sys.stdout.encoding, silent=True)
    return Console(file=cast(TextIO, voice), highlight=False), voice


class LiveObserver(Observer):
    """The live view on a terminal; it goes when the run is over, and leaves its place to the summary."""

    title = "the live view"

    def __init__(self, console: Console | None = None) -> None:
        self._console, self._voice = (console, None) if console is not None else _console()
        self._rates = Rates()
        self._waiting = False
        self._live = Live(
            console=self._console,
            auto_refresh=False,
            transient=True,
            redirect_stderr=sys.stderr.isatty(),
            vertical_overflow="crop",
        )

    @property
    def reads_reports(self) -> bool:
        return self._voice is None or not (self._voice.gone or self._voice.behind)

    def preparing(self) -> None:
        self._wait_for(PREPARING)

    def compiling(self, names: Sequence[str]) -> None:
        self._wipe()
        self._wait_for(compiling_line(names))

    def _wait_for(self, text: str) -> None:
        """Write a line that stays until the view comes."""
        line = f"zcframe: {text}"
        self._console.print(line[: self._console.width - 1], end="", style=DIM, markup=False, highlight=False)
        self._waiting = True

    def started(self, plan: RunPlan) -> None:
        self._wipe()
        self._live.start()

    def tick(self, snapshot: RunSnapshot) -> None:
        self._rates.update(snapshot)
        if self._takes():
            size = self._console.size
            self._live.update(view(snapshot, self._rates, size.width, size.height), refresh=True)

    def _takes(self) -> bool:
        """Whether the terminal has taken the last view; where it was stopped, by Ctrl-S for example, it has not."""
        if self._voice is None:
            return True
        self._voice.flush()
        return not (self._voice.gone or self._voice.behind)

    def finished(self, result: RunResult) -> None:
        self.close()

    def close(self) -> None:
        """Give the terminal back as it was."""
        self._wipe()
        try:
            self._live.stop()
        finally:
            if self._voice is not None:
                self._voice.drain()
                self._voice.release()

    def _wipe(self) -> None:
        """Take the line of `_wait_for` off the screen."""
        if self._waiting:
            self._console.control(Control((ControlType.ERASE_IN_LINE, 2), ControlType.CARRIAGE_RETURN))
            self._waiting = False
