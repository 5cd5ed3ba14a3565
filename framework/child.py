"""A child process, which cannot outlive its parent and never returns into its code; and its end in words."""

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

# The supervisor decides when a child ends, also when a terminal or a service manager signals the whole group. SIGTSTP
# is not among them: Ctrl-Z stops the job as a whole, and `fg` continues it.
IGNORED: Final = (
    signal.SIGINT,
    signal.SIGTERM,
    signal.SIGHUP,
    signal.SIGQUIT,
    signal.SIGUSR1,
    signal.SIGUSR2,
    signal.SIGPIPE,
    signal.SIGXFSZ,
)


def prctl(option: int, argument: int | bytes) -> int:
    """prctl(2) with one argument, for the calling process: 0, or the errno of its refusal."""
    value = ctypes.c_char_p(argument) if isinstance(argument, bytes) else ctypes.c_ulong(argument)
    refused = ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0)
    return ctypes.get_errno() if refused else 0


def die_with(parent: int) -> None:
    """Have the kernel kill this process when its parent ends, and end now if that has happened already."""
    prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    # The parent may have died before that: then the kernel sends no signal.
    if os.getppid() != parent:
        os._exit(1)


def _reset_signals() -> None:
    signal.set_wakeup_fd(-1)
    for number in signal.valid_signals():
        if callable(signal.getsignal(number)):
            signal.signal(number, signal.SIG_DFL)
    for number in IGNORED:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def _become_child(name: str, parent: int) -> None:
    die_with(parent)
    prctl(PR_SET_NAME, name.encode())
    prctl(PR_SET_TIMERSLACK, TIMER_SLACK_NS)
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


def cause_of(exit_code: int | None) -> str:
    """An exit code in words: "killed by SIGSEGV", "ended with exit code 1"; "gone" where it is not known."""
    if exit_code is None:
        return "gone"
    if exit_code < 0:
        try:
            return f"killed by {signal.Signals(-exit_code).name}"
        except ValueError:
            return f"killed by signal {-exit_code}"
    return f"ended with exit code {exit_code}"


def ending(exit_code: int | None) -> str:
    """The cause of an end as a predicate: "was killed by SIGSEGV", "ended with exit code 1", "is gone"."""
    verb = "is " if exit_code is None else "was " if exit_code < 0 else ""
    return verb + cause_of(exit_code)
