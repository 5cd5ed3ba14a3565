"""The interface between the supervisor and every source of packets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from zcframe.framework.filters.program import Program
from zcframe.framework.ring import ReceiveRing

EventKind = Literal["finished", "warning", "degraded", "failed"]


@dataclass(frozen=True)
class SourceEvent:
    """One message of a source to the operator.

    "finished": nothing more will come, all is well. "failed": nothing more will come, the command ends with exit code
    1; what was delivered before counts. "warning": the source goes on. "degraded": a part of the source is gone and the
    rest goes on; the command ends with exit code 1 then.
    """

    kind: EventKind
    text: str


class Source(Protocol):
    """One NIC, hardware or model: it fills one ring a queue.

    The order of calls: `start()`, `ready()`, then workers are forked, then `go()`; `stop()` at any time, `close()` at
    the end.
    `events_fd` becomes readable when `poll_events()` has an event. After "finished" or "failed" it stays readable for
    ever, and must not be watched any longer.
    """

    @property
    def kind(self) -> str:
        """ "file", "trace" or "iface"."""

    @property
    def names(self) -> tuple[str, ...]:
        """Files or interfaces, as the user named them."""

    @property
    def backend(self) -> str:
        """Name of the backend that fills the rings: "soft82576", "zerocopy", ..."""

    @property
    def link_types(self) -> tuple[str, ...]:
        """Names of the link types that are known so far, without their LINKTYPE_."""

    @property
    def promiscuous(self) -> bool | None:
        """Whether interfaces hand up frames for other machines, too, since this source asks for it; None for files."""

    @property
    def warnings(self) -> tuple[str, ...]:
        """Lines for the operator that are known before the first frame."""

    @property
    def rings(self) -> Sequence[ReceiveRing]:
        """Receive rings, in the order of their queues."""

    @property
    def pid(self) -> int | None:
        """Process that fills the rings; None where the kernel does."""

    @property
    def events_fd(self) -> int:
        """File descriptor to poll for input."""

    def start(self) -> None:
        """Make everything ready; the rings are sealed afterwards and nothing has arrived yet."""

    def ready(self) -> None:
        """Wait until `go()` will be obeyed at once."""

    def go(self) -> None:
        """Let packets come."""

    def refuse(self, program: Program | None) -> None:
        """While packets come: take no more in but those of this program, where this source can, and count the others.

        None: take all. Rings have the counts as `refused`, those of earlier programs with them.
        """

    def poll_events(self) -> list[SourceEvent]:
        """Events since the last call; never blocks."""

    def progress(self) -> tuple[int, int]:
        """(done, total) in bytes of input; total 0: no end is known."""

    def passed_over(self) -> dict[str, int]:
        """Frames of link types from which no IP is read, by link type, so far."""

    def stop(self) -> None:
        """Order the end; "finished" follows within milliseconds, when the last frame is published."""

    def hurry(self) -> None:
        """Report the end, where there is one, with the next `poll_events()`: no worker is left to wait for."""

    def close(self) -> None:
        """Give everything back at once, in any state."""
