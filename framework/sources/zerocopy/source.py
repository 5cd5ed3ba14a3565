"""The supervisor's side of PF_ZEROCOPY: opens the queues of an interface, sets the card up, and puts it back."""

from __future__ import annotations

import contextlib
import os
import select
from collections.abc import Callable, Iterable
from typing import Final

from zcframe.framework.errors import NicError, ZerocopyError
from zcframe.framework.nic import Interface, LinkWatch
from zcframe.framework.nic.cards.card import CARDS, Card, card_driven_by
from zcframe.framework.rss.reta import buckets_of
from zcframe.framework.sources.base import SourceEvent
from zcframe.framework.sources.plan import LivePlan
from zcframe.framework.sources.settings import Settings

from .family import family_number
from .ring import SocketRing


def _card_behind(interface: Interface, queues: int) -> Card:
    """The card of an interface. Raises ZerocopyError where its RSS does not reach so many queues."""
    # Another driver has no rings to share: binding refuses it.
    card = card_driven_by(interface.driver) or CARDS[0]
    if queues > card.rss_queues:
        raise ZerocopyError(f"--queues {queues}: RSS of the {card.name} reaches {card.rss_queues} of its queues")
    return card


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
        self._warnings: list[str] = []
        self._settings = Settings(plan)
        self._interface = Interface(plan.ifname)
        card = _card_behind(self._interface, plan.queues)
        spread = card.spread(plan.rss) if plan.verify else None
        family = family_number()
        try:
            self._stopped = self._owned(os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK))
            self._warned = self._owned(os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK))
            for queue in range(plan.queues):
                buckets = buckets_of(queue, plan.rss.reta)
                self.rings.append(SocketRing(family, plan, queue, buckets, spread))
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
        self._settings.hold()
        self._undo.append(self._settings.undo)
        for ring in self.rings:
            ring.bind()
        self._settings.spread(self.plan.rss)
        self._events = select.epoll()
        self._undo.append(self._events.close)
        self._events.register(self._stopped, select.EPOLLIN)
        self._watch = LinkWatch(self._interface.index)
        self._undo.append(self._watch.close)
        self._events.register(self._warned, select.EPOLLIN)
        self._warn(self._settings.told())
        for ring in self.rings:
            # Errors and hang-ups only: frames are the workers' business.
            self._events.register(ring.poll_fd, 0)

    def _warn(self, texts: Iterable[str]) -> None:
        """Have `poll_events` tell them."""
        for text in texts:
            self._warnings.append(text)
            os.eventfd_write(self._warned, 1)

    def ready(self) -> None:
        """Nothing to wait for: the card needs no compiler."""

    def go(self) -> None:
        """Let the frames come."""
        self._settings.hold().change("link", "up")
        # An interface that is down has no interrupts.
        self._warn(self._settings.tune())
        # Of what we did ourselves nobody needs to be told.
        self._watch.changes()
        self._events.register(self._watch, select.EPOLLIN)

    def stop(self) -> None:
        """Take the interface down: what has arrived is published, and nothing more comes. It is put back at the end."""
        self._events.unregister(self._watch)
        with contextlib.suppress(OSError, NicError):
            self._warn(self._settings.untune())
            self._settings.hold().change("link", "down")
        os.eventfd_write(self._stopped, 1)

    def poll_events(self) -> list[SourceEvent]:
        """Warnings, news of the link, then the end, once: stopped as ordered, or the device is gone."""
        if self._told_end:
            return []
        found = dict(self._events.poll(0))
        texts = []
        if found.pop(self._warned, 0):
            os.eventfd_read(self._warned)
            texts, self._warnings = self._warnings, []
        if found.pop(self._watch.fileno(), 0):
            texts += [change.text for change in self._watch.changes() if change.kind != "gone"]
        return [*(SourceEvent("warning", text) for text in texts), *self._end(found)]

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
