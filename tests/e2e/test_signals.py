"""Signals that are no plain end: a terminal that hangs up, keys, requests for the counters, job control."""

from __future__ import annotations

import fcntl
import os
import pty
import signal
import termios
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest

from tests.kit import reference
from tests.kit.checks import check_books, check_lossless, check_sizes, octets_of
from tests.kit.command import Background, die_with_tests, until
from tests.kit.places import BUNDLED

WORDS = ("run", "--json", "--queues", 2, "--loop", 0, "--speed", "max", "--plugin", "sizes", "--read", BUNDLED)
CTRL_C = b"\x03"
# Looks at the counters that take longer than an end does.
LONG = 25


@pytest.fixture(scope="module")
def packets() -> list[reference.Packet]:
    return reference.read(BUNDLED).packets


def running(run: Background) -> Background:
    """The run as soon as it has workers: it handles signals then."""
    until(lambda: len(run.workers()) == 2, what="workers")
    return run


def asked(run: Background) -> int:
    """Packets, by a document that SIGUSR1 asks for."""
    before = len(list(run.ticks()))
    run.signal(signal.SIGUSR1)
    run.wait_until(lambda: len(list(run.ticks())) > before, "the counters that were asked for")
    found: int = list(run.ticks())[-1]["totals"]["packets"]
    return found


def goes_on(run: Background, times: int = 1) -> None:
    """So many times in a row it has counted more packets."""
    seen = asked(run)
    for _ in range(times):
        before = seen
        while seen == before:
            seen = asked(run)


# --- ends


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGXCPU, signal.SIGQUIT])
def test_other_signals_end_in_order_too(tmp_path: Path, packets: list[reference.Packet], number: int) -> None:
    """Also where all processes get them, and several times: a hang-up comes from the kernel and from the shell.

    SIGXCPU comes to the process that has used its time (ulimit -t).
    """
    with Background(tmp_path, *WORDS) as run:
        goes_on(running(run))
        for _ in range(2):
            with suppress(ProcessLookupError):
                (os.kill if number == signal.SIGXCPU else os.killpg)(run.pid, number)
        done = run.finish()
    assert done.code == 0, done
    assert not done.complaints
    totals = check_books(done.document)
    assert totals["restarts"] == 0
    if number == signal.SIGQUIT:
        return  # it drains nothing
    lengths = reference.replayed_lengths(packets, totals["ledger"]["arrived"])
    check_lossless(done.document, totals["ledger"]["arrived"], octets_of(lengths))
    check_sizes(done.document["plugins"]["sizes"], lengths)


def test_below_nohup_a_hang_up_changes_nothing(tmp_path: Path) -> None:
    with Background(tmp_path, *WORDS, launcher=["nohup"]) as run:
        goes_on(running(run))
        os.killpg(run.pid, signal.SIGHUP)
        goes_on(run, LONG)
        done = run.stop()
    assert done.code == 0, done
    check_books(done.document)


# --- no ends


def test_workers_and_nic_leave_signals_to_the_supervisor(tmp_path: Path) -> None:
    with Background(tmp_path, *WORDS) as run:
        for process in (*running(run).workers(), run.nic()):
            for number in ("HUP", "INT", "QUIT", "TERM", "USR1", "USR2"):
                process.send_signal(signal.Signals[f"SIG{number}"])
        run.signal(signal.SIGUSR2)
        goes_on(run, LONG)
        done = run.stop()
    assert done.code == 0, done
    assert check_books(done.document)["restarts"] == 0
    # What was asked for has the form of what comes at the end.
    first = next(run.ticks())
    assert first.keys() == done.document.keys() and first["totals"].keys() == done.document["totals"].keys()


def test_the_counters_as_text(tmp_path: Path) -> None:
    words = [word for word in WORDS if word != "--json"]
    with Background(tmp_path, *words) as run:
        running(run).signal(signal.SIGUSR1).wait_to_hear("RSS balance")
        done = run.stop()
    assert done.code == 0
    (lost,) = [line for line in done.stderr.splitlines() if line.startswith("lost 0 of ")]
    # The reports of plugins are for the end.
    assert "sizes" not in done.stderr and "sizes" in done.stdout and lost


def test_a_job_is_stopped_and_continued(tmp_path: Path, packets: list[reference.Packet]) -> None:
    """As by Ctrl-Z and fg: all of it stands still, then goes on, and nothing is lost."""
    with Background(tmp_path, *WORDS) as run:
        goes_on(running(run))
        family = [psutil.Process(run.pid), *run.workers(), run.nic()]
        os.killpg(run.pid, signal.SIGSTOP)
        until(lambda: all(process.status() == psutil.STATUS_STOPPED for process in family), what="a stopped job")
        os.killpg(run.pid, signal.SIGCONT)
        goes_on(run)
        done = run.stop()
    assert done.code == 0, done
    totals = check_books(done.document)
    assert totals["restarts"] == 0
    check_sizes(done.document["plugins"]["sizes"], reference.replayed_lengths(packets, totals["ledger"]["arrived"]))


def _ignore_ends_of_children() -> None:
    die_with_tests()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)


def test_started_by_a_program_that_ignores_the_ends_of_its_children(tmp_path: Path) -> None:
    """The kernel then reaps workers and NIC itself, and how they ended would not be known."""
    words = ("run", "--json", "--queues", 2, "--plugin", "sizes", "--read", BUNDLED)
    with Background(tmp_path, *words, before=_ignore_ends_of_children, restore_signals=False) as run:
        done = run.finish()
    assert done.code == 0 and not done.stderr, done
    totals = check_books(done.document)
    assert totals["restarts"] == 0 and totals["packets"] == totals["ledger"]["arrived"] == 8379


# --- terminals


@contextmanager
def on_a_terminal(folder: Path, before: Callable[[], object] = lambda: None) -> Iterator[tuple[Background, int]]:
    """The command in front of a terminal of its own, to which its stderr goes; and the terminal's other end."""
    ours, theirs = pty.openpty()

    def take_terminal() -> None:
        die_with_tests()
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)
        before()

    try:
        # The document goes to a file.
        with Background(folder, *WORDS, stdin=theirs, before=take_terminal) as run:
            os.close(theirs)
            yield running(run), ours
    finally:
        with suppress(OSError):
            os.close(ours)


def _ignore_keys() -> None:
    for number in (signal.SIGINT, signal.SIGQUIT):
        signal.signal(number, signal.SIG_IGN)


def test_the_terminal_hangs_up(tmp_path: Path) -> None:
    with on_a_terminal(tmp_path) as (run, end):
        goes_on(run)
        os.close(end)
        done = run.finish()
    assert done.code == 0, done
    check_books(done.document)


def test_a_background_job_is_ended_by_kill_and_not_by_the_terminal(tmp_path: Path) -> None:
    """A shell without job control has it ignore Ctrl-C, which is meant for the job in front."""
    with on_a_terminal(tmp_path, _ignore_keys) as (run, end):
        goes_on(run)
        os.write(end, CTRL_C)
        goes_on(run, LONG)
        done = run.stop(signal.SIGINT)
    assert done.code == 0, done
    check_books(done.document)


def test_ctrl_c_of_a_job_in_front(tmp_path: Path) -> None:
    with on_a_terminal(tmp_path) as (run, end):
        goes_on(run)
        os.write(end, CTRL_C)
        done = run.finish()
    assert done.code == 0, done
    check_books(done.document)


def test_two_signals_at_once_beside_an_output(tmp_path: Path) -> None:
    """Writers hold the descriptors of workers that are ended: nobody is told of them once more."""
    out = f"pcap:{tmp_path / 'out.pcap'}"
    with Background(tmp_path, "run", "--json", "--stats-interval", 0.05, "--queues", 2, "--out", out) as run:
        run.flowing()
        run.signal(signal.SIGTERM).signal(signal.SIGINT)
        done = run.finish()
    assert done.code == 0, done
