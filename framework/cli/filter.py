"""`zcframe filter`: the program of a tcpdump expression, and how many packets of capture files match it."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

from zcframe.framework.config import load
from zcframe.framework.filters.libpcap import compile_expression
from zcframe.framework.filters.program import Program

from .answer import answer
from .parser import add_options


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "expression", nargs="*", metavar="EXPR", default=argparse.SUPPRESS, help="a tcpdump expression (all packets)"
    )
    add_options(parser, ["read", "json", "verbose"])


def _counted(files: Sequence[str], program: Program) -> tuple[int, int]:
    """(packets, those that match) of all files. Raises CaptureFileError, LinkTypeError."""
    from zcframe.framework.sources.capture.matches import Matches

    matches = Matches(program)
    for path in files:
        matches.add(path)
    return matches.packets, matches.matched


def execute(options: argparse.Namespace) -> int:
    """Print the program as `tcpdump -d` does; with --read count the packets first, so that an error is all there is."""
    given = dict(vars(options))
    expression = " ".join(given.pop("expression", ()))
    config = load(given)
    program = compile_expression(expression, "the expression")
    document: dict[str, Any] = {"filter": expression, "program": list(program.listing)}
    lines = list(program.listing)
    if config.read:
        packets, matched = _counted(config.read, program)
        document |= {"packets": packets, "matched": matched}
        lines.append(f"{matched:,} of {packets:,} packets match")
    answer(lambda: document, lambda: lines, json=config.json)
    return 0
