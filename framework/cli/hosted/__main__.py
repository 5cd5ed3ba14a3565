"""`python -m zcframe.framework.cli.hosted CHANNEL PIPE [RECORDS]`: what `zcframe.run` starts. Words are descriptors."""

from __future__ import annotations

import os
import signal
import socket
import sys
import traceback
from contextlib import suppress
from dataclasses import replace
from types import FrameType
from typing import NoReturn

from zcframe.framework import streams
from zcframe.framework.cli.front import bug_line, refused_line
from zcframe.framework.cli.run import LOSS, exit_code, loss_line, supervise
from zcframe.framework.config import RunConfig, load
from zcframe.framework.errors import PluginSpecError, ZcframeError
from zcframe.framework.jit.environment import shield_numba
from zcframe.framework.library.carried import Carried
from zcframe.framework.library.channel import Channel
from zcframe.framework.library.message import Ended
from zcframe.framework.library.options import Request
from zcframe.framework.stats import RunResult

from .lifeline import hold
from .voice import speaking

# Requests for the end, which a host may ignore, or handle, for reasons of its own.
_INTERRUPTS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGXCPU)
# Questions for the counters: before there are any, and behind the end, nobody answers.
_EARLY = (signal.SIGUSR1, signal.SIGUSR2)


class _Interrupt:
    """Raises KeyboardInterrupt for the first request for the end. A second one comes while that is dealt with."""

    def __init__(self) -> None:
        self._came = False

    def __call__(self, number: int, frame: FrameType | None) -> None:
        if not self._came:
            self._came = True
            raise KeyboardInterrupt


def _own_signals() -> None:
    """Begin as a command of a shell does, until the supervisor handles signals. Raises KeyboardInterrupt."""
    interrupt = _Interrupt()
    for number in _INTERRUPTS:
        signal.signal(number, interrupt)
    for number in _EARLY:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def _load(carried: Carried) -> None:
    """Make the class of a text. Raises PluginSpecError."""
    from zcframe.framework.jit.generated import place

    path = place(carried.text, carried.module)
    try:
        carried.load(str(path) if path.exists() else "")
    except (Exception, SystemExit) as error:
        frames = traceback.extract_tb(error.__traceback__)
        at = f"{frames[-1].filename}:{frames[-1].lineno}: " if frames else ""
        text = f"plugin {carried.member} cannot be made again in the run's process"
        raise PluginSpecError(f"{text}: {at}{type(error).__name__}: {error}") from error


def _conclude(result: RunResult, config: RunConfig) -> Ended:
    code = exit_code(result, config.max_loss)
    error = result.error or (loss_line(result, config) if code == LOSS else "")
    return Ended(code, error, result.details)


def _run(request: Request, channel: Channel, records: int | None) -> Ended:
    """The run, and how it ended. Raises ZcframeError, OSError."""
    from zcframe.framework.show.notices import Notices

    from .reporter import Reporter

    for carried in request.carried:
        _load(carried)
    config = replace(load(request.given), records_to=records)
    observers = [Notices(announces=True), Reporter(channel, progress=request.progress)]
    return _conclude(supervise(config, observers), config)


def _outcome(request: Request, channel: Channel, records: int | None) -> Ended:
    """How the run ended, whatever happened."""
    try:
        return _run(request, channel, records)
    except ZcframeError as error:
        return Ended(error.exit_code, str(error), error.details)
    except KeyboardInterrupt:
        return Ended(0)
    except OSError as error:
        return Ended(1, refused_line(error), traceback.format_exc())
    except Exception as error:
        return Ended(1, bug_line(error, "please report it"), traceback.format_exc())


def _ended(channel: Channel, pipe: int, records: int | None) -> Ended:
    """Take one request and run: how it ended. Raises OSError, EOFError where the host is gone before."""
    try:
        _own_signals()
        hold(pipe)
        request = channel.receive()
        with speaking(channel):
            return _outcome(request, channel, records)
    except KeyboardInterrupt:
        return Ended(0)
    finally:
        signal.pthread_sigmask(signal.SIG_BLOCK, _INTERRUPTS)


def main() -> NoReturn:
    """One run for one host; the process ends with it."""
    link, pipe, *records = map(int, sys.argv[1:4])
    streams.occupy()
    shield_numba()
    channel = Channel(socket.socket(fileno=link))
    with suppress(OSError, EOFError):
        channel.send(_ended(channel, pipe, records[0] if records else None))
    os._exit(0)


if __name__ == "__main__":
    main()
