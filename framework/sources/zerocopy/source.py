"""The supervisor's side of PF_ZEROCOPY: opens the queues of an interface, sets the card up, and puts it back."""

from __future__ import annotations

import contextlib

from zcframe.framework.errors import NicError, ZerocopyError
from zcframe.framework.nic import Interface, LinkChange
from zcframe.framework.nic.cards.card import CARDS, Card, card_driven_by
from zcframe.framework.nic.cards.family import family_number
from zcframe.framework.rss.reta import buckets_of
from zcframe.framework.sources.base import SourceEvent
from zcframe.framework.sources.live import LiveSource

from .ring import SocketRing


def _card_behind(interface: Interface, queues: int) -> Card:
    """The card of an interface. Raises ZerocopyError where its RSS does not reach so many queues."""
    # Another driver has no rings to share: binding refuses it.
    card = card_driven_by(interface.driver) or CARDS[0]
    if queues > card.rss_queues:
        raise ZerocopyError(f"--queues {queues}: RSS of the {card.name} reaches {card.rss_queues} of its queues")
    return card


class Zerocopy(LiveSource[SocketRing]):
    """Receive queues of one interface whose driver shares its rings.

    Making it pins the memory and takes nothing yet. Raises ZerocopyError, NicError, RingError.
    """

    backend = "zerocopy"

    def _make(self) -> None:
        self._interface = Interface(self.plan.ifname)
        card = _card_behind(self._interface, self.plan.queues)
        spread = card.spread(self.plan.rss) if self.plan.verify else None
        family = family_number()
        for queue in range(self.plan.queues):
            buckets = buckets_of(queue, self.plan.rss.reta)
            self.rings.append(SocketRing(family, self.plan, queue, buckets, spread))

    def _take(self) -> None:
        """Set the card up and take its queues. Where the interface is up, frames begin to fill the rings."""
        self._settings.hold()
        for ring in self.rings:
            ring.bind()
        self._settings.spread(self.plan.rss)
        self._watch_link(self._interface.index)
        self._warn(*self._settings.restored())
        self._watch_errors(ring.poll_fd for ring in self.rings)

    def _let_come(self) -> None:
        self._settings.hold().change("link", "up")
        # An interface that is down has no interrupts.
        self._tune()
        # Our own changes are no news.
        self._changes()

    def _let_no_more_come(self) -> None:
        """Give the queues back: all frames that arrived are published. The interface stays as it is for who sends."""
        with contextlib.suppress(OSError, NicError):
            self._settings.untune()
        for ring in self.rings:
            ring.shut()

    def _hear(self, change: LinkChange) -> None:
        # Behind the end the queues are given back: the link is no matter.
        if self._end is None:
            super()._hear(change)

    def _look(self) -> None:
        """End the capture where the device is gone: its sockets report an error or a hang-up."""
        failing = dict(self._events.poll(0))
        if any(ring.poll_fd in failing for ring in self.rings):
            text = f"{self.plan.ifname} is gone: the device was removed, or does not come back after an error"
            self._finish(SourceEvent("failed", text))
