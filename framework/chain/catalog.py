"""The installed plugins as `zcframe plugins` lists them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .spec import installed_entries, parse_spec


@dataclass(frozen=True)
class ParamInfo:
    name: str
    default: Any
    doc: str


@dataclass(frozen=True)
class PluginInfo:
    """One installed plugin: its documentation, parameters, and the module it comes from."""

    name: str
    doc: str
    params: list[ParamInfo]
    origin: str


def installed() -> list[PluginInfo]:
    """Every plugin that an installed package offers at entry point `zcframe.plugins`, by name."""
    found = []
    for name in installed_entries():
        spec = parse_spec(name)
        params = [ParamInfo(label, param.default, param.doc) for label, param in spec.declared.params.items()]
        found.append(PluginInfo(name, spec.declared.doc, params, spec.origin))
    return found
