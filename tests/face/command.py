"""What operators may type: commands, verbs and their options, keys of the file, plugins with parameters, exit codes.

Options are read from the parsers, not from the text of --help, whose lines depend on the terminal and on Python.
"""

from __future__ import annotations

import argparse
import importlib
from dataclasses import asdict, fields
from importlib.metadata import distribution
from typing import Any

from zcframe.framework import errors
from zcframe.framework.cli import front
from zcframe.framework.cli.parser import Parser
from zcframe.framework.config import FILE_KEYS, OPTIONS, RunConfig


def _choices(action: argparse.Action) -> list[str]:
    """Listed in `choices`, or in a metavar such as original|max: later work may add to either."""
    if action.choices is not None:
        return [str(choice) for choice in action.choices]
    return action.metavar.split("|") if isinstance(action.metavar, str) and "|" in action.metavar else []


def _option(action: argparse.Action) -> dict[str, Any]:
    """What a word of the command line is taken for; the text of its help may change, but there is one."""
    choices = _choices(action)
    return {
        "action": type(action).__name__.strip("_"),
        "nargs": action.nargs,
        "required": action.required,
        "default": str(action.default),
        "flags": list(action.option_strings),
        "documented": bool(action.help),
        **({"choices": choices} if choices else {"metavar": action.metavar}),
    }


def _options(command: Any) -> dict[str, Any]:
    parser = Parser(prog="zcframe", description="")
    command.add_arguments(parser)
    return {max(action.option_strings, key=len, default=action.dest): _option(action) for action in parser._actions}


def _commands() -> dict[str, Any]:
    """Name -> options of each command, and of each verb, such as "nic list"."""
    found = {}
    for name in front.COMMANDS:
        module = front.load_command(name)
        found[name] = _options(module)
        found.update({f"{name} {verb}": _options(entry) for verb, entry in getattr(module, "VERBS", {}).items()})
    return found


def _settings() -> dict[str, Any]:
    """Option name -> default, and whether the file may set it."""
    defaults = {field.name: field.default for field in fields(RunConfig)}
    return {
        option.name: {"default": repr(defaults[name]), "in_file": option.name in FILE_KEYS, "many": option.many}
        for name, option in OPTIONS.items()
    }


def _entry_points() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for point in distribution("zcframe").entry_points:
        assert callable(point.load()), point
        found.setdefault(point.group, []).append(point.name)
    return {group: sorted(names) for group, names in found.items()}


def _plugins() -> dict[str, Any]:
    """Name -> parameters of each plugin that zcframe brings along."""
    points = distribution("zcframe").entry_points.select(group="zcframe.plugins")
    found = {}
    for point in points:
        params = point.load().__zcframe__.params
        found[point.name] = {
            name: {k: repr(v) for k, v in asdict(p).items() if k != "doc"} for name, p in params.items()
        }
    return found


def _exit_codes() -> dict[str, int]:
    """Exception -> exit code; and the codes that the command itself gives."""
    found = {name: e.exit_code for name, e in vars(errors).items() if isinstance(e, type) and hasattr(e, "exit_code")}
    loss = importlib.import_module(f"{front.__package__}.run").LOSS
    return found | {"failed": front.FAILED, "usage": front.USAGE, "loss above --max-loss": loss}


def command() -> dict[str, Any]:
    return {
        "commands": _commands(),
        "settings": _settings(),
        "entry_points": _entry_points(),
        "plugins": _plugins(),
        "exit_codes": _exit_codes(),
    }
