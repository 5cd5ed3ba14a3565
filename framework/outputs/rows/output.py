"""An output for rows: files of lines, one for each record that a plugin emitted.

A format is a class with this base, found by the entry point `zcframe.rows`: it says what stands at the beginning of a
file, and what line a record becomes.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, ClassVar

from zcframe.framework.chain.handover import ROWS
from zcframe.framework.outputs.kinds.file import Form
from zcframe.framework.outputs.kinds.files import Files
from zcframe.framework.outputs.output import Input, Output, OutputSpec, Streams
from zcframe.framework.outputs.taken import RowsTaken

from .decode import Lines
from .kind import RecordKind


class Rows(Files):
    """Base of all formats. kinds: of record in the run, by their numbers; taken: the numbers of those that it gets."""

    option = "rows"
    record = ROWS
    # Whether a file holds records of one kind only.
    one_kind: ClassVar[bool] = False
    taken: tuple[int, ...]

    def __init__(
        self,
        spec: OutputSpec,
        inputs: Sequence[Input],
        number: int,
        kinds: Sequence[RecordKind],
        taken: Collection[int],
    ) -> None:
        super().__init__(spec, Streams(), inputs, number)
        self.kinds, self.taken = kinds, tuple(taken)

    @property
    def rows(self) -> RowsTaken:
        return RowsTaken(len(self.kinds), self.taken)

    def head(self) -> bytes:
        """What stands at the beginning of each file."""
        return b""

    def line(self, kind: RecordKind) -> Callable[[tuple[Any, ...]], str]:
        """Function (values of a record's fields, as kind.py has them) -> its line, without the end of line."""
        raise NotImplementedError

    @property
    def _head(self) -> bytes:
        return self.head()

    @property
    def _form(self) -> Form:
        return Lines(self.kinds, {number: self.line(self.kinds[number]) for number in self.taken})

    def _open_stdout(self) -> None:
        """Lines are for people, too."""

    def _refuse_fifo(self, path: str) -> Exception:
        return self.refuse(f"{path} is a FIFO: write to {self.spec.kind}:- and send that there")


class Nobody(Output):
    """Nobody asked for the records: they are counted."""

    option = "rows"
    record = ROWS
    writes = False

    def __init__(self, number: int, kinds: Sequence[RecordKind]) -> None:
        super().__init__(OutputSpec("", "", NO_OPTIONS, ""), Streams(), (), number)
        self.kinds = kinds

    @property
    def rows(self) -> RowsTaken:
        return RowsTaken(len(self.kinds), range(len(self.kinds)), asked=False)

    def targets(self) -> tuple[str, ...]:
        return ()

    def open(self) -> None:
        """There is nothing."""


NO_OPTIONS: Mapping[str, Any] = {}
