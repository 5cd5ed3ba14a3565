"""`iface:NAME`: frames are sent on an interface that is there, such as a veth into a container, or another card.

A packet socket takes one frame a write(), as a tap does: sendmmsg saves nothing beside what a frame costs, and a ring
for transmission costs more (docs/decisions/outputs.md). So does a socket of PF_ZEROCOPY, for a card whose driver is
ours.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Sequence
from typing import Final

from zcframe.framework.errors import NicError, OutputError, UsageError, ZerocopyError, refusal
from zcframe.framework.nic.cards.card import shares_rings
from zcframe.framework.nic.link.interface import Interface
from zcframe.framework.nic.link.netlink import IFF_RUNNING, IFF_UP, link_by_index
from zcframe.framework.outputs.output import Input, OutputSpec, Streams
from zcframe.framework.outputs.sink import Pieces, Sink

from .card import TransmitRing, open_card
from .frames import NO_FD, FrameSink
from .interface import InterfaceOutput

SOL_PACKET: Final = 263
PACKET_QDISC_BYPASS: Final = 20
ARPHRD_ETHER: Final = 1


def is_linked(index: int) -> bool:
    """Whether the interface is up, and its driver sees a link."""
    link = link_by_index(index)
    return link is not None and link.flags & (IFF_UP | IFF_RUNNING) == IFF_UP | IFF_RUNNING


class IfaceSink(FrameSink):
    """An interface to send on. index: its own."""

    def __init__(self, name: str, index: int, fd: int) -> None:
        super().__init__(name, fd)
        self._index, self._sender = index, fd

    def read(self) -> bool:
        # Without a link the driver takes no frame, which is no reason to hold them: they count as `down`.
        self._fd = self._sender if is_linked(self._index) else NO_FD
        return True

    def write(self, pieces: Pieces) -> bool:
        # What the driver has no room for now may be what has no link any more.
        return self.taken and super().write(pieces)


def open_sender(name: str) -> int:
    """A packet socket that sends on an interface, never waits, and gets nothing itself. Raises OSError.

    Frames go to the driver past the queueing discipline, which would drop what it has no room for without a word.
    """
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC, 0) as sender:
        sender.setsockopt(SOL_PACKET, PACKET_QDISC_BYPASS, 1)
        sender.bind((name, 0))
        return sender.detach()


class CardSink(IfaceSink):
    """The same by a card's own ring: what it has taken is not sent yet."""

    def __init__(self, name: str, index: int, fd: int) -> None:
        super().__init__(name, index, fd)
        self._ring = TransmitRing(fd)

    @property
    def returned(self) -> int:
        return self._ring.returned

    def under_way(self) -> int:
        return self._ring.under_way()


class Iface(InterfaceOutput):
    """Interfaces that are there."""

    def __init__(self, spec: OutputSpec, streams: Streams, inputs: Sequence[Input], number: int) -> None:
        super().__init__(spec, streams, inputs, number)
        self._sinks: list[type[IfaceSink]] = []

    def open_interface(self, name: str) -> int:
        try:
            interface = Interface(name)
            link, ours = link_by_index(interface.index), shares_rings(interface.driver)
        except NicError as error:
            raise UsageError(f"{self.prefix}{error}") from error
        if link is None:
            raise OutputError(f"{self.prefix}{name} was removed by somebody just now")
        if not ours:
            # What such a card sends is on the wire alone: nobody captures it here.
            self.refuse_loop(link)
        if link.type != ARPHRD_ETHER:
            raise self.refuse(f"{link.name} takes no Ethernet frames: name a card, a veth or a bridge")
        if not link.flags & IFF_UP:
            raise self.refuse(f"{link.name} is down: ip link set {link.name} up")
        self._fds.append(self._open_sender(link.name, ours=ours))
        self._sinks.append(CardSink if ours else IfaceSink)
        return link.index

    def _open_sender(self, name: str, *, ours: bool) -> int:
        try:
            return open_card(name) if ours else open_sender(name)
        except ZerocopyError as error:
            raise OutputError(f"{self.prefix}{error}") from error
        except OSError as error:
            missing = error.errno in (errno.EPERM, errno.EACCES)
            reason = "CAP_NET_RAW is missing: run as root" if missing else refusal(error)
            raise OutputError(f"{self.prefix}{name}: {reason}") from error

    def sink(self, stream: int) -> Sink:
        return self._sinks[stream](self.target_of(stream), self._indices[stream], self._fds[stream])

    def absent(self) -> Sequence[str]:
        """Interfaces that have no link."""
        return [name for name, index in zip(self.names, self._indices, strict=True) if not is_linked(index)]
