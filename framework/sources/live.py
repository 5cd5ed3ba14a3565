"""One life of a live source: what every backend does on the way from its making to its end."""

from __future__ import annotations

import select
import time
from abc import ABC, abstractmethod
from collections.abc import Iterable
from contextlib import suppress
from typing import Final, Generic, TypeVar

from zcframe.framework.errors import NicError
from zcframe.framework.filters.program import Program
from zcframe.framework.nic import LinkChange, LinkWatch
from zcframe.framework.ring import ReceiveRing, Undo

from .alarm import Alarm
from .base import SourceEvent
from .plan import LivePlan
from .settings import Settings

R = TypeVar("R", bound=ReceiveRing)

# An end that has not settled is reported all the same after so long.
SETTLE_S: Final = 1.0
AT_ONCE_NS: Final = 1


class LiveSource(ABC, Generic[R]):
    """Captures from one interface: a Source whose steps a backend fills in.

    `_make()` makes `rings`; nothing is taken yet. `_take()`, at `start()`, takes what frames come by, and calls
    `_watch_link()`, where it is one interface, when it has changed all that it changes. `_let_come()` and
    `_let_no_more_come()` are the two halves of the traffic. What a backend takes goes to `_undo`: `close()` gives it
    back, the rings before all else.

    One timer wakes the supervisor for every reason: news, the end, a step that has to be tried again.
    """

    backend: str
    kind: Final = "iface"
    link_types: tuple[str, ...] = ("ETHERNET",)
    warnings: Final = ()
    pid: Final = None
    # From the order to end, and from each look, until the next look whether all is settled.
    look_ns = AT_ONCE_NS

    def __init__(self, plan: LivePlan) -> None:
        self.plan, self.names = plan, (plan.ifname,)
        self.rings: list[R] = []
        self._undo = Undo()
        self._watch: LinkWatch | None = None
        self._settings = Settings(plan)
        self._undo.callback(self._settings.undo)
        self._news: list[SourceEvent] = []
        self._end: SourceEvent | None = None
        self._ended, self._deadline = False, 0.0
        try:
            self._make()
        except BaseException:
            self.close()
            raise

    @abstractmethod
    def _make(self) -> None:
        """Refuse what cannot be captured so, and make the rings."""

    @abstractmethod
    def _take(self) -> None:
        """Take queues or sockets, set the interface up, and watch its link."""

    @abstractmethod
    def _let_come(self) -> None:
        """Let the frames come to the rings."""

    @abstractmethod
    def _let_no_more_come(self) -> None:
        """What has come by then stays in the rings."""

    def _settled(self) -> bool:
        """Whether the workers have, or can reach, all that came before the end."""
        return True

    def _look(self) -> None:
        """A backend's own part of `poll_events()`, behind the news of the link."""

    @property
    def promiscuous(self) -> bool:
        """Whether it has the interface hand up frames for other machines, too."""
        return self.plan.promiscuous

    @property
    def events_fd(self) -> int:
        """To poll for input: news of the link, what the operator should know at the start, the end."""
        return self._events.fileno()

    def start(self) -> None:
        """Take the interface; nothing comes to the workers until `go()`."""
        self._events = self._undo.closing(select.epoll())
        self._alarm = self._undo.closing(Alarm())
        self._events.register(self._alarm, select.EPOLLIN)
        self._take()

    def _watch_link(self, index: int) -> None:
        """Have what becomes of the interface from now on be news. Raises OSError where it is gone."""
        self._watch = self._undo.closing(LinkWatch(index))
        self._events.register(self._watch, select.EPOLLIN)

    def _watch_errors(self, fds: Iterable[int]) -> None:
        """Have errors and hang-ups wake the supervisor: frames are the workers' business."""
        for fd in fds:
            self._events.register(fd, 0)

    def ready(self) -> None:
        """Compile what every worker calls, where there is such a thing."""

    def go(self) -> None:
        """Let the frames come."""
        self._let_come()

    def refuse(self, program: Program | None) -> None:
        """The workers' chain alone filters, unless a backend does."""

    def _tune(self) -> None:
        """Make the plan's changes to the interface."""
        refused = self._settings.tune()
        self._warn(*self._settings.restored(), *refused)

    def _warn(self, *texts: str) -> None:
        """Have the next `poll_events()` report this, and wake the supervisor for it."""
        if texts:
            self._news += [SourceEvent("warning", text) for text in texts]
            self._alarm.start(AT_ONCE_NS)

    def stop(self) -> None:
        """Let no more frames come. The end is reported when all is settled."""
        self._let_no_more_come()
        self._finish(SourceEvent("finished", f"{self.plan.ifname} stopped"))

    def _finish(self, event: SourceEvent) -> None:
        """Note how the capture ends; the first reason counts."""
        if self._end is None:
            self._end, self._deadline = event, time.monotonic() + SETTLE_S
            self._alarm.start(self.look_ns)

    def _fail(self, text: str) -> None:
        """Note that the interface is gone.

        That counts until the end is reported, also behind the order to stop: nobody can tell which of them came first,
        and frames may be missing that were to be captured.
        """
        event = SourceEvent("failed", text)
        self._finish(event)
        self._end = event

    def poll_events(self) -> list[SourceEvent]:
        """News, then the end, once: stopped as ordered, or the interface is gone."""
        if self._ended:
            return []
        self._alarm.clear()
        for change in self._changes():
            self._hear(change)
        self._look()
        events, self._news = [*self._news, *self._ending()], []
        return events

    def _changes(self) -> list[LinkChange]:
        """What became of the interface since the last call."""
        return self._watch.changes() if self._watch is not None else []

    def _hear(self, change: LinkChange) -> None:
        """Report a change of the interface; where the interface is gone, that is the end."""
        if change.kind == "gone":
            self._fail(change.text)
        else:
            self._news.append(SourceEvent("warning", change.text))

    def _ending(self) -> list[SourceEvent]:
        """The end as an event, where there is one and all is settled, or will not be."""
        if self._end is None:
            return []
        self._ended = self._settled() or time.monotonic() > self._deadline
        # Behind the end nobody clears the alarm: the descriptor can be read for ever.
        self._alarm.start(AT_ONCE_NS if self._ended else self.look_ns)
        return [self._end] if self._ended else []

    def hurry(self) -> None:
        """Wait no longer until all is settled."""
        self._deadline = 0.0

    def progress(self) -> tuple[int, int]:
        """No end is known."""
        return 0, 0

    def passed_over(self) -> dict[str, int]:
        """None: every link type that can be captured is read."""
        return {}

    def close(self) -> None:
        """Give everything back, in the order opposite to that of its making; may be called again."""
        while self.rings:
            self.rings.pop().close()
        # An interface that is gone needs nothing undone.
        with suppress(OSError, NicError):
            self._undo.close()
