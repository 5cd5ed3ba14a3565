"""Changes of an interface during a capture: up and down, link, name, MTU, removal.

Netlink only says that something changed. The new state is then read by index, in the network namespace of this process.
"""

from __future__ import annotations

import errno
import socket
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal

from zcframe.framework.errors import NicError

from .netlink import IFF_RUNNING, IFF_UP, LARGEST, RTMGRP_LINK, link_by_index

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


def link_state(index: int) -> LinkState | None:
    """State of the interface with this index; None where this network namespace has none. Raises NicError."""
    found = link_by_index(index)
    if found is None:
        return None
    return LinkState(found.name, bool(found.flags & IFF_UP), bool(found.flags & IFF_RUNNING), found.mtu)


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
        before = self._state
        # Where the kernel may not be asked at this moment, nothing is known to have changed.
        with suppress(NicError):
            self._state = link_state(self._index)
        return [change for change in compare(before, self._state) if self._is_news(change)]

    def _is_news(self, change: LinkChange) -> bool:
        """Whether a change is reported. A new link is only reported after its loss was: after "up" it is expected."""
        news = change.kind != "linked" or self._unlinked
        self._unlinked = change.kind == "unlinked" or (self._unlinked and change.kind not in ("linked", "down"))
        return news

    def close(self) -> None:
        self._socket.close()
