"""Finds the subcommand, runs it, and turns every failure into one line on stderr and an exit code."""

from __future__ import annotations

import atexit
import errno
import importlib
import os
import signal
import sys
import traceback
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, NoReturn

from zcframe import __version__
from zcframe.framework import streams
from zcframe.framework.errors import UsageError, ZcframeError
from zcframe.framework.garbage import uncollected
from zcframe.framework.jit.environment import shield_numba
from zcframe.framework.nearest import hint

from .parser import Parser

FAILED = 1
USAGE = 2
NO_FILES = (errno.EMFILE, errno.ENFILE)

COMMANDS = {
    "run": "capture: run the plugins on every packet and report",
    "plugins": "list what is installed, with parameters and docs",
    "plugin": "write, check and measure a plugin of your own",
    "affinity": "print the topology and the plan, and what would be pinned where",
    "doctor": "say what keeps live capture from working, or from being fast, and what mends it",
    "rss": "predict the queue balance of a capture, or show, set and restore a NIC's",
    "setup-capture": "let a group capture without root, by a copy of the interpreter",
    "nic": "list cards, give one to zc82576 or back, show how one is doing",
    "filter": "show the program of a tcpdump expression, and count the packets of files that match",
    "dump": "capture to a file, or from one file to another, as tcpdump -w does",
    "rings": "list the rings of running captures, and the programs that read them",
    "extcap": "be an interface of Wireshark and tshark, by their conventions",
    "ctl": "ask a run that goes on for its status or a snapshot, change its plugins or filter, or end it",
    "report": "write a run's JSON document as a page with figures",
}

HELP = f"""usage: zcframe COMMAND [OPTION]...

Multi-queue, RSS-aware packet capture: plugins written in Python, run at native speed.

commands:
{"".join(f"  {name:13} {doc}{chr(10)}" for name, doc in COMMANDS.items())}
  zcframe COMMAND --help lists the options of a command; zcframe --version prints the version.
  Start with: zcframe run --queues 8

exit codes: 0 done, also after Ctrl-C; 1 failed; 2 wrong usage; 3 loss above --max-loss
"""


def load_command(name: str) -> Any:
    """The module of a subcommand."""
    with uncollected():
        return importlib.import_module(f".{name.replace('-', '_')}", __package__)


def _command(name: str, arguments: Sequence[str]) -> int:
    """Parse the arguments of one subcommand, or of one of its verbs, and run it."""
    command = load_command(name)
    prog, description = f"zcframe {name}", COMMANDS[name]
    verbs = getattr(command, "VERBS", {})
    if verbs and arguments and not arguments[0].startswith("-"):
        verb, *arguments = arguments
        if verb not in verbs:
            raise UsageError(f"{prog} has no verb {verb!r}{hint(verb, verbs)} ({prog} --help lists them)")
        command, prog, description = verbs[verb], f"{prog} {verb}", verbs[verb].doc
    parser = Parser(prog=prog, description=f"{description}.")
    command.add_arguments(parser)
    return int(command.execute(parser.parse(arguments)))


def _dispatch(arguments: Sequence[str]) -> int:
    if not arguments:
        raise UsageError(f"a command is needed: {', '.join(COMMANDS)} (zcframe --help says what they do)")
    first = arguments[0]
    if first in ("-h", "--help", "help"):
        print(HELP, end="")
        return 0
    if first in ("-V", "--version"):
        print(f"zcframe {__version__}")
        return 0
    if first not in COMMANDS:
        known = [*COMMANDS, "--help", "--version"]
        raise UsageError(f"there is no command {first!r}{hint(first, known)} (zcframe --help lists all)")
    return _command(first, arguments[1:])


def _complain(message: str, details: str, *, verbose: bool) -> None:
    print(f"zcframe: {message}", file=sys.stderr)
    if details and verbose:
        print(details, file=sys.stderr)
    elif details:
        print("zcframe: -v shows more", file=sys.stderr)


def bug_line(error: Exception, more: str) -> str:
    """What is said of an exception that nobody expected. more: what its reader can do."""
    return f"this is a bug in zcframe, {more}: {' '.join(f'{type(error).__name__}: {error}'.split())}"


def _bug(error: Exception, *, verbose: bool) -> int:
    if verbose:
        traceback.print_exception(error)
    more = "please report it with the lines above" if verbose else "-v shows where"
    print(f"zcframe: {bug_line(error, more)}", file=sys.stderr)
    return FAILED


def refused_line(error: OSError) -> str:
    """What is said of an error of the operating system."""
    limit = f"{error.strerror}: raise the limit (ulimit -n), or use fewer --queues"
    return f"the system refused: {limit if error.errno in NO_FILES else error}"


def _refused(error: OSError, *, verbose: bool) -> int:
    """Report an error of the operating system that no other code handles, such as a full disk. It is not a bug."""
    if verbose:
        traceback.print_exception(error)
    print(f"zcframe: {refused_line(error)}", file=sys.stderr)
    return FAILED


def _hold_keys() -> None:
    """Block Ctrl-C and Ctrl-\\ where a shell has this background job ignore them: a run looks later who sent them.

    This comes before the import of numpy, whose threads would take, and so ignore, what is sent meanwhile.
    """
    keys = (signal.SIGINT, signal.SIGQUIT)
    signal.pthread_sigmask(signal.SIG_BLOCK, {key for key in keys if signal.getsignal(key) == signal.SIG_IGN})


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line `argv`: returns the exit code, raises nothing. None: the process's own, which then ends."""
    streams.occupy()
    _hold_keys()
    shield_numba()
    with streams.standard():
        code = _outcome(list(sys.argv[1:] if argv is None else argv))
    return _end(code) if argv is None else code


def _end(code: int) -> NoReturn:
    """End the process. Python would first take apart, one by one, all the objects that the kernel frees at once."""
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)


def _outcome(arguments: Sequence[str]) -> int:
    """Exit code of the command; whatever went wrong was told."""
    verbose = not {"-v", "--verbose"}.isdisjoint(arguments)
    try:
        return _dispatch(arguments)
    except ZcframeError as error:
        _complain(str(error), error.details, verbose=verbose)
        return error.exit_code
    except BrokenPipeError:
        return FAILED
    except KeyboardInterrupt:
        print("zcframe: interrupted", file=sys.stderr)
        return FAILED
    except OSError as error:
        return _refused(error, verbose=verbose)
    except SystemExit as stop:  # argparse after --help
        return stop.code if isinstance(stop.code, int) else FAILED
    except Exception as error:
        return _bug(error, verbose=verbose)
