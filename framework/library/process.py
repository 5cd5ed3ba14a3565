"""The process of a run, held by its host: started by exec, ended with the host, however that ends.

The host's threads, signal handlers and mask are none of its concern: it is a session of its own, so that Ctrl-C of a
terminal reaches the host alone.
"""

from __future__ import annotations

import logging
import os
import re
import select
import signal
import socket
import subprocess
import sys
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final

from zcframe.framework.child import ending

from .channel import Channel
from .errors import RunError
from .message import Ended, Line
from .options import Request
from .records import RecordsFile

log = logging.getLogger("zcframe")

MODULE: Final = "zcframe.framework.cli.hosted"
# A line of the command's stderr: a time where it has one, and whether it is a warning.
SAID: Final = re.compile(r"(?:\S+ )?zcframe: (warning: )?(.*)")
# A process that was told to end at once may take so long for it; NICs get their settings back meanwhile.
OBEY_S: Final = 10.0

# What a run is told by. It inherits them blocked, so that one that comes before it is ready waits.
INTERRUPTS: Final = frozenset({signal.SIGINT, signal.SIGQUIT, signal.SIGUSR1})

_held: weakref.WeakSet[Process] = weakref.WeakSet()


def _environment() -> dict[str, str]:
    """The host's, with its module path: what the host imports, the run finds, too."""
    path = os.pathsep.join(os.path.abspath(entry) for entry in sys.path)
    return {**os.environ, "PYTHONPATH": path}


@contextmanager
def _blocked(numbers: frozenset[signal.Signals]) -> Iterator[None]:
    """Block signals for this thread, for the moment in which a child is made."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _let_go() -> None:
    """In a fork of the host: the run belongs to the host alone, and has to notice its end."""
    for process in list(_held):
        process.drop()


os.register_at_fork(after_in_child=_let_go)


class Process:
    """The process of one run; fileno() is readable when it says something. Raises RunError where it cannot start."""

    def __init__(self, request: Request) -> None:
        if not sys.executable:
            raise RunError("a run is a process of its own, and this program does not know its Python: sys.executable")
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        read, write = os.pipe2(os.O_CLOEXEC)
        self.channel, self._lifeline, self._pid = Channel(ours), write, os.getpid()
        self.asked = 0
        try:
            self.records = RecordsFile() if request.records else None
            records = [] if self.records is None else [self.records.fileno()]
            with _blocked(INTERRUPTS):
                self._child = subprocess.Popen(
                    [sys.executable, "-P", "-m", MODULE, *map(str, (theirs.fileno(), read, *records))],
                    stdin=None if request.reads_stdin else subprocess.DEVNULL,
                    env=_environment(),
                    pass_fds=(theirs.fileno(), read, *records),
                    start_new_session=True,
                )
        except OSError as error:
            self.drop()
            raise RunError(f"the system refused: {error}") from error
        finally:
            theirs.close()
            os.close(read)
        _held.add(self)
        with suppress(OSError):
            # Where it is gone already, that is told when its answer is missed.
            self.channel.send(request)

    @property
    def pid(self) -> int:
        return self._child.pid

    def fileno(self) -> int:
        return self.channel.fileno()

    def waits(self, seconds: float | None) -> bool:
        """Wait until it says something, at most so long, None: without end; whether it has."""
        ready = select.poll()
        ready.register(self.channel, select.POLLIN)
        return bool(ready.poll(None if seconds is None else seconds * 1000))

    def hear(self) -> Any:
        """Its next message. Lines for people are passed on, and None; an end without a word becomes Ended."""
        try:
            message = self.channel.receive()
        except (EOFError, ConnectionResetError):
            code = self._child.wait()
            # Asked before it could speak, it ends as the command does: with 0, and no word.
            if code == 0 and self.asked:
                return Ended(0, "")
            return Ended(1, f"the process of the run {ending(code)}")
        if isinstance(message, Line):
            _pass_on(message)
            return None
        return message

    def ask(self) -> None:
        """Ask for the counters so far."""
        self._signal(signal.SIGUSR1)

    def stop(self) -> None:
        """Ask for the end: the first time for an orderly one, then for one at once."""
        self._signal(signal.SIGINT if not self.asked else signal.SIGQUIT)
        self.asked += 1

    def _signal(self, number: int) -> None:
        # Popen sends none to a process that it has reaped, whose number may be another's.
        with suppress(ProcessLookupError):
            self._child.send_signal(number)

    def drop(self) -> None:
        """Let go of it: it ends by itself, and nobody hears of it."""
        _held.discard(self)
        self.channel.close()
        if self._lifeline >= 0:
            os.close(self._lifeline)
            self._lifeline = -1

    def close(self) -> None:
        """End it at once where it runs, and leave no zombie; may be called again."""
        if self._pid != os.getpid() or self._lifeline < 0:
            return
        self.drop()
        try:
            self._child.wait(OBEY_S)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()

    def __del__(self) -> None:
        if hasattr(self, "_child"):
            self.close()


def _pass_on(line: Line) -> None:
    """Messages of the run go to the logger `zcframe`, what a plugin printed to where the host prints."""
    said = SAID.fullmatch(line.text) if line.stream == "stderr" else None
    if said:
        log.log(logging.WARNING if said[1] else logging.INFO, "%s", said[2])
    else:
        print(line.text, file=sys.stderr if line.stream == "stderr" else sys.stdout)
