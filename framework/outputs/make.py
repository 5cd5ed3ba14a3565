"""From the words of --out, --share and --shares to outputs, and what the chain is compiled with for each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from zcframe.framework.chain.handover import HandOver
from zcframe.framework.errors import UsageError
from zcframe.framework.filters.libpcap import compile_expression
from zcframe.framework.filters.program import Program
from zcframe.framework.share import Shares
from zcframe.framework.share.shares import DEFAULT_RULE

from .options import DRAIN
from .output import BY_QUEUE, SHARE, Input, Output, OutputSpec, Streams
from .spec import parse_output


class Chosen(NamedTuple):
    """An output that was asked for, with nothing made yet."""

    kind: type[Output]
    spec: OutputSpec
    streams: Streams
    program: Program | None


def _streams(spec: OutputSpec, shares: str | None, rule: str | None, on_dead: str | None, workers: int) -> Streams:
    if SHARE not in spec.target:
        if spec.options.keys() & {"share", "shares", "dead"}:
            raise UsageError(f"--out {spec.text}: shares need names of their own: put {{}} into the name")
        return Streams()
    chosen, text = str(spec.options.get("share", rule or DEFAULT_RULE)), spec.options.get("shares", shares)
    if text is None and chosen != BY_QUEUE:
        raise UsageError(f"--out {spec.text}: {{}} stands for a share: say how many there are by --shares N")
    found = Shares.parse(chosen, str(text if text is not None else workers))
    found.require_queues(workers)
    drains = str(spec.options.get("dead", on_dead)) == DRAIN
    if drains and chosen == BY_QUEUE:
        raise UsageError(f"--out {spec.text}: --on-dead drain cannot move what --share queue keeps in one queue")
    return Streams(found.count, found, drains)


def _program(spec: OutputSpec) -> Program | None:
    expression = str(spec.options.get("filter", ""))
    return compile_expression(expression, f"--out {spec.kind}:{spec.target}: filter=") if expression else None


def choose_outputs(
    texts: Sequence[str], shares: str | None, rule: str | None, workers: int, on_dead: str | None = None
) -> tuple[Chosen, ...]:
    """The outputs of --out. workers: how many the run has. on_dead: DRAIN or DROP. Raises UsageError."""
    parsed = [parse_output(text) for text in texts]
    chosen = tuple(
        Chosen(kind, spec, _streams(spec, shares, rule, on_dead, workers), _program(spec)) for kind, spec in parsed
    )
    given = [name for name, value in (("shares", shares), ("share", rule), ("on-dead", on_dead)) if value is not None]
    if given and not any(SHARE in one.spec.target for one in chosen):
        raise UsageError(f"--{given[0]}: no --out has shares: one with {{}} in its name is needed")
    return chosen


def make_outputs(chosen: Sequence[Chosen], inputs: Sequence[Input]) -> list[tuple[Output, HandOver]]:
    """The outputs, not open yet. Raises UsageError for two that would write to one name."""
    outputs = [one.kind(one.spec, one.streams, inputs, number) for number, one in enumerate(chosen)]
    seen: dict[str, str] = {}
    for output in outputs:
        for target in output.targets():
            if target in seen:
                raise UsageError(f"--out {output.spec.text}: {target} is written by --out {seen[target]} already")
            seen[target] = output.spec.text
    return [(output, _hand_over(output, one.program)) for output, one in zip(outputs, chosen, strict=True)]


def _hand_over(output: Output, program: Program | None) -> HandOver:
    shares = output.streams.shares
    if shares is None or shares.count == 1 or output.streams.apart:
        return HandOver(output.record, passes=program)
    from zcframe.framework.share.choose import share_by

    return HandOver(output.record, share_by(shares.rule), shares.rule, program)
