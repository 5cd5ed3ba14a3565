"""The live view in a terminal of 80 by 24, as a terminal emulator shows it, and what Ctrl-C leaves behind."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psutil
import pyte

from tests.kit.command import PATIENCE, PROGRAM, die_with_tests, environment
from tests.kit.places import BUNDLED

COLUMNS, LINES = 80, 24
CTRL_C = b"\x03"
QUEUE_ROW = re.compile(r"^\s*(\d+)\s+\d+\s+(\d+)\s")


class Terminal:
    """The command on a pseudo-terminal that it controls; `screen` is what a person would see."""

    def __init__(self, *words: object) -> None:
        self.screen = pyte.HistoryScreen(COLUMNS, LINES, history=1000)
        self.raw = b""
        self._stream = pyte.ByteStream(self.screen)
        self._end, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
        self.process = subprocess.Popen(
            [*PROGRAM, *map(str, words)],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env=environment(TERM="xterm-256color", LANG="C.UTF-8"),
            start_new_session=True,
            preexec_fn=self._take_terminal,
        )
        os.close(theirs)

    @staticmethod
    def _take_terminal() -> None:
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)
        die_with_tests()

    def read(self, seconds: float) -> bool:
        """Show what comes next; False at the end."""
        if not select.select([self._end], [], [], seconds)[0]:
            return True
        try:
            data = os.read(self._end, 65536)
        except OSError:  # the last process has closed its side
            return False
        self.raw += data
        self._stream.feed(data)
        return bool(data)

    def until(self, seen: Callable[[list[str]], bool], seconds: float = PATIENCE) -> list[str]:
        """Lines of the screen as soon as `seen` likes them."""
        deadline = time.monotonic() + seconds
        while not seen(self.screen.display):
            assert time.monotonic() < deadline, self.screen.display
            assert self.read(0.2), self.screen.display
        return list(self.screen.display)

    def type(self, keys: bytes) -> None:
        os.write(self._end, keys)

    def rest(self) -> list[str]:
        """Everything to the end, what scrolled away included."""
        while self.read(PATIENCE):
            pass
        above = ["".join(line[x].data for x in range(COLUMNS)) for line in self.screen.history.top]
        return [*above, *self.screen.display]

    def close(self) -> None:
        os.close(self._end)
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()


@contextmanager
def terminal(*words: object) -> Iterator[Terminal]:
    running = Terminal(*words)
    try:
        yield running
    finally:
        running.close()


def queue_rows(lines: list[str]) -> dict[int, int]:
    """Queue number -> pid, of the rows that begin with both and a CPU."""
    return {int(row[1]): int(row[2]) for line in lines if (row := QUEUE_ROW.match(line))}


def moving(lines: list[str]) -> bool:
    """Whether packets are being counted."""
    total = next((line.split() for line in lines if line.strip().startswith("all ")), [])
    return len(total) > 1 and total[1] != "0"


def test_eight_queues_then_the_summary() -> None:
    with terminal("run", "--queues", "8") as running:
        lines = running.until(lambda lines: len(queue_rows(lines)) == 8 and moving(lines))
        rows = queue_rows(lines)
        assert list(rows) == list(range(8))
        children = {child.pid for child in psutil.Process(running.process.pid).children()}
        assert set(rows.values()) <= children
        text = "\n".join(lines)
        for word in (
            "zcframe",
            "queue",
            "CPU",
            "pps",
            "Mb/s",
            "ring",
            "drops",
            "restarts",
            "RSS balance",
            "flows",
            "sizes",
        ):
            assert word in text, text
        assert len(lines) == LINES
        assert max(len(line) for line in lines) <= COLUMNS
        running.type(CTRL_C)
        summary = "\n".join(running.rest())
        assert running.process.wait(10) == 0
    assert "Traceback" not in summary
    assert re.search(r"lost \d+ of [\d,]+ frames", summary), summary
    assert "RSS balance" in summary
    # The cursor, which the view hides, is there again.
    assert running.raw.rfind(b"\x1b[?25h") >= running.raw.rfind(b"\x1b[?25l")


def test_sixteen_queues_still_fit() -> None:
    with terminal("run", "--queues", "16") as running:
        lines = running.until(lambda lines: len(queue_rows(lines)) == 16 and moving(lines))
        assert any(line.startswith("zcframe") for line in lines)
        running.type(CTRL_C)
        running.rest()
        assert running.process.wait(10) == 0


def test_the_view_follows_a_file_to_its_end() -> None:
    """It ends by itself, with the summary."""
    with terminal("run", "--read", BUNDLED) as running:
        summary = "\n".join(running.rest())
        assert running.process.wait(10) == 0
    assert "Traceback" not in summary
    assert re.search(r"lost 0 of [\d,]+ frames", summary)
