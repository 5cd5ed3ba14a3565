"""`zcframe doctor`: what would keep live capture from working, or from being fast, and what mends it."""

from __future__ import annotations

import argparse
from dataclasses import asdict

from .answer import answer
from .parser import add_options


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--iface", metavar="IFACE", help="look at this interface, or at any, too")
    add_options(parser, ["json", "verbose"])


def execute(options: argparse.Namespace) -> int:
    """Print the findings; 1 where no live capture is possible, or none on the interface that is named."""
    from zcframe.framework.config import ANY
    from zcframe.framework.health import examine
    from zcframe.framework.nic import Interface
    from zcframe.framework.show.findings import finding_lines

    ifname = getattr(options, "iface", None)
    if ifname is not None and ifname != ANY:
        ifname = Interface(ifname).name
    found = examine(ifname)
    answer(
        lambda: {"checks": [asdict(check) for check in found]},
        lambda: finding_lines(found),
        json="json" in options,
    )
    return int(found[-1].state == "fail")
