"""`zcframe run`: one run of the supervisor, and the observers that fit where its output goes."""

from __future__ import annotations

import argparse
import re
import shlex
import signal
import sys
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from zcframe.framework.child import ending
from zcframe.framework.config import OPTIONS, RunConfig, load, takes_commands
from zcframe.framework.errors import UsageError, ZcframeError
from zcframe.framework.garbage import uncollected
from zcframe.framework.stats import Observer, Observers, RunResult
from zcframe.framework.terminal import clean

from .answer import answer
from .parser import add_options

if TYPE_CHECKING:
    from zcframe.framework.ctl.control import Control

LOSS = 3
# An output that writes where the report would go.
STDOUT = re.compile(r"\w+:-(,|$)")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", metavar="FILE.toml", help="options in a file; the command line goes before it")
    add_options(parser, OPTIONS)
    parser.add_argument(
        "expression",
        nargs="*",
        metavar="EXPR",
        default=argparse.SUPPRESS,
        help="words of --filter, as tcpdump has them; behind -- if need be. With --out 'fifo:NAME{}', what is behind "
        "-- is a command, run for each share: the word {} is its FIFO, and {} in another word its number",
    )
    parser.set_defaults(behind=())


def _config(options: argparse.Namespace) -> RunConfig:
    """The options; words behind them are the command of a FIFO's shares, or --filter. Raises UsageError."""
    given = dict(vars(options))
    words, behind = given.pop("expression", ()), given.pop("behind", ())
    config = load(given)
    if behind and any(map(takes_commands, config.out)):
        config, behind = replace(config, command=behind), ()
    expression = " ".join((*words, *behind))
    if expression and "filter" in given:
        raise UsageError(f"--filter {given['filter']} and {expression!r} behind the options: give one of them")
    return replace(config, filter=expression, given=config.given | {"filter"}) if expression else config


def _may_be_live() -> bool:
    # A terminal first: without one, what draws is not imported.
    if not sys.stdout.isatty():
        return False
    from zcframe.framework.show.live import fits

    return fits(sys.stdout)


def _observers(config: RunConfig) -> Iterator[Observer]:
    """The observers of the run, in the order in which they are called: the one that holds the terminal comes first."""
    from zcframe.framework.show.notices import Notices

    packets = any(STDOUT.match(text) for text in (*config.out, *config.rows))
    if packets and config.json:
        raise UsageError("--json and an output on standard output: send one of them elsewhere")
    if config.json:
        from zcframe.framework.outputs.document import DocumentObserver

        yield from (Notices(announces=True), DocumentObserver(interval=config.stats_interval is not None))
        return
    from zcframe.framework.show.summary import SummaryObserver, TickObserver

    live = not packets and _may_be_live()
    if live:
        from zcframe.framework.show.live import LiveObserver

        yield LiveObserver()
    yield Notices(announces=not live)
    if config.stats_interval is not None and not live:
        yield TickObserver()
    yield SummaryObserver(sys.stderr if packets else None, verbose=config.verbose)


# Signals that end the command before the supervisor handles them, as Ctrl-C does.
_ENDING = (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGXCPU)
# They are for a run that has counted something.
_EARLY = (signal.SIGUSR1, signal.SIGUSR2)


@contextmanager
def _terminated_as_interrupted() -> Iterator[None]:
    """Until the supervisor handles signals, let these end the command as Ctrl-C does; one that is ignored stays so."""
    ending = [number for number in _ENDING if signal.getsignal(number) != signal.SIG_IGN]
    before = {number: signal.signal(number, signal.default_int_handler) for number in ending}
    before |= {number: signal.signal(number, signal.SIG_IGN) for number in _EARLY}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _check(config: RunConfig) -> int:
    from zcframe.framework.outputs.document import plan_document
    from zcframe.framework.show.notices import Notices
    from zcframe.framework.show.run_plan import plan_lines
    from zcframe.framework.supervisor import plan

    found = plan(config)
    answer(lambda: plan_document(found), lambda: plan_lines(found), json=config.json)
    if not config.json:
        Notices().warnings(found.warnings)
    return 0


def exit_code(result: RunResult, max_loss: float | None) -> int:
    """The run's own code; 3 where it went well but lost more than `max_loss` of what arrived."""
    if result.exit_code == 0 and max_loss is not None and result.last.loss > max_loss:
        return LOSS
    return result.exit_code


def loss_line(result: RunResult, config: RunConfig) -> str:
    """Why the exit code is LOSS."""
    return f"lost {result.last.loss:.4%} of the frames, more than --max-loss {config.max_loss}"


def _say(text: str) -> None:
    """Write a line to stderr. The terminal may have hung up: that changes nothing of how the run ended."""
    with suppress(OSError):
        print(f"zcframe: {text}", file=sys.stderr, flush=True)


def _command_lines(result: RunResult) -> Iterator[str]:
    """How each command ended that frames flowed to."""
    for output in result.last.outputs:
        for row in output.commands:
            if row.served:
                told = ", when it was told to end" if row.stopped else ""
                yield clean(f"share {row.share} {ending(row.exit_code)}{told}: {shlex.join(row.command)}")


def _conclude(result: RunResult, config: RunConfig) -> int:
    code = exit_code(result, config.max_loss)
    for line in _command_lines(result):
        _say(line)
    if result.error:
        failure = ZcframeError(result.error, details=result.details)
        failure.exit_code = code
        raise failure
    if code == LOSS:
        _say(loss_line(result, config))
    return code


def supervise(config: RunConfig, watching: Iterable[Observer], control: Control | None = None) -> RunResult:
    """The run itself. Raises ZcframeError where it cannot start, KeyboardInterrupt where it was ended before that."""
    with uncollected():
        from zcframe.framework.supervisor import run

    with closing(Observers(tuple(watching))) as observers:
        observers.preparing()
        return run(config, observers, control)


@contextmanager
def _controlled(config: RunConfig) -> Iterator[Control | None]:
    """The control socket of --ctl, where it was asked for. Raises UsageError."""
    if config.ctl is None:
        yield None
        return
    from zcframe.framework.ctl.control import Control

    with closing(Control(config.ctl)) as control:
        try:
            yield control
        except ZcframeError as error:
            control.ended(error.exit_code)
            raise


def carry_out(config: RunConfig, observers: Iterable[Observer]) -> int:
    """One run, watched by these. Exit code 0, also after SIGINT, SIGTERM and SIGHUP. Raises ZcframeError."""
    with _terminated_as_interrupted():
        try:
            with _controlled(config) as control:
                result = supervise(config, observers, control)
                if control is not None:
                    control.ended(exit_code(result, config.max_loss))
            return _conclude(result, config)
        except KeyboardInterrupt:
            _say("ended before the first packet")
            return 0


def execute(options: argparse.Namespace) -> int:
    """Run. Exit code 0, also after SIGINT, SIGTERM and SIGHUP; 1, 2 by the error; 3 for loss above --max-loss."""
    config = _config(options)
    if config.check:
        with _terminated_as_interrupted():
            return _check(config)
    return carry_out(config, _observers(config))
