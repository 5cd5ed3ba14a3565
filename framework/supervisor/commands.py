"""Commands that read the shares of a FIFO, one a share: started before frames flow, waited for after the last one.

Each is in a process group of its own, so that Ctrl-C reaches the run alone: then streams end, and commands with them.
"""

from __future__ import annotations

import os
import select
import shlex
import shutil
import signal
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from typing import Final

from zcframe.framework.child import die_with, ending
from zcframe.framework.errors import OutputError, UsageError, refusal
from zcframe.framework.outputs.output import SHARE, Output
from zcframe.framework.stats.outputs import CommandStats

# What is told to end may take so long to do it.
OBEY_S: Final = 2.0
STDERR: Final = 2


def _become_command(parent: int) -> None:
    die_with(parent)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


class Command:
    """One that runs. served: frames flowed to it. stopped: it was told to end. Raises OSError where it cannot start."""

    def __init__(self, words: Sequence[str], share: int, target: str) -> None:
        self.share, self.target = share, target
        self.words = [target if word == SHARE else word.replace(SHARE, str(share)) for word in words]
        self.served = self.stopped = False
        # stdout belongs to the report.
        self._process = subprocess.Popen(
            self.words,
            stdin=subprocess.DEVNULL,
            stdout=STDERR,
            process_group=0,
            preexec_fn=partial(_become_command, os.getpid()),
        )
        try:
            self._pidfd = os.pidfd_open(self._process.pid)
        except BaseException:
            self._process.kill()
            self._process.wait()
            raise

    def fileno(self) -> int:
        """Readable when it has ended."""
        return self._pidfd

    @property
    def code(self) -> int | None:
        """Its exit code, negative for a signal; None while it runs."""
        return self._process.returncode

    @property
    def failed(self) -> bool:
        return self.code not in (0, None) and not self.stopped

    def ended(self) -> str:
        """How it ended, in words."""
        return f"the command of share {self.share} {ending(self.code)}"

    def join(self, seconds: float) -> bool:
        """Wait for its end, at most so long; whether it has come."""
        end = select.poll()
        end.register(self._pidfd, select.POLLIN)
        return bool(end.poll(max(0.0, seconds) * 1000))

    def reap(self) -> None:
        """Learn its exit code, once it has ended."""
        self._process.wait()

    def signal(self, number: int) -> None:
        """To it and what it started, as long as it has not been reaped: its number is its own until then."""
        if self.code is None:
            self.stopped = True
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)

    def close(self) -> None:
        os.close(self._pidfd)

    def stats(self) -> CommandStats:
        return CommandStats(self.share, tuple(self.words), self._process.pid, self.code, self.served, self.stopped)


def _check(words: Sequence[str]) -> None:
    shown = shlex.join(words)
    if not any(SHARE in word for word in words):
        raise UsageError(f"-- {shown}: no word has {{}} in it, which alone is the FIFO, and else the share's number")
    if SHARE not in words[0] and shutil.which(words[0]) is None:
        raise UsageError(f"-- {shown}: there is no program {words[0]} that can be run")


class Commands:
    """All commands of a run: `words`, for each stream of `output`. Raises UsageError, OutputError, and leaves none."""

    def __init__(self, words: Sequence[str], output: Output) -> None:
        self.output = output
        self.members: list[Command] = []
        _check(words)
        try:
            for share, target in enumerate(output.targets()):
                self.members.append(Command(words, share, target))
        except (OSError, ValueError, subprocess.SubprocessError) as error:
            self.close()
            reason = refusal(error) if isinstance(error, OSError) else str(error)
            raise OutputError(f"-- {shlex.join(words)}: share {share} cannot be started: {reason}") from error
        except BaseException:
            self.close()
            raise

    @property
    def finished(self) -> bool:
        return all(member.code is not None for member in self.members)

    def require_all(self) -> None:
        """Nothing has flowed yet. Raises OutputError where one has ended already."""
        for member in self.members:
            if member.code is not None:
                text = f"{member.ended()} before it read {member.target}"
                raise OutputError(f"{text}: {shlex.join(member.words)}")

    def serve(self) -> None:
        """Frames flow from now on."""
        for member in self.members:
            member.served = True

    def require_success(self) -> None:
        """Raises OutputError where one has failed."""
        failed = [member for member in self.members if member.failed]
        if failed:
            shares = ", ".join(str(member.share) for member in failed)
            raise OutputError(f"{len(failed)} of {len(self.members)} commands failed: share {shares}")

    def stop(self) -> None:
        """End those that run: by SIGTERM, and after OBEY_S by SIGKILL."""
        for number, patience in ((signal.SIGTERM, OBEY_S), (signal.SIGKILL, OBEY_S)):
            deadline = time.monotonic() + patience
            for member in self.members:
                member.signal(number)
            for member in self.members:
                if member.code is None and member.join(deadline - time.monotonic()):
                    # What it left behind in its group ends, too.
                    member.signal(signal.SIGKILL)
                    member.reap()

    def close(self) -> None:
        """End those that are left, and give everything back."""
        self.stop()
        for member in self.members:
            member.close()
        self.members = []
