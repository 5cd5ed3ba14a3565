"""`zcframe plugin interpret`: the filter in plain Python, where print and breakpoint() work, and its report."""

from __future__ import annotations

import argparse
import sys

from zcframe.framework.cli.answer import answer
from zcframe.framework.cli.parser import add_options

from .given import add_plugin, add_read, traffic


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_plugin(parser)
    add_read(parser)
    add_options(parser, ["verbose"])


def execute(options: argparse.Namespace) -> int:
    """Print the report as JSON, and faults and counts of records on stderr. Raises UsageError, CaptureFileError."""
    from zcframe.framework.workbench.interpret import interpret
    from zcframe.framework.workbench.trial import resolve, settled

    result = interpret(settled(resolve(options.plugin, {}), 1), traffic(options))
    for fault in result.faults:
        print(f"zcframe: {fault.packets} packets faulted: {fault.reason}", file=sys.stderr)
    for name, records in result.records.items():
        cut = f", {records.cut} of them cut" if records.cut else ""
        print(f"zcframe: {len(records.rows)} records of {name} emitted{cut}", file=sys.stderr)
    answer(lambda: result.report, tuple, json=True)
    return 0
