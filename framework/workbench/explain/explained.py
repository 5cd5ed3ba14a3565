"""A plugin's functions compiled by themselves, with all that is known of them on the way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from numba.core import types

from zcframe.framework.chain.bound import BoundPlugin
from zcframe.framework.chain.inline import Inliner
from zcframe.framework.jit.compiler import fleeting, precompile
from zcframe.framework.packet.value import make_packet
from zcframe.framework.state.compiled import allow_fields, state_maker
from zcframe.framework.workbench.trial import chain_of

from .machine import Machine, machine_of
from .typed import Typed, typed

WORDS = (types.int64,) * 6


@dataclass(frozen=True)
class Explained:
    """functions: the author's own, the called before the callers. machine: of the filter, behind `ahead`."""

    functions: tuple[Typed, ...]
    machine: Machine

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def _entry(plugin: BoundPlugin, inliner: Inliner) -> Callable[..., Any]:
    """A function of plain words that calls the filter as a chain does, with all that is constant in a chain."""
    make_state, make_view = state_maker(plugin.layout), state_maker(plugin.layout, writable=False)
    params = plugin.params_tuple(inliner.names)
    filter_ = inliner.compiled(plugin.declared.filter)

    def entry(desc, data, offsets, facts, shard, journal):  # type: ignore[no-untyped-def]
        return filter_(make_packet(desc, data, offsets, facts), make_state(shard, journal), params)

    if plugin.declared.ahead is None:
        return entry
    ahead = inliner.compiled(plugin.declared.ahead)

    def entry_ahead(desc, data, offsets, facts, shard, journal):  # type: ignore[no-untyped-def]
        pkt = make_packet(desc, data, offsets, facts)
        return filter_(pkt, make_state(shard, journal), params, ahead(pkt, make_view(shard, journal), params))

    return entry_ahead


def _functions(inliner: Inliner) -> list[Typed]:
    found = []
    for function in inliner.functions:
        results = inliner.compiled(function).overloads.values()
        found += [typed(function, result) for result in results]
    return found


def explain(plugin: BoundPlugin) -> Explained:
    """What was made of the plugin's filter. Raises PluginCompileError."""
    # What does not compile is told here, in the words of somebody who writes plugins.
    chain_of(plugin)
    inliner = Inliner(plugin.name, counts=False)
    for function in filter(None, (plugin.declared.ahead, plugin.declared.filter)):
        inliner.compiled(function)
    allow_fields(plugin.layout)
    compiled: Any = fleeting(_entry(plugin, inliner))
    precompile(compiled, *WORDS)
    (result,) = compiled.overloads.values()
    text, name = compiled.inspect_llvm(WORDS), result.fndesc.llvm_func_name
    return Explained(tuple(_functions(inliner)), machine_of(text, name))
