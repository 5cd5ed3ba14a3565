"""Records handed to the program that asked for the run: a file of its own, in which they lie as they did in the rings.

The program has the file's other descriptor, and makes values of them when it looks.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any, Final

from zcframe.framework.outputs.kinds.file import Form
from zcframe.framework.outputs.output import Input, OutputSpec
from zcframe.framework.outputs.sink import Pieces

from .decode import each
from .kind import RecordKind
from .output import NO_OPTIONS, Rows

HANDED: Final = "handed"


class Handed(Rows):
    """All records of a run, into the file behind a descriptor that this process inherited."""

    def __init__(self, descriptor: int, inputs: Sequence[Input], number: int, kinds: Sequence[RecordKind]) -> None:
        spec = OutputSpec(HANDED, f"/proc/self/fd/{descriptor}", NO_OPTIONS, "the program's records")
        super().__init__(spec, inputs, number, kinds, range(len(kinds)))
        self._descriptor = descriptor

    @property
    def prefix(self) -> str:
        return f"{self.spec.text}: "

    def open(self) -> None:
        """The program has made it."""

    def let_go(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def line(self, kind: RecordKind) -> Callable[[tuple[Any, ...]], str]:
        raise NotImplementedError

    @property
    def _form(self) -> Form:
        return self._counted

    def _counted(self, pieces: Pieces) -> Pieces:
        """The records as they are. Raises OutputError for what is none."""
        # A copy: what a worker changes behind our back changes nothing any more.
        data = pieces.joined()
        counts = [0] * len(self.kinds)
        for number, _, _ in each(data, self.taken):
            counts[number] += 1
        return Pieces.of(data, counts)
