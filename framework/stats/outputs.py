"""Where every frame went that the chain handed on: a ledger an output and share.

offered = written + in_flight + Σ dropped[reason] + Σ shed[reason]
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class ReaderStats:
    """A program that reads a ring: offered = read + lost + unread, frames since it came.

    state: "reading", "left" or "died". lost: frames that were overwritten before it read them, or that it left unread.
    """

    name: str
    pid: int
    state: str
    offered: int
    read: int
    lost: int
    unread: int


@dataclass(frozen=True)
class ShareLedger:
    """Frames of one share of an output. `target` is the file or FIFO, `bytes` what was written there.

    dropped, by reason: "ring_full" (the writer was too slow), "no_reader", "unread" (left in a FIFO by its reader),
    "failed" (the output had failed), "unwritten" (the run ended before), "uncertain" (a write in which the writer was
    killed, or to stdout in which its reader left), "refused" (too long or too short for an interface), "down" (the
    interface was down).
    shed: frames of whole flows that were left out on purpose. late: of those written, frames behind a younger one of
    another worker. readers: of a FIFO, that came so far. consumers: of a ring.
    """

    share: int
    target: str = ""
    offered: int = 0
    written: int = 0
    bytes: int = 0
    in_flight: int = 0
    dropped: dict[str, int] = field(default_factory=dict)
    shed: dict[str, int] = field(default_factory=dict)
    late: int = 0
    readers: int = 0
    consumers: Sequence[ReaderStats] = ()

    @property
    def lost(self) -> int:
        """Frames that were not written, for whatever reason."""
        return sum(self.dropped.values()) + sum(self.shed.values())

    def as_json(self) -> dict[str, Any]:
        return vars(self) | {"consumers": [vars(reader) for reader in self.consumers]}

    def closes(self) -> bool:
        """Whether the sum holds, to the frame."""
        return self.offered == self.written + self.in_flight + self.lost


@dataclass(frozen=True)
class CommandStats:
    """The command that reads a share. exit_code: negative for a signal, None while it runs.

    served: frames flowed while it was there. stopped: it was told to end, and did not end by itself.
    """

    share: int
    command: Sequence[str]
    pid: int
    exit_code: int | None = None
    served: bool = False
    stopped: bool = False


@dataclass(frozen=True)
class OutputStats:
    """One output. spec: as it was asked for. restarts: of its writer. fault: why it failed, "" where it has not.

    commands: those that were started to read its shares.
    """

    spec: str
    kind: str
    pid: int = 0
    restarts: int = 0
    fault: str = ""
    shares: Sequence[ShareLedger] = ()
    commands: Sequence[CommandStats] = ()

    def as_json(self) -> dict[str, Any]:
        """The rows of the JSON document."""
        rows: dict[str, Any] = {"spec": self.spec, "kind": self.kind, "pid": self.pid, "restarts": self.restarts}
        rows |= {"fault": self.fault, "shares": [share.as_json() for share in self.shares]}
        return rows | {"commands": [vars(command) for command in self.commands]}
