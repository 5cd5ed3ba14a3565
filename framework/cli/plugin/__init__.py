"""`zcframe plugin new|check|interpret|bench|explain`: the workbench of those who write plugins."""

from __future__ import annotations

import argparse

from zcframe.framework.cli.parser import add_options
from zcframe.framework.cli.verb import Verb
from zcframe.framework.errors import UsageError

from . import bench, check, explain, interpret, new

VERBS = {
    "new": Verb("write a plugin and its test, to begin with", new.add_arguments, new.execute),
    "check": Verb(
        "compile a plugin, and try it on traffic, damage, queues, merges and kills", check.add_arguments, check.execute
    ),
    "interpret": Verb(
        "run a plugin as plain Python, where print and breakpoint() work", interpret.add_arguments, interpret.execute
    ),
    "bench": Verb("measure what a plugin costs a packet", bench.add_arguments, bench.execute),
    "explain": Verb("show what the compiler made of a plugin", explain.add_arguments, explain.execute),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = "Verbs, each with a --help of its own: " + "; ".join(f"{n}: {v.doc}" for n, v in VERBS.items())
    add_options(parser, ["verbose"])


def execute(options: argparse.Namespace) -> int:
    """Refuse the command without a verb."""
    raise UsageError(f"zcframe plugin needs a verb: {', '.join(VERBS)} (zcframe plugin --help says what they do)")
