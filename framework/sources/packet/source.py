"""The supervisor's side of AF_PACKET: sockets of an interface in one group, whose frames come from `go()` on."""

from __future__ import annotations

import errno
import select
import socket
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from zcframe.framework.errors import PacketError
from zcframe.framework.nic import LinkChange, LinkWatch, link_state, read_channels, read_spread
from zcframe.framework.nic.link.promiscuous import be_promiscuous
from zcframe.framework.sources.base import SourceEvent
from zcframe.framework.sources.plan import LivePlan
from zcframe.framework.sources.settings import Settings, spread_over, symmetry_line

from .alarm import Alarm
from .fanout import Group, in_order
from .losses import Losses
from .pull import warm_up
from .ring import LOOPBACK, RETIRE_MS, PacketRing
from .socket import bind

# How often the end looks whether all is settled, and for how long: a block that is not full waits for its timer.
LOOK_NS: Final = RETIRE_MS * 1_000_000 // 2
SETTLE_S: Final = 1.0
# How often a group is tried to be formed once its interface is up, and for how long.
JOIN_AGAIN_NS: Final = 10_000_000
JOIN_S: Final = 1.0


class Packet:
    """All traffic of one interface, shared out among as many packet sockets as there are workers; it only looks on.

    Making it takes the memory and lets nothing in yet. Raises PacketError, LinkTypeError, RingError.
    """

    backend: Final = "packet"
    kind: Final = "iface"
    link_types: Final = ("ETHERNET",)
    pid: Final = None

    def __init__(self, plan: LivePlan) -> None:
        self.plan, self.names = plan, (plan.ifname,)
        self._index = _index_of(plan.ifname)
        if plan.verify:
            # What cannot be verified is refused before anything is changed.
            read_spread(plan.ifname)
        self._losses = Losses(self._index)
        self._settings = Settings(plan)
        self._undo: list[Callable[[], object]] = [self._settings.undo]
        self._news: list[SourceEvent] = []
        self._last: SourceEvent | None = None
        self._deadline = self._join_until = 0.0
        self._joined = self._going = self._told_end = False
        self.rings: list[PacketRing] = []
        try:
            for number in in_order(range(plan.queues), plan.fanout):
                self.rings.append(PacketRing(plan, number, self._losses if number == 0 else None))
            self.rings.sort(key=lambda ring: ring.queue)
        except BaseException:
            self.close()
            raise

    @property
    def events_fd(self) -> int:
        """To poll for input: news of the link, an error at a socket, the end."""
        return self._events.fileno()

    def start(self) -> None:
        """Bind the sockets and put them into one group; their gates stay shut."""
        self._watch = LinkWatch(self._index)
        self._undo.append(self._watch.close)
        self._alarm = Alarm()
        self._undo.append(self._alarm.close)
        for ring in self.rings:
            bind(ring.socket, self.plan.ifname)
        if self.plan.ifname != LOOPBACK:
            be_promiscuous(self.rings[0].socket, self._index)
        self._group = Group([ring.socket for ring in self.rings], self.plan.fanout)
        self._joined = self._join()
        self._watch_all()
        if self.plan.set_rss:
            self._spread()
        if self.plan.verify:
            self._verify()
        self._tell_state()

    def _tell_state(self) -> None:
        """What the operator should know before the first frame."""
        if self.plan.fanout == "qm" and len(self.rings) > 1:
            self._warn(symmetry_line(self.plan.ifname))
        state = link_state(self._index)
        if state is not None and not state.up:
            self._warn(f"{self.plan.ifname} is down: nothing comes until somebody brings it up")

    def _spread(self) -> None:
        """Somebody wishes for another key or other fields: the card's queues share out by them, whoever reads."""
        self._settings.spread(spread_over(self.plan.rss, read_channels(self.plan.ifname).queues))
        for line in self._settings.told():
            self._warn(line)

    def _verify(self) -> None:
        """Have workers compare the queue that the card chose. Raises NicError where its driver does not tell enough."""
        spread = read_spread(self.plan.ifname)
        # What comes on queue q is read by ring q modulo their number.
        table = tuple(queue % len(self.rings) for queue in spread.table)
        for ring in self.rings:
            ring.spread = replace(spread, table=table)

    def _join(self) -> bool:
        """Form the group, or leave it until the interface is up, where the kernel (before 6.13) asks for that."""
        try:
            self._group.join()
            return True
        except OSError as error:
            if error.errno != errno.EINVAL or not self._may_wait():
                raise PacketError(f"cannot share out the frames of {self.plan.ifname}: {error.strerror}") from error
            return False

    def _may_wait(self) -> bool:
        """While the interface is down, and for some moments longer: it is told that it is up before its sockets are."""
        state = link_state(self._index)
        return state is not None and (not state.up or time.monotonic() < self._join_until)

    def _join_late(self) -> None:
        """The interface came up: try until its sockets are let in."""
        self._joined = self._join()
        if not self._joined:
            self._alarm.start(JOIN_AGAIN_NS)
        elif self._going:
            self._open_gates()

    def _watch_all(self) -> None:
        self._events = select.epoll()
        self._undo.append(self._events.close)
        self._events.register(self._watch, select.EPOLLIN)
        self._events.register(self._alarm, select.EPOLLIN)
        for ring in self.rings:
            # Errors only: frames are the workers' business.
            self._events.register(ring.socket, 0)

    def _warn(self, text: str) -> None:
        self._news.append(SourceEvent("warning", text))
        self._alarm.start(1)

    def ready(self) -> None:
        """Compile what every worker calls."""
        warm_up()

    def go(self) -> None:
        """Let the frames come."""
        self._going = True
        for line in self._settings.tune():
            self._warn(line)
        self._losses.begin()
        if self._joined:
            self._open_gates()

    def _open_gates(self) -> None:
        for ring in self.rings:
            ring.open_gate()

    def stop(self) -> None:
        """Shut the gates. The end is told when the workers have fetched what came before."""
        self._end(SourceEvent("finished", f"{self.plan.ifname} stopped"))

    def _end(self, event: SourceEvent) -> None:
        if self._last is not None:
            return
        self._last, self._deadline = event, time.monotonic() + SETTLE_S
        for ring in self.rings:
            ring.close_gate()
        self._alarm.start(LOOK_NS, again=True)

    def poll_events(self) -> list[SourceEvent]:
        """News of the interface, and the end, once."""
        if self._told_end:
            return []
        self._alarm.clear()
        for ring in self.rings:
            ring.clear_error()
        for change in self._watch.changes():
            self._hear(change)
        if self._join_until and not self._joined and self._last is None:
            self._join_late()
        told, self._news = [*self._news, *self._ending()], []
        return told

    def _ending(self) -> list[SourceEvent]:
        """The end, where it was asked for and all is settled, or will not be."""
        if self._last is None or not (self._settled() or time.monotonic() > self._deadline):
            return []
        self._told_end = True
        return [self._last]

    def _hear(self, change: LinkChange) -> None:
        """A change of the interface; one that is gone is the end, once the workers have fetched what it brought."""
        if change.kind == "gone":
            self._end(SourceEvent("failed", change.text))
            return
        self._news.append(SourceEvent("warning", change.text))
        if change.kind in ("up", "down"):
            self._join_until = time.monotonic() + JOIN_S if change.kind == "up" else 0.0

    def _settled(self) -> bool:
        return all(ring.settle() for ring in self.rings)

    def progress(self) -> tuple[int, int]:
        """No end is known."""
        return 0, 0

    def close(self) -> None:
        """Give everything back, in the order opposite to that of its making; may be called again."""
        while self.rings:
            self.rings.pop().close()
        while self._undo:
            self._undo.pop()()


def _index_of(ifname: str) -> int:
    try:
        return socket.if_nametoindex(ifname)
    except OSError:
        known = ", ".join(name for _, name in socket.if_nameindex())
        raise PacketError(f"there is no interface {ifname!r}: {known}") from None
