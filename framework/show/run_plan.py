"""The plan of a run in text: what `zcframe run --check` prints."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

from zcframe.framework.stats import OutputPlan, RunPlan, SourceInfo, StatePlan
from zcframe.framework.terminal import clean

from .summary import cpu_cell, queue_label, source_line
from .text import wrapped

WIDTH = 100


def _params(params: Mapping[str, Any]) -> str:
    return "".join(f" {name}={clean(str(value))}" for name, value in params.items())


def _mode(source: SourceInfo) -> str:
    if source.promiscuous is None:
        return ""
    return ", promiscuous" if source.promiscuous else ", not promiscuous"


def _output(output: OutputPlan) -> str:
    shared = f", shared out {output.shares} by {output.rule}" if output.shares else ""
    shared += ", those of a dead one to the others" if output.on_dead == "drain" else ""
    command = f", each read by {clean(shlex.join(output.command))}" if output.command else ""
    return clean(output.spec) + shared + command


def _state(state: StatePlan) -> list[str]:
    """What a plugin's state takes; memory comes into being where packets are counted."""
    rows = (f"{clean(name)} {count:,} rows" for name, count in state.rows.items())
    shards = f"state {state.bytes / 2**20:,.1f} MiB in {state.shards} shards"
    lists = (f"{clean(name)} {-(-octets // 1024):,} KiB for all workers" for name, octets in state.lookups.items())
    return [", ".join([shards, *rows, *lists])] if state.bytes else []


def plan_lines(plan: RunPlan) -> list[str]:
    """Source, pace, rings, RSS, CPUs, plugins, outputs and tuning; a line or more each."""
    loop = "for ever" if plan.loop == 0 else f"{plan.loop} times" if plan.loop > 1 else "once"
    placed = (f"{queue_label(plan.source, queue)}:{cpu_cell(queue.cpu)}" for queue in plan.queues)
    lines = [
        f"source   {source_line(plan.source)}" + _mode(plan.source),
        f"pace     {plan.pace}" + (f", {loop}" if plan.source.kind != "iface" else ""),
        f"queues   {len(plan.queues)}, a ring of {plan.ring_slots:,} slots each, {plan.memory / 2**20:.1f} MiB in all",
        f"rss      key {plan.rss.key_name} {plan.rss.key}",
        f"         fields {plan.rss.fields}",
    ]
    lines += [f"filter   {clean(plan.filter)}"] if plan.filter else []
    pinned = wrapped(placed, WIDTH)
    lines += [f"{'cpus' if not i else '':8} {line}" for i, line in enumerate(pinned)]
    for i, plugin in enumerate(plan.plugins):
        origin = f"  ({clean(plugin.origin)})" if plugin.origin else ""
        own = f" filter={clean(plugin.filter)!r}" if plugin.filter else ""
        lines.append(f"{'plugins' if not i else '':8} {clean(plugin.name)}{_params(plugin.params)}{own}{origin}")
        lines += [f"{'':10} {line}" for line in _state(plugin.state)]
    lines += [f"{'out' if not i else '':8} {_output(output)}" for i, output in enumerate(plan.outputs)]
    lines += [f"{'rows' if not i else '':8} {clean(rows)}" for i, rows in enumerate(plan.rows)]
    lines += [f"{'tune' if not i else '':8} {clean(str(change))}" for i, change in enumerate(plan.tuning)]
    return lines
