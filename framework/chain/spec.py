"""From the words of --plugin to a plugin: NAME, path.py, path.py:Class or module:Class, with ?param=value&..."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import math
import os
import sys
import traceback
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import parse_qsl

from zcframe.framework.errors import DeclarationError, PluginSpecError
from zcframe.framework.nearest import nearest, offer
from zcframe.framework.state.declare import Param

from .plugin import PluginClass

GROUP = "zcframe.plugins"
# Of the plugins that zcframe brings along: no other package takes their names.
OWN = "zcframe.plugins."


@dataclass(frozen=True)
class PluginSpec:
    """A plugin class and the parameters given to it, checked and typed."""

    declared: PluginClass
    params: Mapping[str, Any]
    origin: str


def _all_entries() -> list[EntryPoint]:
    """All plugins that installed packages offer; of those of one name, zcframe's own first."""
    return sorted(entry_points(group=GROUP), key=lambda entry: (not entry.value.startswith(OWN), entry.value))


def installed_entries() -> dict[str, EntryPoint]:
    """The plugins that installed packages offer, by name, in the order of names."""
    found = {entry.name: entry for entry in reversed(_all_entries())}
    return dict(sorted(found.items()))


def hidden_entries() -> list[EntryPoint]:
    """Those of a name that another one has."""
    reached = installed_entries()
    return [entry for entry in _all_entries() if reached[entry.name].value != entry.value]


def _explain(error: BaseException) -> str:
    """What is wrong with a module, and on which line of its own text."""
    what = str(error) if isinstance(error, DeclarationError) else f"{type(error).__name__}: {error}"
    frames = [frame for frame in traceback.extract_tb(error.__traceback__)[1:] if "importlib" not in frame.filename]
    own = [frame.lineno for frame in frames if frame.filename == frames[0].filename]
    return f"line {own[-1]}: {what}" if own else what


def _load_file(path: Path) -> ModuleType:
    """Import a plugin file under a name of its own, so that two files of one name do not meet."""
    if not path.is_file():
        raise PluginSpecError(f"--plugin {path}: there is no such file")
    name = "zcframe_plugin_" + hashlib.sha256(os.fsencode(path.resolve())).hexdigest()[:12]
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise PluginSpecError(f"--plugin {path}: not a Python file; a name ending in .py is needed")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        raise PluginSpecError(f"--plugin {path}: cannot be loaded: {_explain(error)}") from error
    return module


def _only_plugin(module: ModuleType, where: str) -> PluginClass:
    found: list[PluginClass] = [
        value.__zcframe__
        for value in vars(module).values()
        if isinstance(getattr(value, "__zcframe__", None), PluginClass) and value.__module__ == module.__name__
    ]
    if len(found) != 1:
        names = ", ".join(plugin.cls.__name__ for plugin in found)
        what = f"has {len(found)} plugins ({names}): name one, as in {where}:{found[0].cls.__name__}" if found else ""
        raise PluginSpecError(f"--plugin {where}: {what or 'has no class marked with @plugin'}")
    return found[0]


def _member(module: ModuleType, name: str, where: str) -> PluginClass:
    value = getattr(module, name, None)
    declared = getattr(value, "__zcframe__", None)
    if not isinstance(declared, PluginClass):
        what = "is not a class marked with @plugin" if value is not None else f"there is no {name} in it"
        raise PluginSpecError(f"--plugin {where}: {what}")
    return declared


def _import(module: str, where: str) -> ModuleType:
    try:
        return importlib.import_module(module)
    except (Exception, SystemExit) as error:
        raise PluginSpecError(f"--plugin {where}: module {module} cannot be imported: {_explain(error)}") from error


def _find(where: str) -> tuple[PluginClass, str]:
    """(plugin, origin) for the part of a SPEC before the question mark."""
    path, _, member = where.rpartition(":") if ":" in where else (where, "", "")
    if path.endswith(".py"):
        module = _load_file(Path(path))
        return (_member(module, member, where) if member else _only_plugin(module, where)), str(Path(path).resolve())
    if member:
        return _member(_import(path, where), member, where), path
    entries = installed_entries()
    if where not in entries:
        hint = offer(nearest(where, entries), list(entries))
        raise PluginSpecError(f"--plugin {where}: no plugin of that name is installed{hint}")
    entry = entries[where]
    return _member(_import(entry.module, where), entry.attr, where), entry.module


def _bool(text: str) -> bool:
    lowered = text.lower()
    if lowered in ("1", "true", "yes", "on"):
        return True
    if lowered in ("0", "false", "no", "off"):
        return False
    raise ValueError("true or false is needed")


def _value(param: Param, text: str) -> Any:
    """`text` as the type of the parameter's default, within its bounds; ValueError says what is wrong."""
    if isinstance(param.default, bool):
        return _bool(text)
    if isinstance(param.default, str):
        if param.choices and text not in param.choices:
            raise ValueError(f"one of {', '.join(param.choices)} is needed")
        return text
    kind = type(param.default)
    try:
        number = kind(text)
    except ValueError:
        raise ValueError(f"{'a whole number' if kind is int else 'a number'} is needed") from None
    low = -math.inf if param.minimum is None else param.minimum
    high = math.inf if param.maximum is None else param.maximum
    if not low <= number <= high:
        raise ValueError(f"{_bounds(low, high)} is needed")
    return number


def _bounds(low: float, high: float) -> str:
    if math.isinf(high):
        return "a number" if math.isinf(low) else f"at least {low:g}"
    return f"at most {high:g}" if math.isinf(low) else f"a value from {low:g} to {high:g}"


def check_parameters(declared: PluginClass, pairs: Iterable[tuple[str, Any]], label: str) -> dict[str, Any]:
    """The parameters typed, given as text or as they are. Raises PluginSpecError, which begins with `label`."""
    params: dict[str, Any] = {}
    for name, value in pairs:
        if name not in declared.params:
            hint = offer(nearest(name, declared.params), list(declared.params))
            raise PluginSpecError(f"{label}: {declared.name} has no parameter {name}{hint}")
        try:
            params[name] = _value(declared.params[name], str(value))
        except ValueError as error:
            raise PluginSpecError(f"{label}: {name}={value}: {error}") from None
    return params


def parse_spec(text: str) -> PluginSpec:
    """The plugin that SPEC names, with its parameters. Raises PluginSpecError, which names the nearest right word."""
    where, _, query = text.partition("?")
    declared, origin = _find(where)
    pairs = parse_qsl(query, keep_blank_values=True)
    return PluginSpec(declared, check_parameters(declared, pairs, f"--plugin {text}"), origin)
