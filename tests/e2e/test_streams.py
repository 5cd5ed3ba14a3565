"""What a person reads may be lost; the capture and its document may not. Each stream fails in each of its ways."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pty
import signal
import struct
import subprocess
import termios
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.kit.checks import check_books
from tests.kit.command import PROGRAM, Background, environment, until, zcframe
from tests.kit.places import BUNDLED

# Endless, as a live capture is; some hundred lines of 10 KB are more than a pipe holds.
LASTS = 1.0
ENDLESS = ("run", "--queues", 1, "--pps", 20_000, "--loop", 0, "--duration", LASTS, "--read", BUNDLED)
LINES = ("--json", "--stats-interval", 0.01, "--plugin", "sizes", "flows?top=40")


def full() -> tuple[int, ...]:
    return (os.open("/dev/full", os.O_WRONLY),)


def reader_gone() -> tuple[int, ...]:
    read, write = os.pipe()
    os.close(read)
    return (write,)


def reader_asleep() -> tuple[int, ...]:
    read, write = os.pipe()
    return write, read


def hung_up() -> tuple[int, ...]:
    master, slave = pty.openpty()
    os.close(master)
    return (slave,)


@contextlib.contextmanager
def opened(make: Callable[[], tuple[int, ...]]) -> Iterator[int]:
    fds = make()
    try:
        yield fds[0]
    finally:
        for fd in fds:
            os.close(fd)


def folder(parent: Path, name: str) -> Path:
    made = parent / name
    made.mkdir()
    return made


def test_nobody_takes_stderr(tmp_path: Path) -> None:
    """Hundreds of lines of --stats-interval: each run ends as it should, with its document."""
    with contextlib.ExitStack() as stack:
        runs = {}
        for make in (full, reader_gone, reader_asleep, hung_up):
            stderr = stack.enter_context(opened(make))
            words = (folder(tmp_path, make.__name__), *ENDLESS, *LINES)
            runs[make.__name__] = stack.enter_context(Background(*words, stderr=stderr))
        for name, run in runs.items():
            done = run.finish()
            assert (name, done.code) == (name, 0)
            assert done.document["elapsed_s"] >= LASTS
            assert check_books(done.document)["packets"] > 0


SUMMARY = {
    full: (1, ["zcframe: the summary could not be written to stdout: No space left on device"]),
    reader_gone: (0, []),
    hung_up: (0, []),
}


def test_nobody_takes_the_summary(tmp_path: Path) -> None:
    """The run goes its way. A full disk is told; a reader that has left does not want to know."""
    with contextlib.ExitStack() as stack:
        runs = {}
        for make in SUMMARY:
            stdout = stack.enter_context(opened(make))
            words = ("run", "--plugin", "sizes", "--queues", 1, "--read", BUNDLED)
            runs[make] = stack.enter_context(Background(folder(tmp_path, make.__name__), *words, stdout=stdout))
        for make, run in runs.items():
            done = run.finish()
            assert (make, done.code, done.complaints) == (make, *SUMMARY[make])


@pytest.mark.parametrize(("make", "why"), [(full, "No space left on device"), (reader_gone, "Broken pipe")])
def test_nobody_takes_the_document(tmp_path: Path, make: Callable[[], tuple[int, ...]], why: str) -> None:
    """It has its error beside the run's own."""
    cut = tmp_path / "cut.pcapng"
    cut.write_bytes(BUNDLED.read_bytes()[:-1])
    with opened(make) as stdout:
        done = Background(tmp_path, "run", "--json", "--plugin", "sizes", "--read", cut, stdout=stdout).finish()
    (line,) = done.complaints
    assert done.code == 1
    assert line.endswith(f"; the JSON document could not be written to stdout: {why}")
    assert str(cut) in line


def test_a_document_whose_reader_never_takes_it_is_told_of_when_interrupted(tmp_path: Path) -> None:
    read, write = os.pipe()
    words = ("run", "--json", "--plugin", "flows?top=2000", "--read", BUNDLED)
    with Background(tmp_path, *words, stdout=write) as run:
        # The document is longer than the pipe, which is full when the run is over.
        until(lambda: _waits(read), what="a full pipe")
        # The first one may have been meant for the run, which had just ended. Two that wait are one to the kernel.
        run.signal(signal.SIGINT)
        until(lambda: _took_signals(run.pid), what="the first one taken")
        done = run.stop(signal.SIGINT)
    os.close(read)
    os.close(write)
    assert (done.code, done.complaints) == (
        1, ["zcframe: the JSON document was not written whole: interrupted before its reader had taken it"],
    )  # fmt: skip


def _waits(read: int) -> bool:
    """Whether a pipe holds all that it can."""
    held = struct.unpack("i", fcntl.ioctl(read, termios.FIONREAD, bytes(4)))[0]
    return bool(held == fcntl.fcntl(read, fcntl.F_GETPIPE_SZ))


def _took_signals(pid: int) -> bool:
    """Whether no signal waits for a process, and it sleeps again."""
    status = Path(f"/proc/{pid}/status").read_text()
    return "ShdPnd:\t0000000000000000" in status and "State:\tS" in status


def test_both_streams_are_one_slow_pipe() -> None:
    """Neither tears the other, however late the reader comes."""
    words = [*map(str, (*ENDLESS, *LINES))]
    script = 'exec "$@" 2>&1 | { sleep 3; cat; }'
    done = zcframe(*words, launcher=("sh", "-c", script, "sh"))
    assert all(json.loads(line)["totals"] for line in done.stdout.splitlines() if not line.startswith("zcframe: "))
    assert json.loads(done.stdout.splitlines()[-1])["elapsed_s"] >= LASTS


COUNTING = '''
from zcframe import PASS, Array, plugin, u64


@plugin
class Counting:
    """Says in a file how often it was asked for its report."""

    seen = Array(u64, 1)

    def filter(pkt, state, params):
        state.seen[0] += 1
        return PASS

    def report(merged):
        with open({path!r}, "a") as file:
            file.write("x")
        return {{"seen": int(merged.seen[0])}}
'''


def test_where_nobody_looks_workers_are_not_stopped_for_reports(tmp_path: Path) -> None:
    """Text mode without a terminal: one report, at the end, with --stats-interval too, whose lines hold none."""
    asked, file = tmp_path / "asked", tmp_path / "counting.py"
    file.write_text(COUNTING.format(path=str(asked)))
    done = zcframe(*ENDLESS, "--stats-interval", 0.1, "--plugin", file)
    assert done.code == 0, done
    assert asked.read_text() == "x"


# --- terminals


def on_terminal(encoding: str, term: str, columns: int, rows: int) -> tuple[int, bytes]:
    """(exit code, all that the terminal got) of a run there."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    script = f'TERM={term} PYTHONIOENCODING={encoding} exec "$@"'
    words = ["sh", "-c", script, "sh", *PROGRAM, *map(str, ENDLESS)]
    process = subprocess.Popen(
        words, stdin=slave, stdout=slave, stderr=slave, env=environment(), start_new_session=True
    )
    os.close(slave)
    seen = b""
    with contextlib.suppress(OSError):
        while data := os.read(master, 1 << 16):
            seen += data
            if b"RSS balance" in seen:
                # It is another size from here on.
                fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", 7, columns // 2 + 5, 0, 0))
    os.close(master)
    return process.wait(), seen


TERMINALS = [
    ("latin-1", "xterm", 100, 24),
    ("ascii", "linux", 40, 24),
    ("utf-8", "vt100", 1, 24),
    ("koi8-r", "odd", 0, 0),
]


def test_no_terminal_ends_a_capture() -> None:
    with ThreadPoolExecutor(len(TERMINALS)) as pool:
        found = list(pool.map(lambda terminal: on_terminal(*terminal), TERMINALS))
    for (encoding, *_), (code, seen) in zip(TERMINALS, found, strict=True):
        assert code == 0, seen
        assert b"Traceback" not in seen and b"is off from here on" not in seen
        text = seen.decode(encoding)
        assert "\x1b[" in text
        assert "lost 0 of" in " ".join(text.split())
