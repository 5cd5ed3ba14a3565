"""The door of a run: a UNIX socket of this user, by which orders come; nobody who connects can hold it up."""

from __future__ import annotations

import select
import socket
from contextlib import suppress
from typing import Final

from zcframe.framework.errors import UsageError
from zcframe.framework.listening import ListeningError, Name, NoSocketError

from .caller import Caller

MODE: Final = 0o600
# Those that are connected at once; the one that has been silent for longest makes room for the next.
MOST: Final = 32


def open_socket(*flags: int) -> socket.socket:
    return socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC | sum(flags))


class Door:
    """Listens at a path; `fileno()` is readable when `hear()` is due. Raises UsageError."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._callers: dict[int, Caller] = {}
        self._name = Name(path)
        self._events = select.epoll()
        self._socket = open_socket(socket.SOCK_NONBLOCK)
        try:
            self._listen()
        except BaseException:
            self.close()
            raise
        self._events.register(self._socket, select.EPOLLIN)

    def _listen(self) -> None:
        try:
            self._name.take(self._socket, MODE, -1, MOST)
        except NoSocketError:
            raise UsageError(
                f"--ctl {self.path}: it is there and is no socket: remove it, or name another path"
            ) from None
        except ListeningError:
            raise UsageError(f"--ctl {self.path}: another program listens there: name another path") from None
        except OSError as error:
            raise UsageError(f"--ctl {self.path}: {error.strerror or error}") from error

    def fileno(self) -> int:
        return self._events.fileno()

    def hear(self) -> list[Caller]:
        """Let callers in and out, and go on with answers; those whose order has come, once each."""
        asking = []
        for fd, events in self._events.poll(0):
            if fd == self._socket.fileno():
                self._let_in()
                continue
            caller = self._callers.get(fd)
            if caller is None:
                continue
            known = caller.order is not None
            if caller.sending:
                caller.send()
            elif events & ~select.EPOLLIN:
                caller.gone = True
            else:
                caller.hear()
            if caller.order is not None and not known:
                asking.append(caller)
            self.see_to(caller)
        return [caller for caller in asking if not caller.gone]

    def _let_in(self) -> None:
        try:
            peer, _ = self._socket.accept()
        except OSError:
            return
        peer.setblocking(False)
        caller = Caller(peer)
        if not caller.trusted:
            caller.answer({"error": "only the user of the run, and root, may ask"})
            caller.close()
            return
        if len(self._callers) >= MOST:
            silent = next((one for one in self._callers.values() if one.order is None), None)
            self._drop(silent or next(iter(self._callers.values())))
        self._callers[caller.fileno()] = caller
        self._events.register(caller, select.EPOLLIN)

    def see_to(self, caller: Caller) -> None:
        """Wait for what it is to do next; let go of it where it is gone, or has its answer."""
        if caller.gone:
            self._drop(caller)
        elif caller.sending:
            self._events.modify(caller, select.EPOLLOUT)
        elif caller.mute:
            self._events.modify(caller, 0)

    def _drop(self, caller: Caller) -> None:
        caller.gone = True
        if self._callers.pop(caller.fileno(), None) is not None:
            with suppress(OSError):
                self._events.unregister(caller)
            caller.close()

    def let_go(self) -> None:
        """In a fork of the run: it does not listen. The path and the callers stay."""
        self._socket.close()
        self._events.close()
        for caller in self._callers.values():
            caller.socket.close()

    def close(self) -> None:
        """Stop listening, and remove the path where it is still this socket's."""
        for caller in list(self._callers.values()):
            self._drop(caller)
        self._name.give_up()
        self._socket.close()
        self._events.close()
