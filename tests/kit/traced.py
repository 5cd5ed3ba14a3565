"""A process that is led from instruction to instruction, and may be killed between any two."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
from collections.abc import Callable
from typing import Self

PTRACE_TRACEME, PTRACE_CONT, PTRACE_SINGLESTEP = 0, 7, 9
CRASHES = {signal.SIGSEGV, signal.SIGBUS, signal.SIGILL, signal.SIGFPE, signal.SIGABRT}

libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
libc.ptrace.restype = ctypes.c_long


def trace_me() -> None:
    """In the child: from here on its parent leads it."""
    libc.ptrace(PTRACE_TRACEME, 0, None, None)
    os.kill(os.getpid(), signal.SIGSTOP)


def may_trace() -> bool:
    """Containers may forbid it, and not every machine can step."""
    with Traced.ahead_of(lambda: None) as traced:
        return bool(libc.ptrace(PTRACE_SINGLESTEP, traced.pid, None, None) == 0)


class Traced:
    """Child `pid`, which stands still as soon as it has called `trace_me`."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        assert self._stopped() == signal.SIGSTOP

    @classmethod
    def ahead_of(cls, run: Callable[[], object]) -> Self:
        """A fork ahead of `run()`; when that has returned, it stops by a signal."""
        pid = os.fork()
        if pid == 0:
            try:
                trace_me()
                run()
                os.kill(os.getpid(), signal.SIGSTOP)
            finally:
                os._exit(1)
        return cls(pid)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def _stopped(self) -> int:
        """The signal that it stopped at. A crash is one, too, and would come again and again."""
        _, status = os.waitpid(self.pid, os.WUNTRACED)
        assert os.WIFSTOPPED(status), status
        assert os.WSTOPSIG(status) not in CRASHES, signal.strsignal(os.WSTOPSIG(status))
        return os.WSTOPSIG(status)

    def go_on(self) -> int:
        """Up to its next signal, which is returned."""
        assert libc.ptrace(PTRACE_CONT, self.pid, None, None) == 0
        return self._stopped()

    def step(self) -> bool:
        """One instruction; False where a signal came in its place."""
        assert libc.ptrace(PTRACE_SINGLESTEP, self.pid, None, None) == 0
        return self._stopped() == signal.SIGTRAP

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError, ChildProcessError):
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
