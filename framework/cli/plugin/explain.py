"""`zcframe plugin explain`: types of locals, what was inlined, loops, divisions, memory taken."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from zcframe.framework.cli.answer import answer
from zcframe.framework.cli.parser import add_options

from .given import add_plugin

if TYPE_CHECKING:
    from zcframe.framework.workbench.explain import Explained
    from zcframe.framework.workbench.explain.machine import Machine
    from zcframe.framework.workbench.explain.typed import Typed


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_plugin(parser)
    add_options(parser, ["json", "verbose"])


def _lines_of(found: Typed) -> Iterator[str]:
    yield f"{found.name}() returns {found.returns}, {os.path.basename(found.file)}:{found.line}"
    for local in found.locals:
        yield f"  line {local.line:<5} {local.name} is {local.kind}"
    for line in found.loops:
        yield f"  line {line:<5} a loop"
    for line, sign in found.divisions:
        yield f"  line {line:<5} a division, {sign}"
    for line, kind in found.managed:
        yield f"  line {line:<5} {kind}: may take memory for each packet"


def _counts(calls: Mapping[str, int]) -> str:
    return ", ".join(f"{count} of {name}" for name, count in calls.items()) or "none"


def _machine_lines(machine: Machine) -> Iterator[str]:
    yield f"  {machine.instructions} instructions, {machine.loads} loads, {machine.stores} stores"
    yield f"  divisions    {machine.divisions or 'none'}"
    yield f"  loops        {machine.loops or 'none'}"
    yield f"  calls        {_counts(machine.calls)}"
    yield f"  allocations  {_counts(machine.allocations)}"


def _lines(found: Explained) -> Iterator[str]:
    for function in found.functions:
        yield from _lines_of(function)
        yield ""
    yield "the filter as LLVM leaves it, with all that it calls and is inlined:"
    yield from _machine_lines(found.machine)


def execute(options: argparse.Namespace) -> int:
    """Print what became of the plugin's functions. Raises PluginCompileError, UsageError."""
    from zcframe.framework.workbench.explain import explain
    from zcframe.framework.workbench.trial import resolve, settled

    spec = resolve(options.plugin, {})
    found = explain(settled(spec, 1))
    document = {"plugin": spec.declared.name, **found.as_json()}
    answer(lambda: document, lambda: _lines(found), json="json" in options)
    return 0
