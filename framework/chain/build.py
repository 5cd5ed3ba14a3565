"""From bound plugins to machine code: one generated file, named by a hash of all that goes into it."""

from __future__ import annotations

import gc
import hashlib
import importlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numba
import numpy as np
from numba.core import types

from zcframe.framework.errors import CacheError
from zcframe.framework.filters.native import job as filter_job
from zcframe.framework.filters.native import predicate
from zcframe.framework.filters.program import Program
from zcframe.framework.jit.abreast import compile_abreast
from zcframe.framework.jit.compiler import Job, Task, keep, precompile
from zcframe.framework.jit.generated import generate
from zcframe.framework.packet.decode import decode, decode_others
from zcframe.framework.packet.value import packet_type
from zcframe.framework.state import table as _table  # noqa: F401 - registers the table's verbs with numba
from zcframe.framework.state.compiled import StateType, allow_fields, state_maker
from zcframe.framework.state.layout import TableLayout, objects_of

from .bound import BoundPlugin
from .explain import explained, require_meant
from .fault import count_fault
from .generate import chain_source
from .handover import HandOver
from .hashes import looks_at_hashes
from .inline import Inliner
from .no_ip import count_burst
from .note import Notes
from .records import emit as _emit  # noqa: F401 - registers `emit` with numba
from .sleep import sleep
from .source.digest import digest_of

SIGNATURE = (types.Array(types.int64, 1, "C"), types.int64)
# What functions of the framework belong to, for people.
FRAMEWORK = "zcframe"


@dataclass(frozen=True)
class Chain:
    """A compiled chain: `run(ctx, budget)` takes up to `budget` packets from the ring that ctx describes.

    ctx: words of ChainContext. It returns how many it took; fewer than `budget` means that the ring is empty or orders
    wait. See workspace.py. program: of the packets that plugins get to see; None for all. hashes: whether it looks at
    packets' hashes. outputs: for which it was compiled. lines: of each plugin, the line of each number that numba was
    given for one, see source/lines.py. ticks: `ticks(ctx, now, ends)` calls what is due, see ticks/source.py; None
    where no plugin has a tick.
    """

    run: Callable[[np.ndarray[Any, np.dtype[np.int64]], int], int]
    plugins: tuple[BoundPlugin, ...]
    path: Path
    program: Program | None = None
    hashes: bool = True
    outputs: tuple[HandOver, ...] = ()
    lines: tuple[Mapping[int, int], ...] = ()
    ticks: Callable[[np.ndarray[Any, np.dtype[np.int64]], int, int], int] | None = None

    @property
    def codes(self) -> int:
        """Number of verdict codes."""
        return 2 * len(self.plugins) + 1 + (self.program is not None)


def _source_digest(plugin: BoundPlugin, inliner: Inliner) -> str:
    """Hash of a plugin's compiled functions, and of the values that they take from outside."""
    return digest_of(inliner.functions, inliner.codes, plugin.declared.cls.__module__)


def _digest(
    text: str,
    plugins: Sequence[BoundPlugin],
    inliners: Sequence[Inliner],
    program: Program | None = None,
    outputs: Sequence[HandOver] = (),
) -> str:
    """Hash of the chain's text, filters, every plugin's parameters and layout, and the sources of plugins."""
    digest = hashlib.sha256(text.encode())
    for one in (program, *(plugin.program for plugin in plugins), *(output.passes for output in outputs)):
        digest.update(repr(one and one.octets).encode())
    for plugin, inliner in zip(plugins, inliners, strict=True):
        constants = plugin.params_tuple(inliner.names)._asdict()
        digest.update(repr((plugin.name, _source_digest(plugin, inliner), constants, plugin.layout)).encode())
    return digest.hexdigest()[:24]


@dataclass(frozen=True)
class LookingAhead:
    """The job of `ahead` and of the `filter` that is handed what it returns, whose type is known only then."""

    name: str
    ahead: Any
    filter: Any
    seen: tuple[Any, ...]  # numba types of what `ahead` takes
    taken: tuple[Any, ...]  # and of what `filter` takes before that

    @property
    def _first(self) -> Job:
        return Job(self.name, self.ahead, self.seen)

    @property
    def _second(self) -> Job:
        precompile(self.ahead, *self.seen)
        returned = self.ahead.nopython_signatures[0].return_type
        return Job(self.name, self.filter, (*self.taken, returned))

    @property
    def done(self) -> bool:
        return self._first.done and self._second.done

    def run(self) -> None:
        self._first.run()
        self._second.run()


def _parts(plugin: BoundPlugin, inliner: Inliner, params: Any) -> Iterator[Task]:
    """A plugin's own functions: kept by themselves, so that another plugin that changes does not compile them anew."""
    key, constants, declared = _source_digest(plugin, inliner), numba.typeof(params), plugin.declared
    state, view = (StateType(plugin.layout, "state", writable) for writable in (True, False))

    def part(function: Any) -> Any:
        return keep(inliner.compiled(function), f"{key} {function.__qualname__}")

    seen, taken = (packet_type, view, constants), (packet_type, state, constants)
    if declared.tick is not None:
        yield Job(plugin.name, part(declared.tick), (state, types.int64, constants))
    if declared.ahead is not None:
        yield LookingAhead(plugin.name, part(declared.ahead), part(declared.filter), seen, taken)
        return
    yield Job(plugin.name, part(declared.filter), taken)
    if declared.prefetch is not None:
        yield Job(plugin.name, part(declared.prefetch), seen)


def _silent(names: Sequence[str]) -> None:
    """Tell nobody."""


def _matching(plugins: Sequence[BoundPlugin], program: Program | None) -> Callable[..., Any]:
    """What a generated file gets predicates by: the run's, or that of the k-th plugin."""

    def matching(k: int | None = None) -> Any:
        found = program if k is None else plugins[k].program
        assert found is not None
        return predicate(found)

    return matching


def _handed(output: HandOver) -> tuple[Any, Any]:
    """An output's share rule and predicate, as far as it has them."""
    return output.share, predicate(output.passes) if output.passes is not None else None


def _bindings(
    plugins: Sequence[BoundPlugin],
    inliners: Sequence[Inliner],
    program: Program | None = None,
    outputs: Sequence[HandOver] = (),
) -> dict[str, Any]:
    """What a generated file asks for by name: functions of plugins and outputs, makers of state, parameters."""

    def functions(label: str) -> list[Any]:
        found = [getattr(plugin.declared, label) for plugin in plugins]
        return [inliner.compiled(one) if one else None for inliner, one in zip(inliners, found, strict=True)]

    filters, aheads, prefetches = functions("filter"), functions("ahead"), functions("prefetch")
    ticks = functions("tick")
    params = [plugin.params_tuple(inliner.names) for inliner, plugin in zip(inliners, plugins, strict=True)]
    notes = Notes(plugins, aheads, params)

    def bound(k: int) -> tuple[Any, Any, Any]:
        _allow(plugins[k])
        return filters[k], state_maker(plugins[k].layout, place=k), params[k]

    def view(k: int) -> Any:
        return state_maker(plugins[k].layout, writable=False, place=k)

    return {
        "bound": bound,
        "bound_ahead": lambda k: (aheads[k], view(k)),
        "bound_prefetch": lambda k: (prefetches[k], view(k)),
        "bound_tick": lambda k: ticks[k],
        "noted": lambda k: (notes.place(k), notes.taken(k)),
        "look": notes.look(),
        "note_size": notes.place(len(plugins)),
        "matching": _matching(plugins, program),
        "handed": lambda j: _handed(outputs[j]),
    }


def _allow(plugin: BoundPlugin) -> None:
    """Tell numba of the fields of rows, and of objects and flows, which few plugins have."""
    allow_fields(plugin.layout)
    if plugin.layout.lookups:
        importlib.import_module("zcframe.framework.state.lookup.methods")
    if objects_of(plugin.layout):
        importlib.import_module("zcframe.framework.state.sketch.methods").allow_methods(plugin.layout)
    if any(isinstance(member, TableLayout) and member.flow is not None for member in plugin.layout.members):
        importlib.import_module("zcframe.framework.state.tracking.verbs")


def _filters(plugins: Sequence[BoundPlugin], program: Program | None) -> list[Task]:
    """The predicates of the run and of its plugins."""
    found = dict.fromkeys((program, *(plugin.program for plugin in plugins)))
    return [filter_job(one) for one in found if one is not None]


def _decoder(plugins: Sequence[BoundPlugin]) -> Job:
    """The decoder that the chain calls, see LOOK_TWICE of generate.py: kept by itself, too."""
    twice = any(plugin.declared.ahead is not None for plugin in plugins)
    return Job(FRAMEWORK, decode_others if twice else decode, (types.int64,) * 3)


def _chain_parts(plugins: Sequence[BoundPlugin]) -> list[Job]:
    """Parts of every chain, kept by themselves: whatever plugin changes, they do not."""
    i64 = types.int64
    words = types.Array(i64, 1, "C")
    signatures: dict[Any, tuple[Any, ...]] = {
        count_fault: (i64, i64, i64, packet_type),
        sleep: (words, i64),
        count_burst: (i64,) * 5,
    }
    return [_decoder(plugins), *(Job(FRAMEWORK, part, arguments) for part, arguments in signatures.items())]


def _own_parts(plugins: Sequence[BoundPlugin], inliners: Sequence[Inliner]) -> list[Task]:
    """The plugins' own functions, the longest first: it is the last that all others wait for."""
    params = [plugin.params_tuple(inliner.names) for inliner, plugin in zip(inliners, plugins, strict=True)]
    longest = sorted(zip(plugins, inliners, params, strict=True), key=lambda each: -each[1].size)
    return [part for each in longest for part in _parts(*each)]


def build_chain(
    plugins: Sequence[BoundPlugin],
    also: Sequence[Task] = (),
    tell: Callable[[Sequence[str]], None] = _silent,
    program: Program | None = None,
    outputs: Sequence[HandOver] = (),
    *,
    kept: bool = False,
) -> Chain:
    """Compile the chain of these plugins and outputs, or take it from the cache: seconds the first time, then 0.2 s.

    also: other functions that will be needed. tell: called with the names of what is not in the cache, before that is
    compiled. program: of the packets that plugins get to see; None for all. kept: raise CacheError where it would have
    to be compiled. Raises PluginCompileError, which names the plugin and its line.
    """
    inliners = [Inliner(plugin.name) for plugin in plugins]
    names = _bindings(plugins, inliners, program, outputs)
    text = chain_source(list(plugins), outputs, filtered=program is not None)
    module, path = generate(text, "chain_" + _digest(text, plugins, inliners, program, outputs), names)
    ticks = getattr(module, "ticks", None)
    entries = [Job("chain", module.chain, SIGNATURE)]
    entries += [Job("chain", ticks, (*SIGNATURE, types.int64))] if ticks is not None else []
    compiled = all(entry.done for entry in entries)
    needed = [] if compiled else [*_own_parts(plugins, inliners), *_chain_parts(plugins), *_filters(plugins, program)]
    missing = [job for job in (*needed, *also) if not job.done]
    if kept and not compiled:
        raise CacheError(f"{entries[0].name} is not in the cache")
    if missing or not compiled:
        concerned = [job.name for job in missing]
        order = dict.fromkeys((FRAMEWORK, *(plugin.name for plugin in plugins), *concerned))
        tell([name for name in order if name in concerned] or ["chain"])
    if needed:
        require_meant(plugins, inliners)
    if any("community_id" in inliner.names for inliner in inliners) and (missing or not compiled):
        importlib.import_module("zcframe.framework.packet.sha1")
    with explained(plugins):
        if missing:
            compile_abreast(missing)
        for job in (*entries, *also):
            job.run()
    if missing:
        # What the compiler leaves behind goes before workers are forked.
        gc.collect()
    hashes = looks_at_hashes(plugins, inliners, outputs)
    lines = tuple(inliner.lines for inliner in inliners)
    return Chain(module.chain, tuple(plugins), path, program, hashes, tuple(outputs), lines, ticks)
