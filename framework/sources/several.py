"""Several interfaces as one source: a tap's two directions are two interfaces, whose buckets merge."""

from __future__ import annotations

import select
from collections.abc import Sequence
from typing import Final

from zcframe.framework.filters.program import Program
from zcframe.framework.ring import ReceiveRing, Undo

from .base import Source, SourceEvent


class Several:
    """Several sources side by side, and owned. The end is reported when the last one has ended.

    An interface that fails while others go on leaves the source degraded; where none is left, the source has failed.
    """

    kind: Final = "iface"
    pid: Final = None
    warnings: Final = ()

    def __init__(self, parts: Sequence[Source]) -> None:
        self._parts, self._going = list(parts), list(parts)
        self._undo = Undo()
        self._events = self._undo.closing(select.epoll())
        for part in parts:
            self._undo.closing(part)
        self.names = tuple(name for part in parts for name in part.names)
        self.backend = "+".join(dict.fromkeys(part.backend for part in parts))
        self.link_types = tuple(dict.fromkeys(name for part in parts for name in part.link_types))
        self.promiscuous = any(part.promiscuous for part in parts)
        self.rings: list[ReceiveRing] = [ring for part in parts for ring in part.rings]

    @property
    def events_fd(self) -> int:
        """File descriptor to poll for input."""
        return self._events.fileno()

    def start(self) -> None:
        """Make every part ready."""
        for part in self._parts:
            part.start()
            self._events.register(part.events_fd, select.EPOLLIN)

    def ready(self) -> None:
        """Wait for every part."""
        for part in self._parts:
            part.ready()

    def go(self) -> None:
        """Let packets come."""
        for part in self._parts:
            part.go()

    def refuse(self, program: Program | None) -> None:
        """Have every part that still runs refuse what does not match."""
        for part in self._going:
            part.refuse(program)

    def stop(self) -> None:
        """Order the end of the parts that still run."""
        for part in self._going:
            part.stop()

    def poll_events(self) -> list[SourceEvent]:
        """Events of the parts; only the end of the last one is reported as an end."""
        news = ((part, event) for part in list(self._going) for event in part.poll_events())
        return [passed for part, event in news for passed in self._pass_on(part, event)]

    def _pass_on(self, part: Source, event: SourceEvent) -> list[SourceEvent]:
        if event.kind in ("warning", "degraded"):
            return [event]
        self._events.unregister(part.events_fd)
        self._going.remove(part)
        if not self._going:
            return [event]
        return [SourceEvent("degraded", f"{event.text}; the others go on")] if event.kind == "failed" else []

    def progress(self) -> tuple[int, int]:
        """No end is known."""
        return 0, 0

    def hurry(self) -> None:
        """Have the parts that still run report their ends."""
        for part in self._going:
            part.hurry()

    def passed_over(self) -> dict[str, int]:
        """None: every link type that can be captured is read."""
        return {}

    def close(self) -> None:
        """Give everything back, in the order opposite to that of its opening."""
        self._undo.close()
