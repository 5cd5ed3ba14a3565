"""The side process of a change: it reads, compiles and tries the new version, while the run goes on."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from typing import Any, Final

from zcframe.framework.child import cause_of
from zcframe.framework.errors import ZcframeError
from zcframe.framework.supervisor.process import Process

from .trial import PATIENCE_S

NAME: Final = "zc-change"
# Workers come first.
NICENESS: Final = 5
# What it says fits a pipe, so that it never waits.
LONGEST: Final = 32 * 1024


def _body(say: Callable[[dict[str, str]], None], job: Callable[[], str]) -> None:
    os.nice(NICENESS)
    try:
        say({"made": job()})
    except ZcframeError as error:
        say({"error": str(error), "details": error.details})
    except Exception as error:
        say({"error": " ".join(f"this is a bug in zcframe: {type(error).__name__}: {error}".split())})


class Side:
    """A fork that runs `job`; `fileno()` is readable when it has ended. Raises OSError where the system refuses it."""

    def __init__(self, job: Callable[[], str]) -> None:
        self._read, write = os.pipe2(os.O_CLOEXEC)

        def say(message: dict[str, str]) -> None:
            short = {name: text[: LONGEST // 32] for name, text in message.items()}
            os.write(write, json.dumps(short).encode())

        try:
            self._process = Process(NAME, lambda: _body(say, job))
        except BaseException:
            os.close(self._read)
            raise
        finally:
            os.close(write)

    def fileno(self) -> int:
        return self._process.fileno()

    def kill(self) -> None:
        self._process.kill()

    def result(self) -> str:
        """What the job returned; waits for it. Raises ZcframeError: the job's own error, or how the process ended."""
        code = self._process.reap()
        try:
            found: dict[str, Any] = json.loads(os.read(self._read, LONGEST) or b"{}")
        finally:
            os.close(self._read)
        if "made" in found:
            return str(found["made"])
        if code == -signal.SIGPROF:
            raise ZcframeError(
                f"a plugin does not return within {PATIENCE_S:g} s of CPU time, while it is read or tried: give its"
                " loops a bound"
            )
        ended = f"the process that was to make the new version was {cause_of(code)}" if code else "nothing was made"
        raise ZcframeError(str(found.get("error", ended)), details=str(found.get("details", "")))
