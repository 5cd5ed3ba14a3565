"""The pipe whose other end the host holds, and nobody writes to: it closes when the host is gone, however it ended."""

from __future__ import annotations

import fcntl
import os
import select
import signal
from typing import Final

# An end at once, with settings restored: nobody is left to read a report.
GONE: Final = signal.SIGQUIT


def hold(pipe: int) -> None:
    """Have the kernel send GONE to this process when the other end closes; at once where it has.

    A death signal (PR_SET_PDEATHSIG) would come as soon as the thread ended that started this process.
    """
    fcntl.fcntl(pipe, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(pipe, fcntl.F_SETSIG, GONE)
    fcntl.fcntl(pipe, fcntl.F_SETFL, fcntl.fcntl(pipe, fcntl.F_GETFL) | os.O_ASYNC)
    closed = select.poll()
    closed.register(pipe, 0)
    if closed.poll(0):
        os.kill(os.getpid(), GONE)
