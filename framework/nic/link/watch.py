"""Changes of an interface during a capture: up and down, link, name, MTU, removal.

Netlink only says that something changed. The new state is then read by index, in the network namespace of this process.
"""

from __future__ import annotations

import errno
import socket
import struct
from dataclasses import dataclass
from typing import Final, Literal

RTMGRP_LINK: Final = 1
RTM_NEWLINK, RTM_GETLINK = 16, 18
NLM_F_REQUEST: Final = 1
IFLA_IFNAME, IFLA_MTU = 3, 4
IFF_UP, IFF_RUNNING = 0x1, 0x40
# struct nlmsghdr: length, type, flags, sequence, port. struct ifinfomsg: family, type, index, flags, change.
MESSAGE: Final = struct.Struct("=IHHII")
LINK: Final = struct.Struct("=BxHiII")
# struct rtattr: length, type; then its content, in steps of four bytes.
ATTRIBUTE: Final = struct.Struct("=HH")
NUMBER: Final = struct.Struct("=I")
LARGEST: Final = 1 << 16

Kind = Literal["gone", "renamed", "mtu", "down", "up", "unlinked", "linked"]


@dataclass(frozen=True)
class LinkChange:
    """One change of an interface, and the line that reports it."""

    kind: Kind
    text: str


@dataclass(frozen=True)
class LinkState:
    """An interface at one moment. linked: whether its driver sees a link."""

    name: str
    up: bool
    linked: bool
    mtu: int


def _attributes(packed: bytes) -> dict[int, bytes]:
    """Content of each attribute of a netlink message, by its type."""
    found = {}
    while len(packed) >= ATTRIBUTE.size:
        size, kind = ATTRIBUTE.unpack_from(packed)
        found[kind] = packed[ATTRIBUTE.size : size]
        packed = packed[max(-(-size // 4) * 4, ATTRIBUTE.size) :]
    return found


def link_state(index: int) -> LinkState | None:
    """State of the interface with this index; None where this network namespace has none.

    All of it comes in one answer, by index: while an interface is renamed the kernel finds it by neither name.
    """
    request = MESSAGE.pack(MESSAGE.size + LINK.size, RTM_GETLINK, NLM_F_REQUEST, 0, 0) + LINK.pack(0, 0, index, 0, 0)
    try:
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE) as kernel:
            kernel.sendto(request, (0, 0))
            answer = kernel.recv(LARGEST)
    except OSError:
        return None
    if MESSAGE.unpack_from(answer)[1] != RTM_NEWLINK:
        return None
    flags = LINK.unpack_from(answer, MESSAGE.size)[3]
    found = _attributes(answer[MESSAGE.size + LINK.size :])
    name, mtu = found[IFLA_IFNAME].rstrip(b"\0").decode(), NUMBER.unpack(found[IFLA_MTU])[0]
    return LinkState(name, bool(flags & IFF_UP), bool(flags & IFF_RUNNING), mtu)


def compare(before: LinkState, after: LinkState | None) -> list[LinkChange]:
    """Changes between two states of an interface."""
    if after is None:
        text = f"{before.name} is gone: it was removed, its driver unbound, or it went to another network namespace"
        return [LinkChange("gone", text)]
    name, found = after.name, []
    if name != before.name:
        found.append(LinkChange("renamed", f"{before.name} is called {name} now; the capture goes on"))
    if after.mtu != before.mtu:
        found.append(LinkChange("mtu", f"the MTU of {name} is {after.mtu} now, was {before.mtu}"))
    if after.up != before.up:
        text = "is up again" if after.up else "went down: nothing comes until somebody brings it up again"
        found.append(LinkChange("up" if after.up else "down", f"{name} {text}"))
    elif after.linked != before.linked and after.up:
        text = "has its link again" if after.linked else "lost its link: nothing comes until it is back"
        found.append(LinkChange("linked" if after.linked else "unlinked", f"{name} {text}"))
    return found


class LinkWatch:
    """Watches the interface with this index; `fileno()` is readable when `changes()` may have a change.

    After "gone" there is no further change. Raises OSError where there is no interface with this index.
    """

    def __init__(self, index: int) -> None:
        self._index, self._unlinked = index, False
        self._socket = socket.socket(
            socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK, socket.NETLINK_ROUTE
        )
        try:
            self._socket.bind((0, RTMGRP_LINK))
            state = link_state(index)
            if state is None:
                raise OSError(f"there is no interface with index {index}")
        except BaseException:
            self._socket.close()
            raise
        self._state: LinkState | None = state

    def fileno(self) -> int:
        return self._socket.fileno()

    def _drain(self) -> None:
        while True:
            try:
                self._socket.recv(LARGEST)
            except BlockingIOError:
                return
            except OSError as error:
                # Messages were dropped since there were too many: the state is read anyway.
                if error.errno != errno.ENOBUFS:
                    raise

    def changes(self) -> list[LinkChange]:
        """Changes since the last call; it does not wait for one."""
        self._drain()
        if self._state is None:
            return []
        before, self._state = self._state, link_state(self._index)
        return [change for change in compare(before, self._state) if self._is_news(change)]

    def _is_news(self, change: LinkChange) -> bool:
        """Whether a change is reported. A new link is only reported after its loss was: after "up" it is expected."""
        news = change.kind != "linked" or self._unlinked
        self._unlinked = change.kind == "unlinked" or (self._unlinked and change.kind not in ("linked", "down"))
        return news

    def close(self) -> None:
        self._socket.close()
