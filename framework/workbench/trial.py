"""One plugin over packets, in this process: what `zcframe.testing.run_plugin` does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Final

from zcframe.framework.chain.bound import BoundPlugin, bind
from zcframe.framework.chain.build import Chain, build_chain
from zcframe.framework.chain.plugin import PluginClass
from zcframe.framework.chain.spec import PluginSpec, check_parameters, parse_spec
from zcframe.framework.rss.config import RssConfig
from zcframe.framework.state.merge import State, empty_state, merge_states
from zcframe.framework.stats import Fault
from zcframe.framework.supervisor.change.rig import Rig
from zcframe.framework.supervisor.reports import as_lines, as_state, report_of

from .frames import Packets, frames_of

# Chains of this process, by what went into them: a test file asks for one again and again.
_CHAINS: Final[dict[object, Chain]] = {}


@dataclass(frozen=True)
class Verdicts:
    """How many packets a plugin passed and dropped, and for how many it raised.

    Packets that a filter of the plugin's own keeps from it are passed.
    """

    passed: int
    dropped: int
    faulted: int

    @property
    def total(self) -> int:
        return self.passed + self.dropped + self.faulted


@dataclass(frozen=True)
class Result:
    """What a plugin made of packets. states: of its shards, in order, of those that were written to.

    What merge, report and lines raise is raised where `state`, `report` and `lines` are read first.
    """

    plugin: BoundPlugin
    states: tuple[State, ...]
    verdicts: Verdicts
    faults: tuple[Fault, ...]

    @cached_property
    def state(self) -> State:
        """All states merged."""
        merge = self.plugin.declared.merge or merge_states
        return as_state(merge(list(self.states) or [empty_state(self.plugin.layout)]))

    @cached_property
    def report(self) -> dict[str, Any]:
        """The plugin's report in types of JSON, as the document of a run has it."""
        return dict(report_of(self.plugin, self.state))

    @cached_property
    def lines(self) -> list[str]:
        """The plugin's lines for the live view; none where it has no function `lines`."""
        return as_lines(self.plugin.declared.lines(self.report)) if self.plugin.declared.lines else []


def resolve(plugin: str | type, params: Mapping[str, Any]) -> PluginSpec:
    """The plugin and its parameters, from a class marked with @plugin, or the SPEC of --plugin. Raises UsageError."""
    if isinstance(plugin, str):
        spec = parse_spec(plugin)
        return replace(
            spec, params={**spec.params, **check_parameters(spec.declared, params.items(), f"--plugin {plugin}")}
        )
    declared = getattr(plugin, "__zcframe__", None)
    if not isinstance(declared, PluginClass):
        raise TypeError(f"{plugin!r} is not a class marked with @plugin")
    return PluginSpec(
        declared, check_parameters(declared, params.items(), f"plugin {plugin.__name__}"), plugin.__module__
    )


def settled(spec: PluginSpec, queues: int) -> BoundPlugin:
    """The plugin with its state laid out for so many queues."""
    return bind(spec.declared, spec.params, queues)


def rss_of(plugin: BoundPlugin, queues: int, key: str = "symmetric", fields: str = "") -> RssConfig:
    """How packets are spread: by these fields, or as the plugin needs it. Raises UsageError."""
    return RssConfig.make(key, fields or plugin.declared.needs or "5-tuple", queues)


def chain_of(*plugins: BoundPlugin) -> Chain:
    """The compiled chain. The number of queues changes no code. Raises PluginCompileError."""
    key = tuple((plugin.declared.cls, repr(plugin.params), repr(plugin.layout)) for plugin in plugins)
    if key not in _CHAINS:
        _CHAINS[key] = build_chain(plugins)
    return replace(_CHAINS[key], plugins=plugins)


def result_of(rig: Rig, k: int = 0) -> Result:
    """What plugin k of a rig made of its packets so far."""
    plugins = rig.chain.plugins
    packets, _, *codes = (int(count) for count in rig.ledger())
    dropped, faulted = codes[1 + k], codes[1 + len(plugins) + k]
    verdicts = Verdicts(packets - dropped - faulted, dropped, faulted)
    faults = tuple(fault for fault in rig.faults() if fault.plugin == plugins[k].name)
    return Result(plugins[k], tuple(rig.states(k)), verdicts, faults)


def run_plugin(
    plugin: str | type,
    packets: Packets,
    queues: int = 1,
    params: Mapping[str, Any] | None = None,
    *,
    rss_key: str = "symmetric",
    rss_fields: str = "",
) -> Result:
    """Run a plugin over packets in this process, by the compiled chain of a run.

    plugin: a class marked with @plugin, or the SPEC of --plugin. packets: the path of a capture, or an iterable of
    bytes, (ns since the epoch, bytes) and packets of scapy; what has no time comes a microsecond after the one before
    it. queues, rss_key, rss_fields: as the options of a run; "": fields as the plugin needs them. params: values of
    parameters, by name. Raises UsageError, PluginCompileError, CaptureFileError, LinkTypeError, TypeError.
    """
    bound = settled(resolve(plugin, params or {}), queues)
    with Rig(chain_of(bound), rss_of(bound, queues, rss_key, rss_fields)) as rig:
        rig.feed(frames_of(packets))
        rig.finish()
        return result_of(rig)
