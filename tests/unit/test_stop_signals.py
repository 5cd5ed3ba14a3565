"""Stop signals of a run: they interrupt what prepares it, and are noted once it listens."""

from __future__ import annotations

import ctypes
import os
import select
import signal
import subprocess
import sys

import pytest

from zcframe.framework.supervisor.signals import AT_ONCE, ENOUGH, HANDLED, REPEATED, StopSignals


@pytest.mark.parametrize("number", HANDLED)
def test_a_signal_interrupts_the_preparation(number: int) -> None:
    with pytest.raises(KeyboardInterrupt), StopSignals():
        os.kill(os.getpid(), number)
        pytest.fail("nothing was interrupted")


@pytest.mark.parametrize("number", HANDLED)
def test_a_signal_in_a_callback_from_c_is_not_lost(number: int, capfd: pytest.CaptureFixture[str]) -> None:
    """Python prints and drops what such a callback raises: the compiler calls back, and a run went on for ever."""
    callback = ctypes.CFUNCTYPE(None)(lambda: os.kill(os.getpid(), number))
    with StopSignals() as signals:
        callback()
        with pytest.raises(KeyboardInterrupt):
            signals.listen()
    assert capfd.readouterr().err == ""


def test_other_failures_of_callbacks_are_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[str] = []
    monkeypatch.setattr("sys.unraisablehook", lambda failure: shown.append(str(failure.exc_value)))

    def fail() -> None:
        raise ValueError("no")

    with StopSignals():
        ctypes.CFUNCTYPE(None)(fail)()
    assert shown == ["no"]


@pytest.mark.parametrize("number", HANDLED)
def test_signals_are_noted_while_it_listens(number: int) -> None:
    """Twice is enough, but for those that come several times for one reason; one of them is enough by itself."""
    counts = []
    with StopSignals() as signals:
        signals.listen()
        for _ in range(2):
            os.kill(os.getpid(), number)
            counts.append(min(signals.look(), ENOUGH))
            assert select.select([signals], [], [], 0)[0]
            signals.drain()
            assert not select.select([signals], [], [], 0)[0]
    assert counts == ([ENOUGH, ENOUGH] if number in AT_ONCE else [1, 1] if number in REPEATED else [1, ENOUGH])


def test_the_counters_are_asked_for() -> None:
    with StopSignals() as signals:
        os.kill(os.getpid(), signal.SIGUSR1)
        signals.listen()
        assert not signals.take_show()
        os.kill(os.getpid(), signal.SIGUSR2)
        assert not signals.take_show()
        os.kill(os.getpid(), signal.SIGUSR1)
        os.kill(os.getpid(), signal.SIGUSR1)
        assert signals.take_show() and not signals.take_show()
        assert signals.look() == 0


def test_what_hangs_at_the_very_end_can_be_interrupted() -> None:
    """By a second signal: an impatient Ctrl-C more must not cost the report."""
    with StopSignals() as signals:
        signals.listen()
        os.kill(os.getpid(), signal.SIGINT)
        signals.conclude()
        os.kill(os.getpid(), signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)


# Run in a process of its own, which ignores a signal from its start as nohup and shells have it. Threads of numpy would
# take the signal: it is blocked before they start, as the command does it.
IGNORING = """
import os, signal, sys
from zcframe.framework.cli.front import _hold_keys
_hold_keys()
from zcframe.framework.supervisor.signals import StopSignals
number = int(sys.argv[1])
with StopSignals() as signals:
    signals.listen()
    os.kill(os.getpid(), number)
    print(signals.look(), signal.getsignal(number) == signal.SIG_IGN)
print(signal.getsignal(number) == signal.SIG_IGN, number in signal.pthread_sigmask(signal.SIG_BLOCK, ()))
"""


def _ignoring(number: int) -> str:
    done = subprocess.run(
        [sys.executable, "-c", IGNORING, str(int(number))],
        capture_output=True,
        text=True,
        check=True,
        restore_signals=False,
        preexec_fn=lambda: signal.signal(number, signal.SIG_IGN) and None,
    )
    return done.stdout


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM, signal.SIGXCPU])
def test_what_was_ignored_at_the_start_stays_ignored(number: int) -> None:
    assert _ignoring(number) == "0 True\nTrue False\n"


@pytest.mark.parametrize(("number", "count"), [(signal.SIGINT, 1), (signal.SIGQUIT, 2)])
def test_a_key_that_was_ignored_is_obeyed_where_a_process_sends_it(number: int, count: int) -> None:
    """A script ends its background job by kill -INT; that a terminal's Ctrl-C does not stands in e2e/test_signals.py."""
    assert _ignoring(number) == f"{count} False\nTrue False\n"


def test_handlers_are_put_back() -> None:
    before = [signal.getsignal(number) for number in HANDLED]
    with StopSignals() as signals:
        signals.listen()
    assert [signal.getsignal(number) for number in HANDLED] == before
