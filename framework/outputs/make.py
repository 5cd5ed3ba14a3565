"""From the words of --out, --share and --shares to outputs, and what the chain is compiled with for each."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from zcframe.framework.chain.handover import HandOver, Shedding
from zcframe.framework.errors import UsageError
from zcframe.framework.filters.libpcap import compile_expression
from zcframe.framework.filters.program import Program
from zcframe.framework.share import Shares
from zcframe.framework.share.shares import DEFAULT_RULE

from .options import DRAIN
from .output import BY_QUEUE, SHARE, STDOUT, Input, Output, OutputSpec, Streams
from .spec import parse_output


class Chosen(NamedTuple):
    """An output that was asked for, with nothing made yet."""

    kind: type[Output]
    spec: OutputSpec
    streams: Streams
    program: Program | None
    shedding: Shedding | None = None


class Asked(NamedTuple):
    """--shares, --share, --on-dead; None where they were not given. workers: how many the run has.

    shedding: of outputs that do not say it themselves; None: they know no flows.
    """

    shares: str | None
    rule: str | None
    workers: int
    on_dead: str | None = None
    shedding: Shedding | None = None

    def rule_of(self, spec: OutputSpec) -> str:
        return str(spec.options.get("share", self.rule or DEFAULT_RULE))

    def made(self, spec: OutputSpec, count: str) -> Streams:
        """Streams of so many shares. Raises UsageError."""
        rule = self.rule_of(spec)
        found = Shares.parse(rule, count)
        found.require_queues(self.workers)
        drains = str(spec.options.get("dead", self.on_dead)) == DRAIN
        if drains and rule == BY_QUEUE:
            raise UsageError(f"--out {spec.text}: --on-dead drain cannot move what --share queue keeps in one queue")
        return Streams(found.count, found, drains)


def _streams(kind: type[Output], spec: OutputSpec, asked: Asked) -> Streams:
    if number := kind.streams_in(spec):
        return _streams_in(spec, number, asked)
    if SHARE not in spec.target:
        if spec.options.keys() & {"share", "shares", "dead"}:
            raise UsageError(f"--out {spec.text}: shares need names of their own: put {{}} into the name")
        return Streams()
    text = spec.options.get("shares", asked.shares)
    if text is None and asked.rule_of(spec) != BY_QUEUE:
        raise UsageError(f"--out {spec.text}: {{}} stands for a share: say how many there are by --shares N")
    return asked.made(spec, str(text if text is not None else asked.workers))


def _streams_in(spec: OutputSpec, number: int, asked: Asked) -> Streams:
    """Shares of a target that has so many streams."""
    if SHARE in spec.target:
        raise UsageError(f"--out {spec.text}: {spec.kind} has its shares in one target: leave {{}} out of its name")
    streams = asked.made(spec, str(spec.options.get("shares", number)))
    if streams.number != number:
        raise UsageError(f"--out {spec.text}: {streams.number} shares for what takes {number}: give as many of both")
    return streams


def _program(spec: OutputSpec) -> Program | None:
    expression = str(spec.options.get("filter", ""))
    return compile_expression(expression, f"--out {spec.kind}:{spec.target}: filter=") if expression else None


def _shedding(spec: OutputSpec, general: Shedding | None) -> Shedding | None:
    """What an output sheds: as it says itself, else as all do. None: it knows no flows."""
    given, base = spec.options, general or Shedding()
    found = Shedding(given.get("shed", base.mode), given.get("keep", base.keep), given.get("shunt", base.shunt))
    if "keep" in given and found.mode == "off":
        raise UsageError(f"--out {spec.text}: keep={found.keep}: nothing is shed without shed=new or shed=elephants")
    return found if general is not None or given.keys() & {"shed", "shunt"} else None


def choose_outputs(texts: Sequence[str], asked: Asked) -> tuple[Chosen, ...]:
    """The outputs of --out. Raises UsageError."""
    parsed = [parse_output(text) for text in texts]
    chosen = tuple(
        Chosen(kind, spec, _streams(kind, spec, asked), _program(spec), _shedding(spec, asked.shedding))
        for kind, spec in parsed
    )
    named = any(SHARE in one.spec.target for one in chosen)
    shared = any(one.streams.shares for one in chosen)
    useless = (("shares", asked.shares, named), ("share", asked.rule, shared), ("on-dead", asked.on_dead, shared))
    for option, value, used in useless:
        if value is not None and not used:
            raise UsageError(f"--{option}: no --out has shares: one with {{}} in its name is needed")
    return chosen


def make_outputs(chosen: Sequence[Chosen], inputs: Sequence[Input]) -> list[tuple[Output, HandOver]]:
    """The outputs, not open yet. Raises UsageError for two that would write to one name."""
    outputs = [one.kind(one.spec, one.streams, inputs, number) for number, one in enumerate(chosen)]
    require_apart(outputs)
    return [(output, _hand_over(output, one)) for output, one in zip(outputs, chosen, strict=True)]


def require_apart(outputs: Iterable[Output]) -> None:
    """Raises UsageError for two outputs that would write to one name."""
    seen: dict[str, Output] = {}
    for output in outputs:
        for target in output.targets():
            place = target if target == STDOUT else os.path.realpath(target)
            if place in seen:
                raise output.refuse(f"{target} is written by {seen[place].prefix[:-2]} already")
            seen[place] = output


def _hand_over(output: Output, chosen: Chosen) -> HandOver:
    shares = output.streams.shares
    if shares is None or shares.count == 1 or output.streams.apart:
        return HandOver(output.record, passes=chosen.program, shedding=chosen.shedding)
    from zcframe.framework.share.choose import share_by

    return HandOver(output.record, share_by(shares.rule), shares.rule, chosen.program, chosen.shedding)
