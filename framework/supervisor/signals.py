"""Signals of a run as a file descriptor: requests for its end, orderly or at once, and for the counters so far.

A signal that was ignored when the command started stays ignored, as `nohup` wants it. A shell without job control also
has its background jobs ignore SIGINT and SIGQUIT, so that Ctrl-C means the job in front. That is respected for signals
of the terminal; a signal that somebody sends to the run by `kill` is meant for it, and obeyed.
"""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress
from types import FrameType, TracebackType
from typing import Any, Final

# Requests for the end: the first one for an orderly end, the second one for an end at once.
ENDING: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGXCPU)
# A request for an end at once, with a report.
AT_ONCE: Final = (signal.SIGQUIT,)
HANDLED: Final = ENDING + AT_ONCE
# These may come several times for one reason: a terminal that hangs up (from the kernel and from the shell), a limit
# of CPU time (every second). They never count as a second request.
REPEATED: Final = (signal.SIGHUP, signal.SIGXCPU)
# Ctrl-C and Ctrl-\ of a terminal.
KEYS: Final = (signal.SIGINT, signal.SIGQUIT)
SHOW: Final = signal.SIGUSR1
UNUSED: Final = (signal.SIGUSR2,)
ENOUGH: Final = 2
# In siginfo: the kernel sent the signal, and not a process.
SI_KERNEL: Final = 0x80


def ignored(number: int) -> bool:
    """Whether this process ignores a signal now."""
    return signal.getsignal(number) == signal.SIG_IGN


class StopSignals:
    """While entered, `count` is how many stop signals came: ENOUGH, and the run is to end at once.

    Before `listen()` each of them also raises KeyboardInterrupt, which ends what takes long: imports, the compiler.
    After it `fileno()` becomes readable with each. After `conclude()` one more is only noted, the next one interrupts.
    """

    def __init__(self) -> None:
        self.count = 0
        self._shows = 0
        self._concluding: int | None = None
        self._read, self._write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._before: dict[int, Any] = {}
        self._held: set[int] = set()
        self._wakeup = -1

    def __enter__(self) -> StopSignals:
        self._hook, sys.unraisablehook = sys.unraisablehook, self._unraisable
        self._held = {number for number in KEYS if ignored(number)}
        for number in self._held:
            self._before[number] = signal.signal(number, self._pass)
        # Only a blocked signal tells who sent it.
        signal.pthread_sigmask(signal.SIG_BLOCK, self._held)
        for number in HANDLED:
            if number not in self._held and not ignored(number):
                self._before[number] = signal.signal(number, self._interrupt)
        for number in (SHOW, *UNUSED):
            self._before[number] = signal.signal(number, self._pass)
        # Where it is ignored, the kernel reaps our children itself, and nobody learns how they ended.
        self._before[signal.SIGCHLD] = signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        return self

    def listen(self) -> None:
        """Interrupt no more. Raises KeyboardInterrupt for a signal that came and interrupted nothing."""
        for number in HANDLED:
            if number in self._before and number not in self._held:
                signal.signal(number, self._note)
        signal.signal(SHOW, self._note_show)
        self._wakeup = signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)
        if self.look():
            raise KeyboardInterrupt

    def conclude(self) -> None:
        """The run is over. What is left may hang, such as a pipe that nobody reads: a second signal interrupts it."""
        self._concluding = self.count

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        signal.set_wakeup_fd(self._wakeup)
        self._hear_held()
        for number, handler in self._before.items():
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, self._held)
        sys.unraisablehook = self._hook
        os.close(self._read)
        os.close(self._write)

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        self._count(number)
        raise KeyboardInterrupt

    def _unraisable(self, failure: sys.UnraisableHookArgs) -> None:
        # Python drops what is raised in a callback from C, of which llvmlite has some: `listen()` raises it again.
        if not issubclass(failure.exc_type, KeyboardInterrupt):
            self._hook(failure)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._count(number)
        if self._concluding is not None and self.count >= self._concluding + ENOUGH:
            raise KeyboardInterrupt

    def _note_show(self, number: int, frame: FrameType | None) -> None:
        self._shows += 1

    def _pass(self, number: int, frame: FrameType | None) -> None:
        """Nothing is done for this signal."""

    def _count(self, number: int) -> None:
        if number in REPEATED:
            self.count = max(self.count, 1)
        else:
            self.count += ENOUGH if number in AT_ONCE else 1

    def ask(self) -> None:
        """Count a request for the end that is no signal, as Ctrl-C is counted."""
        self.count += 1

    def _hear_held(self) -> None:
        """Count the signals that processes sent, of those that the terminal may not send."""
        while self._held and (info := signal.sigtimedwait(self._held, 0)):
            if info.si_code != SI_KERNEL:
                self._count(info.si_signo)

    def fileno(self) -> int:
        return self._read

    def drain(self) -> None:
        """Empty the pipe after a wake-up."""
        with suppress(BlockingIOError):
            os.read(self._read, 512)

    def look(self) -> int:
        """`count`, after the signals that wake nobody were looked for."""
        self._hear_held()
        return self.count

    def take_show(self) -> bool:
        """Whether the counters were asked for since the last call."""
        asked, self._shows = self._shows > 0, 0
        return asked
