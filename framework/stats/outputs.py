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
    killed, or to stdout in which its reader left, or in a card's ring at the end), "refused" (too long or too short for
    an interface), "down" (the interface was down).
    shed: frames of flows that were left out on purpose, by reason: "new", "elephants", "shunt". late: of those written,
    frames behind a younger one of another worker. readers: of a FIFO, that came so far. consumers: of a ring.
    flows: those that began, where the output knows flows; one_sided: of them, those of which one direction only was
    seen.
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
    flows: int = 0
    one_sided: int = 0

    @property
    def one_sided_ratio(self) -> float | None:
        """One-sided flows of all flows; None where there is none."""
        return self.one_sided / self.flows if self.flows else None

    @property
    def lost(self) -> int:
        """Frames that were not written, for whatever reason."""
        return sum(self.dropped.values()) + sum(self.shed.values())

    def as_json(self) -> dict[str, Any]:
        readers = [vars(reader) for reader in self.consumers]
        return vars(self) | {"consumers": readers, "one_sided_ratio": self.one_sided_ratio}

    def closes(self) -> bool:
        """Whether the sum holds, to the frame."""
        return self.offered == self.written + self.in_flight + self.lost


@dataclass(frozen=True)
class ShedFlow:
    """A flow that was shed or shunted. reason: as in ShareLedger. a, b: addresses of its ends, with their ports.

    packets, bytes: of all its frames, those that went on among them, as they were on the wire.
    """

    share: int
    reason: str
    proto: int
    a: str
    b: str
    a_port: int
    b_port: int
    packets: int
    bytes: int


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

    commands: those that were started to read its shares. largest_shed: of the flows that were left out, the largest.
    flows_replaced: flows that gave up their place in the table to others.
    """

    spec: str
    kind: str
    pid: int = 0
    restarts: int = 0
    fault: str = ""
    shares: Sequence[ShareLedger] = ()
    commands: Sequence[CommandStats] = ()
    largest_shed: Sequence[ShedFlow] = ()
    flows_replaced: int = 0

    def as_json(self) -> dict[str, Any]:
        """The rows of the JSON document."""
        rows: dict[str, Any] = {"spec": self.spec, "kind": self.kind, "pid": self.pid, "restarts": self.restarts}
        rows |= {"fault": self.fault, "shares": [share.as_json() for share in self.shares]}
        rows |= {"largest_shed": [vars(flow) for flow in self.largest_shed], "flows_replaced": self.flows_replaced}
        return rows | {"commands": [vars(command) for command in self.commands]}
