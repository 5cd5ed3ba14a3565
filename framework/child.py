"""A child process that cannot outlive its parent and never returns into its code."""

from __future__ import annotations

import ctypes
import gc
import os
import signal
from collections.abc import Callable
from typing import Final

PR_SET_PDEATHSIG: Final = 1
PR_SET_NAME: Final = 15
PR_SET_TIMERSLACK: Final = 29
TIMER_SLACK_NS: Final = 1000

# The supervisor decides when a child ends, also when a terminal or a service manager signals the whole group.
IGNORED: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE)


def _prctl(option: int, argument: int | bytes) -> None:
    value = ctypes.c_char_p(argument) if isinstance(argument, bytes) else ctypes.c_ulong(argument)
    ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def _reset_signals() -> None:
    signal.set_wakeup_fd(-1)
    for number in signal.valid_signals():
        if callable(signal.getsignal(number)):
            signal.signal(number, signal.SIG_DFL)
    for number in IGNORED:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def _become_child(name: str, parent: int) -> None:
    _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    # The parent may have died before that: then nobody will send the signal.
    if os.getppid() != parent:
        os._exit(1)
    _prctl(PR_SET_NAME, name.encode())
    _prctl(PR_SET_TIMERSLACK, TIMER_SLACK_NS)
    # A collection would copy the parent's pages one by one, and finalize objects that are the parent's.
    gc.disable()
    _reset_signals()


def fork_child(name: str, body: Callable[[], None]) -> int:
    """Run `body` in a child process called `name`: its pid. It exits with 0 where `body` returns, else with 1."""
    parent = os.getpid()
    # No handler of the parent may run in the child before it has been reset.
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    try:
        pid = os.fork()
        if pid == 0:
            _run_child(name, parent, body)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    return pid


def _run_child(name: str, parent: int, body: Callable[[], None]) -> None:
    code = 1
    try:
        _become_child(name, parent)
        body()
        code = 0
    finally:
        os._exit(code)


def ending(status: int) -> str:
    """How a process ended, by its wait status: "was killed by SIGKILL", "ended with exit code 1"."""
    code = os.waitstatus_to_exitcode(status)
    return f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
