"""The installed plugins as `zcframe plugins` lists them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from zcframe.framework.errors import PluginSpecError

from .spec import hidden_entries, installed_entries, parse_spec


@dataclass(frozen=True)
class ParamInfo:
    name: str
    default: Any
    doc: str


@dataclass(frozen=True)
class PluginInfo:
    """One installed plugin: its documentation, parameters, and the module it comes from.

    fault: why it cannot be used by this name, "" where it can.
    """

    name: str
    doc: str
    params: list[ParamInfo]
    origin: str
    fault: str = ""


def _loaded(name: str, origin: str) -> PluginInfo:
    try:
        spec = parse_spec(name)
    except PluginSpecError as error:
        return PluginInfo(name, "", [], origin, str(error).partition(": ")[2])
    params = [ParamInfo(label, param.default, param.doc) for label, param in spec.declared.params.items()]
    return PluginInfo(name, spec.declared.doc, params, spec.origin)


def installed() -> list[PluginInfo]:
    """Every plugin that an installed package offers at entry point `zcframe.plugins`, by name.

    One that cannot be loaded, or whose name another one has, is listed with its fault.
    """
    found = [_loaded(name, entry.module) for name, entry in installed_entries().items()]
    for entry in hidden_entries():
        fault = f"another plugin has this name: use --plugin {entry.value}"
        found.append(PluginInfo(entry.name, "", [], entry.module, fault))
    return sorted(found, key=lambda info: (info.name, bool(info.fault)))
