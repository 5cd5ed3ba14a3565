"""Makes of the options everything that is decided before the first packet."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from zcframe.affinity import Plan, Tuning, make_plan, nic_node, plan_tuning, read_topology
from zcframe.framework.chain.bound import BoundPlugin, bind
from zcframe.framework.chain.handover import Shedding
from zcframe.framework.chain.spec import PluginSpec, parse_spec
from zcframe.framework.config import ANY, FOREVER, MAX_GAP, OPTIONS, RunConfig, takes_commands
from zcframe.framework.errors import UsageError
from zcframe.framework.filters.libpcap import compile_expression
from zcframe.framework.filters.program import Program
from zcframe.framework.jit.cache import complaint
from zcframe.framework.nic import real_names
from zcframe.framework.outputs.make import Asked, Chosen, choose_outputs
from zcframe.framework.outputs.options import DRAIN, DROP
from zcframe.framework.outputs.rows.choose import ChosenRows, choose_rows
from zcframe.framework.outputs.rows.kind import RecordKind, record_kinds
from zcframe.framework.privileges import kept_by_workers, kept_line
from zcframe.framework.rss.config import RssConfig
from zcframe.framework.sources.backends import choose_backend
from zcframe.framework.sources.base import Source
from zcframe.framework.sources.opening import SourcePlan, open_source
from zcframe.framework.sources.plan import LivePlan, SeveralPlan
from zcframe.framework.sources.soft82576 import ReplayPlan
from zcframe.framework.sources.spread import Spread, choose_spread, require_spread
from zcframe.framework.sources.trace import bundled_trace
from zcframe.framework.state.journal import MAX_PLUGINS
from zcframe.framework.stats import OutputPlan, PluginPlan, QueuePlan, RssInfo, RunPlan, SourceInfo
from zcframe.framework.stats.ledger import FILTER

from .room import require_room, state_plan
from .workers import with_queues


@dataclass(frozen=True)
class Prepared:
    """The resolved options; nothing has started yet.

    affinity: which CPU each worker gets. outputs: those of --out; rows: those of --rows.
    tuning: of each interface as it is now, interrupts only without --tune.
    program: of the packets that plugins get to see; None for all.
    """

    config: RunConfig
    rss: RssConfig
    specs: tuple[PluginSpec, ...]
    plugins: tuple[BoundPlugin, ...]
    affinity: Plan
    tuning: tuple[Tuning, ...]
    source_plan: SourcePlan
    outputs: tuple[Chosen, ...] = ()
    rows: tuple[ChosenRows, ...] = ()
    warnings: tuple[str, ...] = ()
    program: Program | None = None

    @property
    def cpus(self) -> tuple[int, ...]:
        return self.affinity.cpus

    @property
    def kinds(self) -> tuple[RecordKind, ...]:
        """Of record, by their numbers."""
        return record_kinds(self.plugins)

    @property
    def live(self) -> bool:
        """Whether frames come in their own time, so that a worker that waits loses some."""
        return not (isinstance(self.source_plan, ReplayPlan) and self.source_plan.pace == "max")


def _bind_all(specs: tuple[PluginSpec, ...], queues: int, taken: tuple[str, ...] = ()) -> tuple[BoundPlugin, ...]:
    """Bind the plugins in order; one that occurs twice, or is called as another row, gets a number behind its name."""
    if len(specs) > MAX_PLUGINS:
        raise UsageError(f"--plugin: {len(specs)} plugins; a chain holds at most {MAX_PLUGINS}")
    seen: Counter[str] = Counter(taken)
    bound = []
    for spec in specs:
        name = spec.declared.name
        seen[name] += 1
        bound.append(bind(spec.declared, spec.params, queues, name if seen[name] == 1 else f"{name}#{seen[name]}"))
    return tuple(bound)


def _tuning(config: RunConfig, cpus: tuple[int, ...], port: int) -> Tuning:
    """Changes to the settings that interface number `port` has now. Raises NicError."""
    if config.iface[port] == ANY:
        return Tuning()
    first = port * config.queues
    return plan_tuning(config.iface[port], cpus[first : first + config.queues], everything=config.tune)


def _live_plan(
    config: RunConfig, rss: RssConfig, cpus: tuple[int, ...], port: int, program: Program | None
) -> LivePlan:
    """The plan for interface number `port`. Raises NicError, UsageError."""
    ifname, first = config.iface[port], port * config.queues
    backend = choose_backend(ifname, config.backend)
    return LivePlan(
        backend=backend.name,
        ifname=ifname,
        rss=rss,
        queues=config.queues,
        ring_slots=config.ring_slots,
        cpus=cpus[first : first + config.queues],
        first=first,
        port=port,
        # What only looks on leaves the card as it is, unless somebody wishes for something else.
        set_rss=ifname != ANY and (backend.sets_rss or bool(config.given & {"rss_key", "rss_fields"})),
        fanout=config.fanout,
        hugepages=config.hugepages,
        force=config.force,
        verify=config.verify_rss,
        promiscuous=not config.no_promiscuous,
        # An output has the frames of all of them in order.
        stamped=len(config.iface) > 1 and bool(config.out),
        program=program,
        # Without --tune, what only looks on leaves interrupts, too.
        changes=lambda: _tuning(config, cpus, port).changes if config.tune or backend.sets_interrupts else (),
    )


def _source_plan(config: RunConfig, rss: RssConfig, cpus: tuple[int, ...], program: Program | None) -> SourcePlan:
    live = tuple(_live_plan(config, rss, cpus, port, program) for port in range(len(config.iface)))
    if live:
        return live[0] if len(live) == 1 else SeveralPlan(live)
    assert config.loop is not None
    return ReplayPlan(
        files=config.read or (str(bundled_trace()),),
        kind="file" if config.read else "trace",
        loop=config.loop,
        pace=config.pps if config.pps is not None else config.speed or "max",
        max_gap=config.max_gap if config.max_gap is not None else MAX_GAP,
        count=config.count,
        rss=rss,
        queues=config.queues,
        ring_slots=config.ring_slots,
        verify=config.verify_rss,
        sandbox=not config.no_sandbox,
    )


def domains(config: RunConfig) -> int:
    """How many cards put packets into buckets, each in its own way."""
    return max(1, len(config.iface))


def _spread(config: RunConfig, outputs: Sequence[Chosen], specs: Sequence[PluginSpec]) -> Spread:
    rules = [chosen.streams.shares.rule for chosen in outputs if chosen.streams.shares is not None]
    return choose_spread(config, rules, [spec.declared.needs for spec in specs])


def _shedding(config: RunConfig) -> Shedding | None:
    """What all outputs shed that do not say it themselves; None: they know no flows. Raises UsageError."""
    wanted = [name for name in ("shed", "shed_keep", "shunt", "count_flows") if name in config.given]
    if wanted and not config.out:
        raise UsageError(f"--{OPTIONS[wanted[0]].name}: no output has flows: name an --out")
    if wanted == ["shed_keep"] and not any(",shed=" in text for text in config.out):
        raise UsageError("--shed-keep: nothing is shed without --shed new or --shed elephants")
    if config.shed == "off" and config.shunt is None and not config.count_flows:
        return None
    return Shedding(config.shed, config.shed_keep, config.shunt)


def _spread_warnings(config: RunConfig, plugins: Sequence[BoundPlugin]) -> Iterator[str]:
    names = ", ".join(plugin.name for plugin in plugins if plugin.declared.needs)
    if names and len(config.iface) > 1:
        yield f"{names}: each interface has state of its own, so that what comes on two of them is counted apart"


def _shed_warnings(outputs: Sequence[Chosen], rss: RssConfig, *, live: bool) -> Iterator[str]:
    """Where outputs cannot do with flows what was asked for."""
    sheddings = [chosen.shedding for chosen in outputs if chosen.shedding is not None]
    if any(shedding.mode != "off" for shedding in sheddings) and not live:
        yield "--shed: a capture at --speed max waits for its outputs, so that nothing is shed"
    if sheddings and not rss.symmetry:
        yield f"RSS key {rss.key_name or rss.key.hex()}: each direction of a flow is shed and shunted by itself"


def prepare(config: RunConfig) -> Prepared:
    """Resolve key, plugins, filters, CPUs, files and interface. Raises UsageError, LibpcapError, NicError."""
    topology = read_topology()
    config = with_queues(replace(config, iface=real_names(config.iface)), topology)
    workers = config.queues * domains(config)
    asked = Asked(config.shares, config.share, workers, config.on_dead, _shedding(config))
    outputs = choose_outputs(config.out, asked)
    specs = tuple(parse_spec(text) for text in config.plugins)
    spread = _spread(config, outputs, specs)
    rss = RssConfig.make(config.rss_key, spread.fields, config.queues)
    program = compile_expression(config.filter, "--filter") if config.filter else None
    node = nic_node(config.iface[0]) if config.iface and config.iface[0] != ANY else None
    affinity = make_plan(topology, workers, config.cpus, node)
    plugins = _bind_all(specs, workers, (FILTER,) if program is not None else ())
    require_spread(config, rss, spread, {plugin.name: plugin.declared.needs for plugin in plugins})
    require_room(plugins, domains(config))
    config = replace(config, fanout=spread.fanout)
    return Prepared(
        config=config,
        rss=rss,
        specs=specs,
        plugins=plugins,
        affinity=affinity,
        tuning=tuple(_tuning(config, affinity.cpus, port) for port in range(len(config.iface))),
        source_plan=_source_plan(config, rss, affinity.cpus, program),
        outputs=outputs,
        rows=choose_rows(config.rows, record_kinds(plugins)),
        warnings=(
            *(filter(None, [kept_line(kept_by_workers())]) if config.iface else ()),
            *_spread_warnings(config, plugins),
            *_shed_warnings(outputs, rss, live=bool(config.iface) or config.speed != "max"),
        ),
        program=program,
    )


def _pace(config: RunConfig) -> str:
    if config.iface:
        return "live"
    return f"{config.pps:,.0f} packets a second" if config.pps is not None else str(config.speed)


def _output_plan(chosen: Chosen, command: tuple[str, ...]) -> OutputPlan:
    shares, text = chosen.streams.shares, chosen.spec.text
    if shares is None:
        return OutputPlan(text)
    on_dead = DRAIN if chosen.streams.drains else DROP
    return OutputPlan(text, shares.text, shares.rule, command if takes_commands(text) else (), on_dead)


def run_plan(prepared: Prepared, source: Source) -> RunPlan:
    """The plan as observers see it."""
    config, rss = prepared.config, prepared.rss
    return RunPlan(
        source=SourceInfo(
            source.kind, tuple(source.names), source.backend, tuple(source.link_types), promiscuous=source.promiscuous
        ),
        rss=RssInfo(rss.key.hex(), rss.fields, tuple(rss.reta), rss.key_name),
        queues=tuple(
            QueuePlan(ring.queue, cpu, ring.ifname, number)
            for number, (ring, cpu) in enumerate(zip(source.rings, prepared.cpus, strict=True))
        ),
        plugins=tuple(
            PluginPlan(
                plugin.name,
                dict(plugin.params),
                spec.origin,
                spec.declared.expression,
                state_plan(plugin, domains(config)),
            )
            for plugin, spec in zip(prepared.plugins, prepared.specs, strict=True)
        ),
        filter=config.filter,
        outputs=tuple(_output_plan(chosen, config.command) for chosen in prepared.outputs),
        rows=tuple(chosen.spec.text for chosen in prepared.rows),
        records={kind.name: kind.fields for kind in prepared.kinds},
        pace=_pace(config),
        loop=config.loop or FOREVER,
        ring_slots=config.ring_slots,
        memory=sum(ring.memory for ring in source.rings),
        tuning=tuple(change for tuning in prepared.tuning for change in tuning.changes) if config.tune else (),
        warnings=(
            *prepared.warnings,
            *filter(None, [complaint()]),
            *prepared.affinity.warnings,
            *(text for tuning in prepared.tuning for text in tuning.warnings),
            *source.warnings,
        ),
    )


def plan(config: RunConfig) -> RunPlan:
    """What `run` would do, with files probed and names resolved, and nothing started."""
    prepared = prepare(config)
    source = open_source(prepared.source_plan)
    try:
        return run_plan(prepared, source)
    finally:
        source.close()
