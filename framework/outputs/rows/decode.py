"""From records in a ring to lines."""

from __future__ import annotations

import struct
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from typing import Any, Final

from zcframe.framework.errors import OutputError
from zcframe.framework.outputs.sink import Pieces
from zcframe.framework.state.records import HEAD

from .kind import RecordKind

# Number of the kind, and size.
BEGINNING: Final = struct.Struct("=II")


def each(data: bytes, taken: Container[int]) -> Iterator[tuple[int, int, int]]:
    """(number of its kind, where it begins, its size) of each record. taken: the numbers that there are.

    Raises OutputError for what is no record.
    """
    at = 0
    while at < len(data):
        number, size = BEGINNING.unpack_from(data, at) if at + HEAD <= len(data) else (-1, 0)
        if number not in taken or not HEAD <= size <= len(data) - at:
            raise OutputError("a worker left in its ring what is no record: nothing more is written")
        yield number, at, size
        at += size


class Lines:
    """Makes of records a line each. lines: of a kind's values, by the numbers of those that may come."""

    def __init__(self, kinds: Sequence[RecordKind], lines: Mapping[int, Callable[[tuple[Any, ...]], str]]) -> None:
        self._count = len(kinds)
        self._made = {number: (kinds[number].reader(), line) for number, line in lines.items()}

    def __call__(self, pieces: Pieces) -> Pieces:
        # A copy: what a worker changes behind our back changes nothing any more.
        data = pieces.joined()
        found: list[str] = []
        counts = [0] * self._count
        for number, at, size in each(data, self._made):
            read, line = self._made[number]
            found.append(line(read(data, at, size)))
            counts[number] += 1
        return Pieces.of(("\n".join(found) + "\n").encode(), counts)
