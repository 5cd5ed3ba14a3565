"""The live view, on a terminal that is pyte's: what stands on the screen, and what is left when the run is over."""

from __future__ import annotations

import fcntl
import io
import os
import pty
import struct
import subprocess
import sys
import termios
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pyte
import pytest
from rich.console import Console

from tests.kit.runs import FILE, plan, queue_stats, queues, result, snapshot
from zcframe.framework.show.live import LiveObserver, fits
from zcframe.framework.show.notices import Notices
from zcframe.framework.show.report import plugin_lines, report_lines
from zcframe.framework.show.summary import SummaryObserver, summary_lines
from zcframe.framework.show.text import bar, columns, cut, table, wrapped
from zcframe.framework.stats import Observers, QueueStats, SourceInfo
from zcframe.framework.streams import Outlet
from zcframe.framework.terminal import clean


class Terminal(io.StringIO):
    """A terminal of pyte's that rich writes to; `lines` is what stands on its screen."""

    encoding = "utf-8"

    def __init__(self, width: int, height: int) -> None:
        super().__init__()
        self.screen = pyte.HistoryScreen(width, height, history=1000, ratio=0.5)
        self.screen.set_mode(pyte.modes.LNM)
        self.stream = pyte.Stream(self.screen)

    def write(self, text: str) -> int:
        self.stream.feed(text)
        return len(text)

    def isatty(self) -> bool:
        return True

    @property
    def lines(self) -> list[str]:
        return [line.rstrip() for line in self.screen.display]

    @property
    def scrolled(self) -> int:
        return len(self.screen.history.top)


class View:
    """An observer on a terminal of `width` x `height`."""

    def __init__(self, width: int = 80, height: int = 24) -> None:
        self.terminal = Terminal(width, height)
        console = Console(file=self.terminal, force_terminal=True, width=width, height=height, highlight=False)
        self.live = LiveObserver(console)
        self.observer = Observers([self.live, Notices(), SummaryObserver(self.terminal)])
        self.observer.started(plan(FILE, loop=1))

    def line_of(self, start: str) -> str:
        return next(line for line in self.terminal.lines if line.lstrip().startswith(start))


@pytest.fixture
def view() -> Iterator[View]:
    view = View()
    yield view
    view.observer.close()


def test_eight_queues_and_two_plugins_fit_80_by_24(view: View) -> None:
    view.observer.tick(snapshot(progress=(5 << 20, 10 << 20)))
    lines = view.terminal.lines
    assert view.terminal.scrolled == 0
    assert lines[0] == "zcframe  file a.pcap (soft82576, ETHERNET, LINUX_SLL)     2.0 s  36,000 packets"
    assert lines[1].startswith("read  " + "█" * 20 + " " * 20 + "  50%  5.0 of 10.0 MiB")
    assert lines[2].split() == ["queue", "CPU", "pid", "worker", "pps", "Mb/s", "ring", "drops", "restarts"]
    assert lines[3].split() == ["0", "0", "4000", "0", "500", "3.2", "█████", "50%", "0", "0"]
    assert lines[10].split()[:6] == ["7", "1", "4007", "7", "4,000", "25.6"]
    assert lines[11].split() == ["all", "18,000", "115.2", "0", "0"]
    assert lines[12] == "RSS balance 1.78 max/mean ▂▃▄▅▅▆▇█  symmetric key, 5-tuple"
    assert "flows" in lines
    assert "sizes" in lines
    assert lines[23] == ""


def test_sixteen_queues_leave_plugins_what_is_left_and_nothing_scrolls(view: View) -> None:
    for second in range(1, 5):
        view.observer.tick(snapshot(16, elapsed_s=float(second)))
    assert view.terminal.scrolled == 0
    assert view.line_of("15").split()[2] == "4015"
    assert view.line_of("RSS balance")


def test_until_the_first_packet_a_line_says_what_takes_so_long() -> None:
    view = View()
    fresh = LiveObserver(view.live._console)
    fresh.preparing()
    assert view.line_of("zcframe: starting")
    fresh.compiling(["flows", "zcframe"])
    assert view.line_of("zcframe: compiling flows, zcframe: this takes some seconds, once")
    assert sum(map(bool, view.terminal.lines)) == 1
    fresh.close()
    assert set(view.terminal.lines) == {""}


def test_a_tick_draws_over_the_one_before_and_rates_are_between_the_two(view: View) -> None:
    view.observer.tick(snapshot(elapsed_s=1.0))
    view.observer.tick(snapshot(elapsed_s=1.5, queues=[queue_stats(0, 1500)]))
    assert view.line_of("0").split()[4] == "1,000"
    assert sum(line.startswith("RSS balance") for line in view.terminal.lines) == 1


def test_drops_and_restarts_stand_in_the_queues_row(view: View) -> None:
    view.observer.tick(snapshot(queues=[queue_stats(0), queue_stats(1, ring_full=1234, restarts=2)]))
    assert view.line_of("1").split()[-2:] == ["1,234", "2"]
    assert view.line_of("all").split()[-2:] == ["1,234", "2"]


def test_before_the_first_packet_there_is_a_view_too(view: View) -> None:
    view.observer.tick(snapshot(elapsed_s=0.0, queues=[queue_stats(0, 0)], plugins={}))
    assert view.line_of("RSS balance") == "RSS balance: no packets yet"


def test_a_source_without_an_end_has_no_progress_bar(view: View) -> None:
    view.observer.tick(snapshot(progress=(5, 0)))
    assert not any(line.startswith("read") for line in view.terminal.lines)


def test_the_summary_takes_the_views_place_and_the_cursor_comes_back() -> None:
    view = View(height=60)
    view.observer.tick(snapshot())
    assert view.terminal.screen.cursor.hidden
    view.observer.finished(result())
    assert not view.terminal.screen.cursor.hidden
    assert view.terminal.lines[1].startswith("36,000 packets, 28,800,000 bytes in 2.000 s")
    assert not any(line.startswith("zcframe") for line in view.terminal.lines)


def test_it_starts_no_thread_since_workers_are_forked_in_mid_run(view: View) -> None:
    view.observer.tick(snapshot())
    assert threading.enumerate() == [threading.main_thread()]


def test_a_plugins_own_lines_go_before_its_report(view: View) -> None:
    view.observer.tick(snapshot(lines={"flows": ["3 flows, none lost"]}))
    at = view.terminal.lines.index("flows")
    assert view.terminal.lines[at + 1] == "  3 flows, none lost"


def test_what_comes_from_the_network_cannot_steer_the_terminal(view: View) -> None:
    evil = "\x1b]0;owned\x07\x1b[2J\r\n[bold]x[/bold]\u202eabc"
    report = {"name": evil, evil: 1, "top": [{"qname": evil, "n": 1}], "types": {evil: 3}}
    view.observer.tick(snapshot(2, plugins={"dns": report}))
    assert view.terminal.screen.title == ""
    assert view.line_of("name") == r"  name \x1b]0;owned\x07\x1b[2J\r\n[bold]x[/bold]\u202eabc"
    assert view.line_of("queue")


@pytest.mark.parametrize(
    ("width", "names"),
    [
        (73, "queue CPU pid worker pps Mb/s ring drops restarts"),
        (72, "queue CPU pid pps Mb/s ring drops restarts"),
        (65, "queue CPU pid pps Mb/s ring drops restarts"),
        (64, "queue CPU pps Mb/s ring drops restarts"),
        (59, "queue CPU pps Mb/s ring drops restarts"),
        (58, "queue pps Mb/s ring drops restarts"),
        (53, "queue pps Mb/s ring drops"),
        (43, "queue pps ring drops"),
        (36, "queue pps drops"),
        (20, "queue pps drops"),
        (19, "queue pps"),
    ],
)
def test_what_is_too_wide_goes_a_column_at_a_time_and_what_stays_is_whole(width: int, names: str) -> None:
    view = View(width)
    view.observer.tick(snapshot(progress=(5 << 20, 10 << 20)))
    head = view.line_of("queue")
    assert head.split() == names.split()
    cells = view.line_of("all").split()
    assert cells[:2] == ["all", "18,000"]
    assert len(head) <= width
    table_of = view.terminal.lines[view.terminal.lines.index(head) :][:10]
    assert not any("…" in line for line in table_of)
    view.observer.close()


def test_40_columns_can_be_read() -> None:
    view = View(40)
    view.observer.tick(snapshot(16, progress=(5 << 20, 10 << 20), lines={}, plugins={}))
    lines = view.terminal.lines
    assert lines[0] == "zcframe     2.0 s  136,000 packets"
    assert lines[1] == "read  ██████        50%  5.0 of 10.0 MiB"
    assert lines[2].split() == ["queue", "pps", "ring", "drops"]
    assert lines[3].split() == ["0", "500", "█████", "50%", "0"]
    assert lines[19].split() == ["all", "68,000", "0"]
    assert lines[20] == "RSS balance 1.88 ▁▂▂▃▃▄▄▅▅▅▆▆▇▇██"
    view.observer.close()


def sharing(*packets: int) -> list[QueueStats]:
    """Workers that share queue 0, as those of AF_XDP do."""
    return [replace(queue_stats(0, count), worker=worker, pid=4000 + worker) for worker, count in enumerate(packets)]


def test_workers_that_share_a_queue_have_rates_of_their_own(view: View) -> None:
    view.observer.tick(snapshot(elapsed_s=1.0, queues=sharing(1000, 2000, 3000)))
    view.observer.tick(snapshot(elapsed_s=2.0, queues=sharing(1100, 2300, 3500)))
    table_of = [line.split()[:5] for line in view.terminal.lines[2:5]]
    assert table_of == [["0", "0", f"400{n}", str(n), rate] for n, rate in enumerate(("100", "300", "500"))]
    assert view.line_of("all").split()[1] == "900"


@pytest.mark.parametrize(("width", "names"), [(40, "worker pps ring drops"), (20, "worker pps drops")])
def test_where_they_share_a_queue_their_numbers_stay(width: int, names: str) -> None:
    view = View(width)
    view.observer.tick(snapshot(elapsed_s=1.0, queues=sharing(1000, 2000)))
    assert view.line_of("worker").split() == names.split()
    assert view.line_of("1").split()[:2] == ["1", "2,000"]
    assert view.line_of("all").split()[:2] == ["all", "3,000"]
    view.observer.close()


def test_names_are_cut_before_figures_are() -> None:
    view = View(20)
    several = SourceInfo("iface", ("enp202s0f1np1", "enp202s0f2np2"), "packet")
    rows = [replace(queue, ifname="enp202s0f1np1") for queue in sharing(1_000_000, 2_000_000)]
    rows = [replace(row, queue=row.worker) for row in rows]
    view.observer.tick(replace(snapshot(elapsed_s=1.0, queues=rows), source=several))
    assert view.terminal.lines[3].split() == ["…0f1np1/0", "1,000,000"]
    assert view.terminal.lines[4].split() == ["…0f1np1/1", "2,000,000"]
    view.observer.close()


@contextmanager
def on_terminal(encoding: str = "utf-8") -> Iterator[tuple[int, int, LiveObserver]]:
    """(the terminal's other end, the terminal, a live view on it)."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    before, sys.stdout = sys.stdout, Outlet(slave, encoding)
    try:
        observer = LiveObserver()
        observer._console._force_terminal = True
        yield master, slave, observer
    finally:
        sys.stdout = before
        os.close(slave)


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "koi8-r"])
def test_a_terminal_of_another_encoding_gets_the_view_in_its_own(encoding: str) -> None:
    with on_terminal(encoding) as (master, _, observer):
        observer.started(plan(FILE, loop=1))
        observer.tick(snapshot(plugins={"dns": {"name": "é漢" * 99}}))
        observer.close()
        shown = os.read(master, 1 << 16).decode(encoding)
    os.close(master)
    screen = pyte.Screen(80, 24)
    pyte.Stream(screen).feed(shown[: shown.rindex("dns")])
    assert screen.display[1].split()[:4] == ["queue", "CPU", "pid", "worker"]
    assert screen.display[2].split()[6] == ("█████" if encoding == "koi8-r" else "#####")


def test_a_terminal_that_is_stopped_or_hung_up_holds_no_tick_up() -> None:
    """While it is stopped, plugins' state is read for nobody."""
    with on_terminal() as (master, slave, observer):
        observer.started(plan(FILE, loop=1))
        observer.tick(snapshot())
        assert observer.reads_reports
        termios.tcflow(slave, termios.TCOOFF)
        for _ in range(100):
            observer.tick(snapshot(16))
        assert not observer.reads_reports
        termios.tcflow(slave, termios.TCOON)
        observer.tick(snapshot())
        assert observer.reads_reports
        os.close(master)
        observer.tick(snapshot())
        observer.finished(result())
        assert not observer.reads_reports


def test_a_view_is_drawn_on_terminals_alone_and_not_on_dumb_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    master, slave = pty.openpty()
    for term, drawn in (("xterm", True), ("dumb", False), ("unknown", False), ("", False)):
        monkeypatch.setenv("TERM", term)
        assert fits(Outlet(slave, "utf-8")) is drawn
    monkeypatch.setenv("TERM", "xterm")
    assert not fits(io.StringIO())
    os.close(master)
    os.close(slave)


# curses looks up one terminal in the life of a process.
ASK = "import sys; from zcframe.framework.show.live import _moves_as_ansi; print(_moves_as_ansi(sys.argv[1]))"
KNOWN = "import curses, sys; curses.setupterm(sys.argv[1], 1)"


@pytest.mark.parametrize(("term", "moves"), [("vt100", True), ("linux", True), ("vt52", False), ("of-tomorrow", True)])
def test_terminfo_says_which_terminal_moves_as_ansi_does(term: str, moves: bool) -> None:
    """One that it does not know is taken for a new one."""
    if not moves and subprocess.run([sys.executable, "-c", KNOWN, term], stderr=subprocess.DEVNULL).returncode:
        pytest.skip(f"terminfo knows no {term} here")
    asked = subprocess.run([sys.executable, "-c", ASK, term], capture_output=True, text=True, check=True)
    assert asked.stdout.strip() == str(moves)


@pytest.mark.parametrize("width", [20, 40, 80])
def test_the_summary_fits_a_narrow_terminal_by_whole_columns(width: int) -> None:
    lines = summary_lines(replace(snapshot(), started=1.7e9, ended=1.7e9 + 2), width)
    assert max(map(len, lines)) <= width
    head = next(line for line in lines if line.startswith("queue"))
    assert {"queue", "packets"} <= set(head.split())
    row = next(line for line in lines if line.startswith("all"))
    assert "36,000" in row.split()


@pytest.mark.parametrize(("width", "height"), [(40, 10), (20, 3), (132, 50), (300, 100), (1, 1), (1, 24), (3, 2)])
def test_it_bears_any_size_of_terminal(width: int, height: int) -> None:
    view = View(width, height)
    view.observer.tick(snapshot(progress=(1, 2)))
    view.observer.tick(snapshot(progress=(1, 2)))
    assert view.terminal.scrolled == 0
    assert view.terminal.lines[0].startswith("zcframe"[:width])
    view.observer.close()


def test_a_long_list_of_plugins_is_cut_to_the_screen(view: View) -> None:
    reports: dict[str, dict[str, Any]] = {f"plugin{n}": {"count": n} for n in range(40)}
    view.observer.tick(snapshot(plugins=reports))
    assert view.terminal.scrolled == 0


def test_a_report_without_lines_of_its_own_is_shown_by_its_shape() -> None:
    first = {"src": "10.0.0.1", "sport": 40000, "packets": 17, "last_ns": 0}
    second = {"src": "192.168.100.200", "sport": 53, "packets": 1234, "last_ns": 1_700_000_000_123_456_789}
    top = [first, second]
    report = {
        "count": 2,
        "share": 0.25,
        "full": False,
        "sizes": {"64": 3, "128": 1},
        "top": top,
        "odd": [1, 2],
        "no": [],
    }
    assert report_lines(report) == [
        "count 2  share 0.250  full no",
        "sizes",
        "  64   3   75.0%  ████████████████████",
        "  128  1   25.0%  ██████▋",
        "top",
        "  src              sport  packets  last_ns",
        "  10.0.0.1         40000       17  1970-01-01 00:00:00.000000",
        "  192.168.100.200  53       1,234  2023-11-14 22:13:20.123456",
        "odd [1, 2]",
    ]


def test_long_tables_say_how_much_is_missing_and_wide_ones_lose_columns() -> None:
    report = {
        "top": [{"name": "x" * 30, "n": n, "more": "y" * 60} for n in range(9)],
        "by": {str(n): n for n in range(9)},
    }
    lines = report_lines(report, width=60, rows=2)
    assert lines.count("  and 7 more") == 2
    assert not any("yyy" in line for line in lines)
    assert max(len(line) for line in lines) <= 60


def test_every_line_of_a_plugin_keeps_to_the_width() -> None:
    lines = plugin_lines("p" * 100, {"k" * 100: "v" * 100, "deep": {"a": {"b": "c" * 100}}}, None, width=40)
    assert max(len(line) for line in lines) == 40
    assert plugin_lines("own", {}, ["z" * 100], width=40)[1] == "  " + "z" * 37 + "…"


def test_a_report_of_zeros_is_drawn() -> None:
    assert report_lines({"sizes": {"64": 0, "128": 0}})[1] == "  64   0    0.0%"


def test_bars() -> None:
    assert bar(0.5, 4) == "██  "
    assert bar(1 / 32, 4) == "▏   "
    assert bar(7.0, 2) == "██"
    assert bar(-1.0, 2) == "  "
    assert columns([0, 5, 10]) == "▁▅█"
    assert columns([0, 0]) == "▁▁"


def test_texts() -> None:
    assert clean("tab\t nul\0 é ߷") == "tab\\t nul\\x00 é ߷"
    assert cut("abcdef", 4) == "abc…"
    assert cut("abc", 0) == ""
    assert wrapped(["aaa", "bbb", "ccccccc"], 8) == ["aaa  bbb", "ccccccc"]
    assert table(["a", "n"], []) == ["a  n"]
    assert len(queues(3)) == 3
