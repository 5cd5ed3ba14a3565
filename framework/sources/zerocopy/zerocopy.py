"""The supervisor's side of PF_ZEROCOPY: opens the queues of an interface, sets the card up, and puts it back."""

from __future__ import annotations

import contextlib
import os
import select
from collections.abc import Callable
from typing import Final

from ...nic import Interface, LinkWatch, NicError, apply_rss, irqs_of, set_up, steer
from ...rss.reta import buckets_of
from ..base import SourceEvent
from ..plan import LivePlan
from .family import ZerocopyError, family_number
from .ring import SocketRing

# The card's RSS reaches so many of its queues.
RSS_QUEUES: Final = 8


class Zerocopy:
    """Receive queues of one interface whose driver shares its rings.

    Making it pins the memory and takes nothing yet. Raises ZerocopyError, NicError, RingError.
    """

    backend: Final = "zerocopy"
    kind: Final = "iface"
    link_types: Final = ("ETHERNET",)
    pid: Final = None

    def __init__(self, plan: LivePlan) -> None:
        self.plan, self.names = plan, (plan.ifname,)
        self._undo: list[Callable[[], object]] = []
        self.rings: list[SocketRing] = []
        self._told_end = False
        self._interface = Interface(plan.ifname)
        if plan.queues > RSS_QUEUES:
            raise ZerocopyError(f"--queues {plan.queues}: RSS of the 82576 reaches {RSS_QUEUES} of its queues")
        family = family_number()
        try:
            self._stopped = self._owned(os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK))
            for queue in range(plan.queues):
                buckets = buckets_of(queue, plan.rss.reta)
                self.rings.append(SocketRing(family, plan, queue, buckets))
        except BaseException:
            self.close()
            raise

    def _owned(self, fd: int) -> int:
        self._undo.append(lambda: os.close(fd))
        return fd

    @property
    def events_fd(self) -> int:
        """To poll for input: becomes readable when the device is gone, or the capture was stopped."""
        return self._events.fileno()

    def start(self) -> None:
        """Set the card up and take its queues. Where the interface is up, frames begin to fill the rings."""
        self._was_up = self._interface.up
        for ring in self.rings:
            ring.bind()
        self._undo.append(apply_rss(self.plan.ifname, self.plan.rss).undo)
        self._events = select.epoll()
        self._undo.append(self._events.close)
        self._events.register(self._stopped, select.EPOLLIN)
        self._watch = LinkWatch(self._interface.index)
        self._undo.append(self._watch.close)
        for ring in self.rings:
            # Errors and hang-ups only: frames are the workers' business.
            self._events.register(ring.poll_fd, 0)

    def _steer_interrupts(self) -> None:
        irqs = irqs_of(self.plan.ifname)
        wanted = {irqs[queue]: cpu for queue, cpu in enumerate(self.plan.cpus) if queue in irqs}
        self._undo.append(steer(wanted).undo)

    def ready(self) -> None:
        """Nothing to wait for: the card needs no compiler."""

    def go(self) -> None:
        """Let the frames come."""
        if not self._was_up:
            self._undo.append(lambda: set_up(self.plan.ifname, False))
            set_up(self.plan.ifname, True)
        # An interface that is down has no interrupts.
        self._steer_interrupts()
        # Of what we did ourselves nobody needs to be told.
        self._watch.changes()
        self._events.register(self._watch, select.EPOLLIN)

    def stop(self) -> None:
        """Take the interface down: what has arrived is published, and nothing more comes. It is put back at the end."""
        self._events.unregister(self._watch)
        if self._was_up:
            self._undo.append(lambda: set_up(self.plan.ifname, True))
            self._was_up = False
        with contextlib.suppress(NicError):
            set_up(self.plan.ifname, False)
        os.eventfd_write(self._stopped, 1)

    def poll_events(self) -> list[SourceEvent]:
        """News of the link, then the end, once: stopped as ordered, or the device is gone."""
        if self._told_end:
            return []
        found = dict(self._events.poll(0))
        if found.pop(self._watch.fileno(), 0):
            news = [change for change in self._watch.changes() if change.kind != "gone"]
            return [*(SourceEvent("warning", change.text) for change in news), *self._end(found)]
        return self._end(found)

    def _end(self, found: dict[int, int]) -> list[SourceEvent]:
        if self._stopped in found:
            self._told_end = True
            return [SourceEvent("finished", f"{self.plan.ifname} stopped")]
        if found:
            self._told_end = True
            return [SourceEvent("failed", f"{self.plan.ifname} is gone: the device was removed or its driver unbound")]
        return []

    def progress(self) -> tuple[int, int]:
        """No end is known."""
        return 0, 0

    def close(self) -> None:
        """Give the queues back, then leave the card as it was; may be called again."""
        while self.rings:
            self.rings.pop().close()
        while self._undo:
            # A card that is gone needs nothing undone.
            with contextlib.suppress(OSError, NicError):
                self._undo.pop()()
