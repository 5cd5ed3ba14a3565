"""A child process and the descriptor that tells its end."""

from __future__ import annotations

import os
import select
import signal
from collections.abc import Callable
from contextlib import suppress

from zcframe.framework.child import fork_child


class Process:
    """A fork of this process that runs `body`; `fileno()` is readable when it has ended.

    Raises OSError where the system refuses the process or the descriptor; then there is neither of them.
    """

    def __init__(self, name: str, body: Callable[[], None]) -> None:
        self.pid = fork_child(name, body)
        try:
            self._pidfd = os.pidfd_open(self.pid)
        except BaseException:
            self.kill()
            self._wait()
            raise

    def fileno(self) -> int:
        return self._pidfd

    @property
    def alive(self) -> bool:
        return not self.join(0.0)

    def join(self, seconds: float) -> bool:
        """Wait for the end, at most so long; whether it has come."""
        end = select.poll()
        end.register(self._pidfd, select.POLLIN)
        return bool(end.poll(seconds * 1000))

    def kill(self) -> None:
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)

    def reap(self) -> int | None:
        """Wait for the end and give the descriptor back; the exit code, negative for a signal.

        None where nobody knows it, since another part of this program, or the kernel, has reaped the process.
        """
        code = self._wait()
        os.close(self._pidfd)
        return code

    def _wait(self) -> int | None:
        try:
            return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        except ChildProcessError:
            return None
