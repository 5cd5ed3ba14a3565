"""`zcframe ctl`: ask a run that was started with --ctl how it goes, change it while it goes on, or end it."""

from __future__ import annotations

import argparse

from zcframe.framework.ctl.ask import ask
from zcframe.framework.ctl.words import DROP_STATE, FILTER, ORDERS, RELOAD
from zcframe.framework.errors import UsageError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("path", metavar="PATH", help="the socket that zcframe run --ctl PATH made")
    told = "; ".join(f"{word}: {doc}" for word, doc in ORDERS.items())
    parser.add_argument("order", metavar="|".join(ORDERS), choices=list(ORDERS), help=told)
    parser.add_argument("expression", metavar="EXPR", nargs="*", default=[], help=f"with {FILTER}: the expression")
    parser.add_argument(
        DROP_STATE, action="store_true", default=False, help=f"with {RELOAD}: state of another layout begins anew"
    )


def _order(options: argparse.Namespace) -> str:
    """The line to send. Raises UsageError where something is missing, or too much."""
    expression: list[str] = options.expression
    if options.order == FILTER and not expression:
        raise UsageError(f"{FILTER}: a tcpdump expression is needed; '' shows all packets")
    if options.order != FILTER and expression:
        raise UsageError(f"{options.order}: {expression[0]} is too much")
    if options.order != RELOAD and options.drop_state:
        raise UsageError(f"{DROP_STATE}: only {RELOAD} drops state")
    words = [*" ".join(expression).split(), *([DROP_STATE] if options.drop_state else [])]
    return " ".join([options.order, *words])


def execute(options: argparse.Namespace) -> int:
    """Print the answer. Raises ZcframeError where there is none."""
    print(ask(options.path, _order(options)))
    return 0
