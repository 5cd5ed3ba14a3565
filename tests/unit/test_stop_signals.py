"""Stop signals of a run: they interrupt what prepares it, and are noted once it listens."""

from __future__ import annotations

import ctypes
import os
import select
import signal

import pytest

from zcframe.framework.supervisor.signals import HANDLED, StopSignals


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


def test_signals_are_noted_while_it_listens() -> None:
    with StopSignals() as signals:
        signals.listen()
        for number in HANDLED:
            os.kill(os.getpid(), number)
        assert signals.count == len(HANDLED)
        assert select.select([signals], [], [], 0)[0]
        signals.drain()
        assert not select.select([signals], [], [], 0)[0]


def test_handlers_are_put_back() -> None:
    before = [signal.getsignal(number) for number in HANDLED]
    with StopSignals() as signals:
        signals.listen()
    assert [signal.getsignal(number) for number in HANDLED] == before
