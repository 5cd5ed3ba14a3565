"""`zcframe doctor`: what would keep live capture from working, or from being fast, and what mends it."""

from __future__ import annotations

import argparse
from dataclasses import asdict

from .parser import add_options

MARKS = {"ok": "ok  ", "warn": "warn", "fail": "FAIL", "none": "-   "}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--iface", metavar="IFACE", help="look at this interface, too")
    add_options(parser, ["json", "verbose"])


def execute(options: argparse.Namespace) -> int:
    """Print the findings; 1 where no live capture is possible, or none on the interface that is named."""
    from zcframe.framework.health import examine
    from zcframe.framework.nic import Interface

    ifname = getattr(options, "iface", None)
    if ifname is not None:
        Interface(ifname)
    found = examine(ifname)
    if getattr(options, "json", False):
        from zcframe.framework.outputs.document import one_line

        print(one_line({"checks": [asdict(check) for check in found]}))
    else:
        for check in found:
            print(f"{MARKS[check.state]}  {check.name:10}  {check.text}")
            if check.remedy and check.state != "ok":
                print(f"{'':18}{check.remedy}")
    return int(found[-1].state == "fail")
