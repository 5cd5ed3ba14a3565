"""What the process of a run says to its host."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Line:
    """A line for people: of the run's messages, or what a plugin's own Python printed. stream: "stdout", "stderr"."""

    text: str
    stream: str


@dataclass(frozen=True)
class Started:
    """Packets can come, and snapshots be asked for. records: (name, kind) of the fields, by "PLUGIN.RECORDS"."""

    records: Mapping[str, Sequence[tuple[str, Any]]] = field(default_factory=dict)


@dataclass(frozen=True)
class Progress:
    """done, whole: bytes of the files; a whole of 0 where no end is known. packets: delivered so far.

    recorded: bytes of records in the host's file that hold.
    """

    done: int
    whole: int
    packets: int
    elapsed_s: float
    recorded: int = 0


@dataclass(frozen=True)
class Counted:
    """A run at one moment. document: its text. states: merged, by plugin. final: the run is over.

    recorded: bytes of records in the host's file that hold.
    """

    document: str
    states: Mapping[str, Any] = field(default_factory=dict)
    warnings: Sequence[str] = ()
    final: bool = False
    recorded: int = 0


@dataclass(frozen=True)
class Ended:
    """The last message. error: "" where all went well, or the run was ended before the first packet."""

    exit_code: int
    error: str = ""
    details: str = ""
