"""Where every record went that plugins emitted: a ledger a kind of record and output for rows.

made = written + in_flight + Σ dropped[reason]
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Self


@dataclass(frozen=True)
class RecordsLedger:
    """Records of one kind; name: "PLUGIN.RECORDS".

    dropped, by reason: "ring_full" (the writer was too slow), "failed" (the output had failed), "unwritten" (the run
    ended before), "unasked" (there is no --rows). cut: of those made, records of which a text or blob was cut.
    """

    name: str
    made: int = 0
    written: int = 0
    in_flight: int = 0
    dropped: dict[str, int] = field(default_factory=dict)
    cut: int = 0

    @classmethod
    def of(cls, name: str, tally: Sequence[int], written: int, rest: str) -> Self:
        """The ledger of records made, without room and cut. rest: why the others are not written, "": they will be."""
        made, full, cut = tally
        left = made - full - written
        dropped = {"ring_full": full, rest: left if rest else 0}
        found = {reason: records for reason, records in dropped.items() if records}
        return cls(name, made, written, 0 if rest else left, found, cut)

    def closes(self) -> bool:
        """Whether the sum holds, to the record."""
        return self.made == self.written + self.in_flight + sum(self.dropped.values())


@dataclass(frozen=True)
class RowsStats:
    """One output for rows. spec: as it was asked for, "" where nobody asked for rows.

    restarts: of its writer. fault: why it failed, "" where it has not. bytes: written. late: records that were written
    behind a younger one of another worker.
    """

    spec: str
    kind: str
    pid: int = 0
    restarts: int = 0
    fault: str = ""
    bytes: int = 0
    late: int = 0
    records: Sequence[RecordsLedger] = ()

    def as_json(self) -> dict[str, Any]:
        """The rows of the JSON document."""
        return vars(self) | {"records": [vars(row) for row in self.records]}
