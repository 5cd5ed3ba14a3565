"""The transmit ring of a card whose driver is ours: what the network stack sends, such a driver drops (docs/kernel.md).

The kernel copies the frame of a write() into a block of the ring. So a card that does not send holds nothing but these
blocks, and the writer finds the ring full.
"""

from __future__ import annotations

from zcframe.framework import abi
from zcframe.framework.nic.cards.family import bind_to_send, family_number, open_socket
from zcframe.framework.ring import Mapping

COUNTER = 1 << 32


def open_card(ifname: str) -> int:
    """A socket that sends on a card and never waits. Raises ZerocopyError."""
    family = family_number()
    with open_socket(family) as sender:
        sender.setblocking(False)
        bind_to_send(sender, family, ifname)
        return sender.detach()


class TransmitRing:
    """What became of the frames that were written to such a socket; `fd` is its own."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._pages = Mapping(fd, abi.PAGE_SIZE, writable=False, offset=abi.PGOFF_RING)
        self._header = self._pages.view(abi.RING_HEADER)
        self._user: Mapping | None = None

    @property
    def returned(self) -> int:
        """Frames that the card has not sent, since its interface went down, and never will."""
        return int(self._header["nic_drop"][0])

    def under_way(self) -> int:
        """Frames that the card has still to send. Behind the last write(): a ring whose page is mapped takes none."""
        if self._user is None:
            self._user = Mapping(self._fd, abi.PAGE_SIZE, writable=False, offset=abi.PGOFF_USER)
        offered = int(self._user.view(abi.USER_PAGE)["write"][0])
        return (offered - int(self._header["write"][0])) % COUNTER
