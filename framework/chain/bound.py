"""A plugin with its parameters settled: name, layout of its state, compiled pieces."""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Container, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from zcframe.framework.errors import DeclarationError
from zcframe.framework.filters.libpcap import compile_expression
from zcframe.framework.filters.program import Program
from zcframe.framework.state.declare import Lookup, resolved
from zcframe.framework.state.layout import LookupLayout, StateLayout, TableLayout, make_layout
from zcframe.framework.state.lookup.image import Piece

from .plugin import PluginClass
from .source.names import words_of


@dataclass(frozen=True)
class BoundPlugin:
    """name: unique in the run; params: every parameter's value; layout: of its state for this number of queues.

    program: of the packets that it sees; None for all. lookups: the memory of its lists; None where it has none.
    """

    name: str
    declared: PluginClass
    params: Mapping[str, Any]
    layout: StateLayout
    program: Program | None = None
    lookups: Piece | None = field(default=None, compare=False)

    @property
    def has_idle_table(self) -> bool:
        return any(isinstance(member, TableLayout) and member.idle_ns for member in self.layout.members)

    def params_tuple(self, used: Container[str] | None = None) -> Any:
        """The parameters as a namedtuple: what `report` gets and, of those `used`, a constant for numba."""
        params = {name: value for name, value in self.params.items() if used is None or name in used}
        return namedtuple("params", list(params))(**params)


def bind(declared: PluginClass, params: Mapping[str, Any], queues: int, name: str = "") -> BoundPlugin:
    """Settle `declared` with the given parameter values, the others at their defaults.

    Raises FilterError, LibpcapError where it sees the packets of a tcpdump expression, DeclarationError where a list to
    look things up in cannot be had.
    """
    values = {label: params.get(label, param.default) for label, param in declared.params.items()}
    layout = make_layout(
        declared.state,
        values,
        declared.params,
        per_worker=declared.per_worker,
        queues=queues,
        deletes=any("delete" in words_of(one) for one in (declared.filter, declared.tick) if one is not None),
    )
    where = f"plugin {declared.name}: filter="
    program = compile_expression(declared.expression, where) if declared.expression else None
    layout, lookups = _with_lookups(declared, layout, values)
    return BoundPlugin(name or declared.name, declared, values, layout, program, lookups)


def _with_lookups(
    declared: PluginClass, layout: StateLayout, params: Mapping[str, Any]
) -> tuple[StateLayout, Piece | None]:
    """The layout with the plugin's lists, and their memory. Raises DeclarationError."""
    found: list[LookupLayout] = []
    images = []
    for name, value in declared.state.items():
        if isinstance(value, Lookup):
            try:
                built = value.settled(lambda one: resolved(one, params, declared.params)).built()
            except DeclarationError as error:
                raise DeclarationError(f"plugin {declared.name}: {name}: {error}") from None
            found.append(LookupLayout(name, len(found), value.name, value.value, len(built.octets), built.entries))
            images.append(built.octets)
    return (replace(layout, lookups=tuple(found)), Piece(images)) if found else (layout, None)
