"""`zcframe rings`: rings for other programs, and those who read them."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from typing import Any

from zcframe.framework.errors import OutputError

from .answer import answer
from .parser import add_options


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", nargs="*", metavar="NAME", default=[], help="names, or paths of sockets (all)")
    add_options(parser, ["json", "verbose"])


def _lines(rings: list[dict[str, Any]]) -> Iterator[str]:
    if not rings:
        yield "no ring: zcframe run --out ring:NAME makes one"
    for ring in rings:
        yield f"{ring['ring']}: {ring['written']:,} frames written by pid {ring['pid']}, {ring['slots']:,} slots"
        for row in ring["readers"]:
            counts = f"{row['read']:,} read, {row['lost']:,} lost, {row['unread']:,} unread"
            yield f"  {row['name']} (pid {row['pid']}) {row['state']}: {counts}"


def execute(options: argparse.Namespace) -> int:
    """Ask each ring; a socket of a dead run is passed over."""
    from zcframe.framework.outputs.ring.ask import ask
    from zcframe.framework.outputs.ring.names import path_of, sockets

    named = [path_of(name) for name in getattr(options, "name", [])]
    rings: list[dict[str, Any]] = []
    for path in named or map(str, sockets()):
        try:
            rings += filter(None, [ask(path)])
        except OutputError as error:
            if named:
                raise
            # Another user's ring is no reason to show none.
            print(f"zcframe: {error}", file=sys.stderr)
    answer(lambda: {"rings": rings}, lambda: _lines(rings), json="json" in options)
    return 0
