"""`zcframe plugin bench`: what a plugin costs a packet, alone."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import TYPE_CHECKING

from zcframe.framework.cli.answer import answer
from zcframe.framework.cli.parser import add_options

from .given import add_plugin, add_read, traffic

if TYPE_CHECKING:
    from zcframe.framework.workbench.timing import Cost, Spread

KIB = 1024


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_plugin(parser)
    add_read(parser)
    add_options(parser, ["json", "verbose"])


def _text(spread: Spread, unit: str) -> str:
    return f"{spread.middle:.1f} {unit}, {spread.low:.1f} to {spread.high:.1f} in half of the rounds"


def _lines(cost: Cost) -> Iterator[str]:
    yield f"packets       {cost.packets:,} in each of {cost.rounds} rounds, by one queue"
    yield f"alone         {_text(cost.alone, 'ns a packet')}"
    yield f"chain with    {_text(cost.with_it, 'ns a packet')}"
    yield f"chain without {_text(cost.without, 'ns a packet')}"
    if cost.instructions is None:
        yield f"instructions  not counted: {cost.refusal}"
    else:
        yield f"instructions  {_text(cost.instructions, 'a packet')}"
    yield f"state         {cost.state / KIB:,.0f} KiB, {cost.written / KIB:,.0f} KiB of them in written shards"


def execute(options: argparse.Namespace) -> int:
    """Print what the plugin costs. Raises PluginCompileError, CaptureFileError, UsageError."""
    from zcframe.framework.workbench.timing import cost_of
    from zcframe.framework.workbench.trial import resolve

    spec, frames = resolve(options.plugin, {}), traffic(options)
    cost = cost_of(spec, frames)
    document = {"plugin": spec.declared.name, **cost.as_json()}
    answer(lambda: document, lambda: _lines(cost), json="json" in options)
    return 0
