"""A process that is led from instruction to instruction, and may be killed between any two."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
from collections.abc import Callable

PTRACE_TRACEME, PTRACE_SINGLESTEP = 0, 9

libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
libc.ptrace.restype = ctypes.c_long


def _stop_here() -> None:
    libc.ptrace(PTRACE_TRACEME, 0, None, None)
    os.kill(os.getpid(), signal.SIGSTOP)


class Traced:
    """A child that stands still in front of `run()`; when that has returned, a signal says so."""

    def __init__(self, run: Callable[[], object]) -> None:
        self.pid = os.fork()
        if self.pid == 0:
            _stop_here()
            run()
            os.kill(os.getpid(), signal.SIGSTOP)
            os._exit(1)
        assert self._stopped() == signal.SIGSTOP

    def _stopped(self) -> int:
        """The signal that it stopped at."""
        _, status = os.waitpid(self.pid, os.WUNTRACED)
        assert os.WIFSTOPPED(status), status
        return os.WSTOPSIG(status)

    def step(self) -> bool:
        """One instruction; False where it is done."""
        assert libc.ptrace(PTRACE_SINGLESTEP, self.pid, None, None) == 0
        return self._stopped() == signal.SIGTRAP

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError, ChildProcessError):
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)


def can_trace() -> bool:
    """Containers may forbid it, and not every machine can step."""
    traced = Traced(lambda: None)
    try:
        return bool(libc.ptrace(PTRACE_SINGLESTEP, traced.pid, None, None) == 0)
    finally:
        traced.kill()
