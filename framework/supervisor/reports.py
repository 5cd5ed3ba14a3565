"""Every plugin's report, made in the supervisor from the states of all workers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from zcframe.framework.chain.bound import BoundPlugin
from zcframe.framework.chain.no_ip import by_ethertype
from zcframe.framework.outputs.document import one_line, plain
from zcframe.framework.state.columns import python_rows, python_value
from zcframe.framework.state.layout import ObjectLayout, StateLayout, TableLayout
from zcframe.framework.state.merge import State, empty_state, merge_states
from zcframe.framework.state.shared import StateMemory

from .crew import Crew
from .flows import FlowsSeen, flows_seen
from .member import Member
from .merging import merge_flaw
from .standstill import copy_live, shards_of


@dataclass(frozen=True)
class PluginReports:
    """By plugin name: the report, and the lines that the plugin makes of it, where it makes some.

    no_ip: packets without an IP header that was read, by ethertype. flows: of each output that knows flows, by number.
    states: merged, where they are kept.
    """

    reports: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    lines: dict[str, list[str]] = field(default_factory=dict)
    no_ip: dict[int, int] = field(default_factory=dict)
    flows: dict[int, FlowsSeen] = field(default_factory=dict)
    states: dict[str, State] = field(default_factory=dict)


class Reports:
    """Makes every plugin's report from the shards of all workers. errors: of the reports that were made last.

    layouts: of all that is reported; state of a worker whose version has another one is none of it. places: of the
    outputs' tables of flows, by number of the output: see `flow_places`. keeps: whether merged states are kept with the
    reports that were made of them.
    """

    def __init__(
        self,
        plugins: Sequence[BoundPlugin],
        layouts: Sequence[StateLayout],
        places: Mapping[int, int] = {},
        *,
        keeps: bool = False,
    ) -> None:
        self.plugins, self.layouts, self._places = plugins, layouts, places
        self.errors: list[str] = []
        self._keeps = keeps
        self._kept: dict[tuple[int, int], list[State]] = {}

    def use(self, plugins: Sequence[BoundPlugin], layouts: Sequence[StateLayout]) -> None:
        """From now on report by these versions of the plugins. What was read of another layout is forgotten."""
        same = [new.holds(old) for new, old in zip(layouts, self.layouts, strict=True)]
        self._kept = {key: states for key, states in self._kept.items() if same[key[0]]}
        self.plugins, self.layouts = plugins, layouts

    def read_live(self, crew: Crew) -> None:
        """Copy the state of each worker while packets flow; of one that does not stand still, the last copy stays."""
        for member in crew.members:
            shards = self._shards(member)
            if copy_live(member, member.version.state, shards):
                self.read(member.version.state, shards, member.post.number)

    def read_final(self, crew: Crew) -> None:
        """Copy all state; the workers have ended."""
        for member in crew.members:
            shards = self._shards(member)
            for shard in shards:
                member.version.state.copy(*shard)
            self.read(member.version.state, shards, member.post.number)

    def _shards(self, member: Member) -> list[tuple[int, int]]:
        pairs = enumerate(zip(self.layouts, member.version.state.layouts, strict=True))
        same = [(k, layout) for k, (layout, theirs) in pairs if layout.holds(theirs)]
        return [(k, shard) for k, layout in same for shard in shards_of(layout, member.post)]

    def read(self, state: StateMemory, shards: Sequence[tuple[int, int]], worker: int) -> None:
        """Make states of the copies of these (plugin, shard) of a worker."""
        for k in range(len(self.layouts)):
            found = [state.read(k, shard) for owner, shard in shards if owner == k]
            self._kept[k, worker] = [one for one in found if one is not None]

    def make(self) -> PluginReports:
        """The reports of the states that were read last."""
        self.errors = []
        made = PluginReports(no_ip=by_ethertype(self._states(len(self.plugins))))
        made.flows.update((number, flows_seen(self._states(place))) for number, place in self._places.items())
        for k, plugin in enumerate(self.plugins):
            merged = self._merged(plugin, self._states(k))
            report = self._report(plugin, merged)
            if self._keeps and merged is not None:
                made.states[plugin.name] = merged
            made.reports[plugin.name] = report
            if plugin.declared.lines and "error" not in report:
                made.lines[plugin.name] = self._guarded(plugin, "lines", plugin.declared.lines, report, as_lines) or []
        return made

    def flaws(self) -> list[str]:
        """A line for each plugin whose `merge` is seen to lose or mix what it is given."""
        plugins = enumerate(self.plugins)
        found = (merge_flaw(plugin, self._states(k), partial(_told, plugin)) for k, plugin in plugins)
        return [flaw for flaw in found if flaw]

    def _states(self, k: int) -> list[State]:
        """What was read of the k-th layout, in the order of worker numbers, whichever was read first."""
        return [state for key in sorted(self._kept) if key[0] == k for state in self._kept[key]]

    def _merged(self, plugin: BoundPlugin, states: list[State]) -> State | None:
        merge, states = plugin.declared.merge or merge_states, states or [empty_state(plugin.layout)]
        return self._guarded(plugin, "merge", merge, states, as_state)  # type: ignore[no-any-return]

    def _report(self, plugin: BoundPlugin, merged: State | None) -> Mapping[str, Any]:
        if merged is not None:
            found = self._guarded(plugin, "report", plugin.declared.report or _plain, merged, as_report)
            if found is not None:
                return found  # type: ignore[no-any-return]
        return {"error": self.errors[-1]}

    def _guarded(self, plugin: BoundPlugin, what: str, function: Any, given: Any, checked: Callable[[Any], Any]) -> Any:
        """What a plugin's own Python makes of what it is given; what is wrong with it becomes a line of `errors`."""
        try:
            arguments = (given, plugin.params_tuple())[: function.__code__.co_argcount]
            result = function(*arguments)
        except (Exception, SystemExit) as error:
            line = error.__traceback__.tb_next.tb_lineno if error.__traceback__ and error.__traceback__.tb_next else 0
            self._note(plugin, what, function, f"failed: {type(error).__name__}: {error}", line)
            return None
        try:
            return checked(result)
        except (TypeError, ValueError) as error:
            self._note(plugin, what, function, f"returned what cannot be used: {error}")
            return None

    def _note(self, plugin: BoundPlugin, what: str, function: Any, reason: str, line: int = 0) -> None:
        where = f"{function.__code__.co_filename}:{line or function.__code__.co_firstlineno}"
        self.errors.append(f"plugin {plugin.name}: {what}() {reason} ({where})")


def as_state(result: Any) -> State:
    """Raises TypeError for what is no state."""
    if not isinstance(result, State):
        raise TypeError(f"a {type(result).__name__}, where a state is needed, as zcframe.merge(states) makes one")
    return result


def as_report(result: Any) -> Mapping[str, Any]:
    """The report in types of JSON. Raises TypeError for what cannot be written so."""
    if not isinstance(result, Mapping):
        raise TypeError(f"a {type(result).__name__}, where a dict is needed")
    try:
        return plain(result)  # type: ignore[no-any-return]
    except RecursionError:
        raise TypeError("it holds itself, or is nested too deeply") from None


def as_lines(result: Any) -> list[str]:
    """Raises TypeError for what is no list of text."""
    if not isinstance(result, list | tuple) or not all(isinstance(line, str) for line in result):
        raise TypeError("a list of str is needed")
    return list(result)


def report_of(plugin: BoundPlugin, merged: State) -> Mapping[str, Any]:
    """A plugin's report of a state as the document has it. Raises what the author's code raises, and TypeError."""
    report = plugin.declared.report or _plain
    arguments = (merged, plugin.params_tuple())[: report.__code__.co_argcount]
    return as_report(report(*arguments))


def _told(plugin: BoundPlugin, merged: State) -> str:
    """The same as text."""
    return one_line(report_of(plugin, merged))


def _rows(member: TableLayout, rows: Any) -> list[dict[str, Any]]:
    """Rows of a merged table as JSON has them."""
    shown = python_rows(member.kinds, rows)
    for one in member.objects:
        for found, row in zip(shown, rows, strict=True):
            found[one.name] = row[one.name].summary()
    return shown


def _plain(merged: Any, params: Any) -> dict[str, Any]:
    """The report of a plugin that has none of its own: its merged state, tables by their first rows."""
    shown: dict[str, Any] = {}
    for member in merged.layout.members:
        values = getattr(merged, member.name)
        if isinstance(member, ObjectLayout):
            shown[member.name] = values.summary()
        elif values.dtype.names:
            rows = _rows(member, values[:100])
            shown[member.name] = {"count": len(values), "lost": merged.lost[member.name], "rows": rows}
        else:
            shown[member.name] = [python_value(member.scalar, value) for value in values]
    return shown
