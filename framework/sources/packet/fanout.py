"""One group of sockets among which the kernel shares out an interface's frames; a single one has them all, unhashed.

Flags, and why not the others: UNIQUEID, since a number of our own might be another program's. IGNORE_OUTGOING on
loopback alone, where every frame is seen going out and coming in. No ROLLOVER: a flow whose socket is full would go on
in another one, out of order. No DEFRAG: the kernel would put fragments together, and nobody would see what was sent.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Sequence
from typing import Final

from ..plan import Fanout
from .ip_pair import ip_pair_program
from .socket import (
    PACKET_FANOUT,
    PACKET_FANOUT_DATA,
    PACKET_IGNORE_OUTGOING,
    SOL_PACKET,
    PacketError,
    set_program,
)

BY_HASH: Final = 0
BY_QUEUE: Final = 5
BY_PROGRAM: Final = 6
KINDS: Final[dict[Fanout, int]] = {"hash": BY_HASH, "qm": BY_QUEUE, "ip-pair": BY_PROGRAM}
UNIQUE_ID: Final = 0x2000
IGNORE_OUTGOING: Final = 0x4000

ARGUMENT: Final = struct.Struct("HH")


def join(sockets: Sequence[socket.socket], ifname: str, fanout: Fanout, *, incoming_only: bool) -> None:
    """Put bound sockets into one group of their own: by queue, what comes on queue q goes to socket q.

    Raises PacketError; OSError with EINVAL where the kernel (before 6.13) wants the interface to be up for it.
    """
    if len(sockets) == 1:
        # To choose one of one costs the kernel a hash of every frame: an eighth of all that it does for a small one.
        sockets[0].setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, int(incoming_only))
        return
    kind = KINDS[fanout] | (IGNORE_OUTGOING if incoming_only else 0)
    # What the kernel takes for a queue's number is greater by one in a frame that came: 0 is for those without.
    first, *others = sockets if fanout != "qm" else (sockets[-1], *sockets[:-1])
    first.setsockopt(SOL_PACKET, PACKET_FANOUT, ARGUMENT.pack(0, kind | UNIQUE_ID))
    if KINDS[fanout] == BY_PROGRAM:
        set_program(first, SOL_PACKET, PACKET_FANOUT_DATA, ip_pair_program())
    group, _ = ARGUMENT.unpack(first.getsockopt(SOL_PACKET, PACKET_FANOUT, ARGUMENT.size))
    for other in others:
        try:
            other.setsockopt(SOL_PACKET, PACKET_FANOUT, ARGUMENT.pack(group, kind))
        except OSError as error:
            raise PacketError(f"cannot share {ifname} out among {len(sockets)} sockets: {error.strerror}") from error
