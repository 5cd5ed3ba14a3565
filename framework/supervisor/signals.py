"""SIGINT and SIGTERM as a file descriptor: the first signal asks for an orderly end, the second for an end at once."""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType, TracebackType
from typing import Any

HANDLED = (signal.SIGINT, signal.SIGTERM)


class StopSignals:
    """While entered, `count` is how many stop signals came.

    Before `listen()` each of them also raises KeyboardInterrupt, which ends what takes long: imports, the compiler.
    After it `fileno()` becomes readable with each.
    """

    def __init__(self) -> None:
        self.count = 0
        self._read, self._write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._before: dict[int, Any] = {}
        self._wakeup = -1

    def __enter__(self) -> StopSignals:
        self._hook, sys.unraisablehook = sys.unraisablehook, self._unraisable
        self._before = {number: signal.signal(number, self._interrupt) for number in HANDLED}
        return self

    def listen(self) -> None:
        """Interrupt no more. Raises KeyboardInterrupt for a signal that came and interrupted nothing."""
        for number in HANDLED:
            signal.signal(number, self._note)
        self._wakeup = signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)
        if self.count:
            raise KeyboardInterrupt

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        signal.set_wakeup_fd(self._wakeup)
        for number, handler in self._before.items():
            signal.signal(number, handler)
        sys.unraisablehook = self._hook
        os.close(self._read)
        os.close(self._write)

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        self.count += 1
        raise KeyboardInterrupt

    def _unraisable(self, failure: sys.UnraisableHookArgs) -> None:
        # Python drops what is raised in a callback from C, of which llvmlite has some: `listen()` raises it again.
        if not issubclass(failure.exc_type, KeyboardInterrupt):
            self._hook(failure)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.count += 1

    def fileno(self) -> int:
        return self._read

    def drain(self) -> None:
        """Empty the pipe after a wake-up."""
        try:
            os.read(self._read, 512)
        except BlockingIOError:
            return
