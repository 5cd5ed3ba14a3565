"""What is to be changed of a run, and what the run is then, before anything of it is compiled."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from zcframe.framework.chain.bound import BoundPlugin, bind
from zcframe.framework.chain.source.anew import modules_of, read_anew
from zcframe.framework.chain.spec import PluginSpec, parse_spec
from zcframe.framework.errors import PluginSpecError, UsageError
from zcframe.framework.filters.libpcap import compile_expression
from zcframe.framework.stats.ledger import FILTER
from zcframe.framework.supervisor.prepare import Prepared, domains
from zcframe.framework.supervisor.room import require_room


@dataclass(frozen=True)
class Order:
    """expression: the run's new filter, "" for none; None: plugins are read anew from their files.

    drops: whether the state of a plugin that has another layout now may begin anew.
    """

    expression: str | None = None
    drops: bool = False

    @property
    def reloads(self) -> bool:
        return self.expression is None

    def apply(self, prepared: Prepared) -> Prepared:
        """The run as it is to be. Raises UsageError, LibpcapError for what cannot be."""
        if self.expression is None:
            return _reloaded(prepared, drops=self.drops)
        return _filtered(prepared, self.expression)


def _filtered(prepared: Prepared, expression: str) -> Prepared:
    program = compile_expression(expression, "filter") if expression else None
    if program is not None and any(plugin.name == FILTER for plugin in prepared.plugins):
        raise UsageError(f"filter: a plugin of the run is called {FILTER}, as the row of what does not match would be")
    return replace(prepared, program=program, config=replace(prepared.config, filter=expression))


def _module(spec: PluginSpec) -> str:
    return spec.declared.cls.__module__


def _reloaded(prepared: Prepared, *, drops: bool) -> Prepared:
    workers = prepared.config.queues * domains(prepared.config)
    with read_anew(map(_module, prepared.specs)):
        specs = tuple(parse_spec(text) for text in prepared.config.plugins)
        for spec, old in zip(specs, prepared.specs, strict=True):
            _require_same_role(spec, old)
        pairs = zip(specs, prepared.plugins, strict=True)
        plugins = tuple(bind(spec.declared, spec.params, workers, plugin.name) for spec, plugin in pairs)
        _require_same_state(plugins, prepared.plugins, drops=drops)
        require_room(plugins, domains(prepared.config))
    return replace(prepared, specs=specs, plugins=plugins)


def _require_same_role(spec: PluginSpec, old: PluginSpec) -> None:
    """Raises PluginSpecError where rows of the ledger, or the spread of packets, would have to change."""
    for what in ("name", "needs"):
        before, now = getattr(old.declared, what), getattr(spec.declared, what)
        if before != now:
            raise PluginSpecError(
                f"plugin {old.declared.name}: its {what} was {before!r} and is {now!r}: that takes a new run"
            )


def _require_same_state(plugins: Sequence[BoundPlugin], before: Sequence[BoundPlugin], *, drops: bool) -> None:
    """Raises UsageError for other records, and, unless it may be dropped, for state that cannot go on."""
    for plugin, old in zip(plugins, before, strict=True):
        if plugin.layout.records != old.layout.records:
            raise UsageError(f"plugin {plugin.name}: its records have other fields than before: that takes a new run")
    dropped = changed_layouts(plugins, before)
    if dropped and not drops:
        raise UsageError(
            f"plugin {dropped[0]}: it declares other state than before: --drop-state has it begin anew, and what it has"
            " counted is lost"
        )


def changed_layouts(plugins: Sequence[BoundPlugin], before: Sequence[BoundPlugin]) -> list[str]:
    """Names of the plugins whose state cannot go on."""
    return [new.name for new, old in zip(plugins, before, strict=True) if not new.layout.holds(old.layout)]


def texts_of(prepared: Prepared) -> dict[str, str]:
    """A hash of all that each plugin is read from, by its name; of zcframe's own plugins there is nothing to read."""
    return {
        plugin.name: _hash([Path(str(module.__file__)) for module in modules_of([_module(spec)]).values()])
        for plugin, spec in zip(prepared.plugins, prepared.specs, strict=True)
    }


def _hash(files: Sequence[Path]) -> str:
    digest = hashlib.sha256()
    for file in files:
        # An editor may be about to write it.
        with suppress(OSError):
            digest.update(file.read_bytes())
    return digest.hexdigest()
