"""One group of sockets among which the kernel shares out an interface's frames; a single one has them all, unhashed.

Flags, and why not the others: UNIQUEID, since a number of our own might be another program's. No IGNORE_OUTGOING: see
gate.py. No ROLLOVER: a flow whose socket is full would go on in another one, out of order. No DEFRAG: the kernel would
put fragments together, and nobody would see the frames that were sent.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Sequence
from typing import Final, TypeVar

from zcframe.framework.sources.plan import Fanout

from .ip_pair import ip_pair_program
from .socket import PACKET_FANOUT, PACKET_FANOUT_DATA, SOL_PACKET, set_program

T = TypeVar("T")

BY_HASH: Final = 0
BY_QUEUE: Final = 5
BY_PROGRAM: Final = 6
KINDS: Final[dict[Fanout, int]] = {"hash": BY_HASH, "qm": BY_QUEUE, "ip-pair": BY_PROGRAM}
UNIQUE_ID: Final = 0x2000

ARGUMENT: Final = struct.Struct("HH")


class Group:
    """Bound sockets that become one group: by queue, what comes on queue q goes to socket q.

    Before 6.13 the kernel lets a socket in only while its interface is up, and some moments after it reports that.
    """

    def __init__(self, sockets: Sequence[socket.socket], fanout: Fanout) -> None:
        # To choose one of one costs the kernel a hash of every frame: an eighth of all that it does for a small one.
        self._waiting = in_order(sockets, fanout) if len(sockets) > 1 else []
        self._fanout = fanout
        self._number: int | None = None

    def join(self) -> None:
        """Let the waiting sockets in. Raises OSError with EINVAL where the interface must be up first: try again."""
        while self._waiting:
            self._let_in(self._waiting[0])
            del self._waiting[0]

    def _let_in(self, sock: socket.socket) -> None:
        kind = KINDS[self._fanout]
        if self._number is not None:
            sock.setsockopt(SOL_PACKET, PACKET_FANOUT, ARGUMENT.pack(self._number, kind))
            return
        sock.setsockopt(SOL_PACKET, PACKET_FANOUT, ARGUMENT.pack(0, kind | UNIQUE_ID))
        if self._fanout == "ip-pair":
            set_program(sock, SOL_PACKET, PACKET_FANOUT_DATA, ip_pair_program())
        self._number, _ = ARGUMENT.unpack(sock.getsockopt(SOL_PACKET, PACKET_FANOUT, ARGUMENT.size))


def in_order(items: Sequence[T], fanout: Fanout) -> list[T]:
    """Items of queues 0, 1, ... in the order in which their sockets must be made, and become a group.

    When the interface comes up again, the kernel lets the sockets in in the order in which they were made. The number
    that it takes for a received frame is that of the queue plus one: 0 stands for frames without a queue.
    """
    return [items[-1], *items[:-1]] if fanout == "qm" else list(items)
