"""What a run found, at one moment and at its end."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .message import Counted
from .records import Emitted, data_frame

if TYPE_CHECKING:
    import pandas

    from zcframe.framework.state.merge import State


@dataclass(frozen=True)
class Snapshot:
    """A run at one moment.

    document: the JSON document of the command, as dicts and lists (docs/run.md). state: each plugin's merged state by
    name, as its `report` gets it: `state["mine"].table` is a numpy array with a field for each column, an `Array` one
    of plain numbers. warnings: what the command would have written on stderr. final: the run is over.
    """

    document: dict[str, Any]
    state: Mapping[str, State] = field(default_factory=dict)
    warnings: Sequence[str] = ()
    final: bool = False
    _emitted: Emitted = field(default_factory=Emitted, repr=False)

    @property
    def reports(self) -> dict[str, dict[str, Any]]:
        """Each plugin's report, by its name."""
        return self.document["plugins"]  # type: ignore[no-any-return]

    @property
    def packets(self) -> int:
        """Packets that were delivered to plugins."""
        return self.document["totals"]["packets"]  # type: ignore[no-any-return]

    @property
    def bytes(self) -> int:
        """Their bytes on the wire."""
        return self.document["totals"]["bytes"]  # type: ignore[no-any-return]

    @property
    def lost(self) -> int:
        """Frames that no plugin saw or will see."""
        return self.document["totals"]["lost"]  # type: ignore[no-any-return]

    @property
    def elapsed_s(self) -> float:
        """Seconds from the first packet's release."""
        return self.document["elapsed_s"]  # type: ignore[no-any-return]

    @property
    def ledger(self) -> dict[str, Any]:
        """Where every frame went, all queues together: the rows that docs/run.md lists."""
        return self.document["totals"]["ledger"]  # type: ignore[no-any-return]

    @property
    def queues(self) -> list[dict[str, Any]]:
        """A row for each worker."""
        return self.document["queues"]  # type: ignore[no-any-return]

    @property
    def faults(self) -> list[dict[str, Any]]:
        """What plugins raised, the most frequent first."""
        return self.document["faults"]  # type: ignore[no-any-return]

    @property
    def outputs(self) -> list[dict[str, Any]]:
        """A row for each output."""
        return self.document["outputs"]  # type: ignore[no-any-return]

    def records(self, name: str) -> Iterator[dict[str, Any]]:
        """The records that plugins emitted so far, in their order, each as a dict by field.

        name: "PLUGIN.RECORDS", or "RECORDS" where one plugin alone has records of this name. Addresses are those of
        ipaddress, a text is str, a blob bytes. Raises LookupError for a name that no plugin has.
        """
        return self._emitted.rows(self._emitted.number(name))

    def frame(self, plugin: str, member: str) -> pandas.DataFrame:
        """A table of a plugin's merged state as a pandas DataFrame, a row for each; an Array has one column.

        Of Records a row is a record. Raises ImportError without pandas, KeyError for a plugin, AttributeError for a
        member that is not there.
        """
        if f"{plugin}.{member}" in self._emitted.kinds:
            return self._emitted.frame(f"{plugin}.{member}")
        return data_frame(getattr(self.state[plugin], member), member)

    def __repr__(self) -> str:
        names = ", ".join(self.reports)
        return f"{type(self).__name__}({self.packets:,} packets in {self.elapsed_s:.3f} s; {names})"


@dataclass(frozen=True, repr=False)
class Result(Snapshot):
    """A run at its end. exit_code: the command's. interrupted: whether somebody asked for the end."""

    exit_code: int = 0
    interrupted: bool = False


def snapshot(counted: Counted, emitted: Emitted) -> Snapshot:
    """What a host is given of a message, with the records that hold then."""
    return Snapshot(json.loads(counted.document), counted.states, tuple(counted.warnings), counted.final, emitted)
