"""From the words of --rows to outputs for rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from zcframe.framework.chain.handover import ROWS, HandOver
from zcframe.framework.chain.records.tally import MAX_KINDS
from zcframe.framework.errors import UsageError
from zcframe.framework.nearest import nearest, offer
from zcframe.framework.outputs import options
from zcframe.framework.outputs.output import Input, Output, OutputSpec
from zcframe.framework.outputs.spec import Way, parse_output

from .handed import Handed
from .kind import RecordKind
from .output import Nobody, Rows

WAY: Final = Way("rows", "zcframe.rows", {"buffer": options.size, "only": options.text}, Rows)


class ChosenRows(NamedTuple):
    """An output for rows that was asked for. taken: numbers of the kinds of record that it gets."""

    kind: type[Rows]
    spec: OutputSpec
    taken: tuple[int, ...]


def _taken(cls: type[Rows], spec: OutputSpec, kinds: Sequence[RecordKind]) -> tuple[int, ...]:
    names = [kind.name for kind in kinds]
    only = spec.options.get("only")
    if only is not None and only not in names:
        raise UsageError(
            f"--rows {spec.text}: no plugin of this run has records {only}{offer(nearest(only, names), names)}"
        )
    taken = tuple(number for number, name in enumerate(names) if only in (None, name))
    if cls.one_kind and len(taken) > 1:
        texts = " or ".join(f"only={name}" for name in names)
        raise UsageError(f"--rows {spec.text}: a file of {spec.kind} has records of one kind: add ,{texts}")
    return taken


def _choose(text: str, kinds: Sequence[RecordKind]) -> ChosenRows:
    cls, spec = parse_output(text, WAY)
    assert issubclass(cls, Rows)
    if not kinds:
        raise UsageError(f"--rows {text}: no plugin of this run has Records: name one by --plugin")
    return ChosenRows(cls, spec, _taken(cls, spec, kinds))


def choose_rows(texts: Sequence[str], kinds: Sequence[RecordKind]) -> tuple[ChosenRows, ...]:
    """The outputs of --rows. kinds: of record in the run. Raises UsageError."""
    if len(kinds) > MAX_KINDS:
        raise UsageError(f"--plugin: {len(kinds)} kinds of Records; a run has at most {MAX_KINDS}")
    return tuple(_choose(text, kinds) for text in texts)


def make_rows(
    chosen: Sequence[ChosenRows],
    kinds: Sequence[RecordKind],
    inputs: Sequence[Input],
    first: int,
    handed: int | None = None,
) -> list[tuple[Output, HandOver]]:
    """The outputs for rows, not open yet, numbered from `first` on. Where nobody asked for records they are counted.

    handed: descriptor of a file that gets all records as they are; None: there is none.
    """
    made: list[Output] = [one.kind(one.spec, inputs, first + i, kinds, one.taken) for i, one in enumerate(chosen)]
    if kinds and handed is not None:
        made.append(Handed(handed, inputs, first + len(made), kinds))
    if kinds and not made:
        made = [Nobody(first, kinds)]
    return [(output, HandOver(ROWS)) for output in made]
