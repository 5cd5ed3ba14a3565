"""How many packets of capture files a tcpdump expression matches."""

from __future__ import annotations

from typing import Any

from zcframe.framework.filters.native import predicate
from zcframe.framework.filters.program import Program
from zcframe.framework.jit.compiler import fleeting

from .reader import batches
from .records import LENGTH, OFFSET, WIRE_LENGTH


def _counter(program: Program) -> Any:
    """Compiled function (address of a window, its records) -> how many of them match."""
    match: Any = predicate(program)

    @fleeting
    def count(window, records):  # type: ignore[no-untyped-def]
        found = 0
        for row in range(len(records)):
            frame, length = window + records[row, OFFSET], records[row, LENGTH]
            found += match(frame, length, records[row, WIRE_LENGTH], 0)
        return found

    return count


class Matches:
    """Counts over files, one after the other: all packets, and those that match."""

    def __init__(self, program: Program) -> None:
        self._count = _counter(program)
        self.packets = self.matched = 0

    def add(self, path: str) -> None:
        """Count the packets of a file. Raises as `batches` does; packets before the damage have counted."""
        for data, records in batches(path):
            self.packets += len(records)
            self.matched += int(self._count(data.ctypes.data, records))
