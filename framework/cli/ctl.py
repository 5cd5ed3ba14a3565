"""`zcframe ctl`: ask a run that was started with --ctl how it goes, or end it."""

from __future__ import annotations

import argparse

from zcframe.framework.ctl.ask import ask
from zcframe.framework.ctl.words import ORDERS


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("path", metavar="PATH", help="the socket that zcframe run --ctl PATH made")
    told = "; ".join(f"{word}: {doc}" for word, doc in ORDERS.items())
    parser.add_argument("order", metavar="|".join(ORDERS), choices=list(ORDERS), help=told)


def execute(options: argparse.Namespace) -> int:
    """Print the answer. Raises ZcframeError where there is none."""
    print(ask(options.path, options.order))
    return 0
