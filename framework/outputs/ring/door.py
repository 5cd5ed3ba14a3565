"""The door of a ring: a UNIX socket by which readers come, get their descriptors, and are seen to leave or to die."""

from __future__ import annotations

import json
import os
import select
import socket
from collections.abc import Iterator
from contextlib import suppress
from typing import Final

from zcframe.framework import abi
from zcframe.framework.errors import OutputError
from zcframe.framework.listening import ListeningError, Name, NoSocketError, peer_of
from zcframe.framework.ring import Mapping, make_memory
from zcframe.framework.stats.outputs import ReaderStats
from zcframe.framework.terminal import clean

from .memory import RingMemory

MOST_READERS: Final = 64
LONGEST_NAME: Final = 64
MESSAGE: Final = 4096
# Words of a reader's page, behind zc_user_page: how far it is, and how many frames it passed over.
POSITION, LOST = abi.USER_PAGE.itemsize, abi.USER_PAGE.itemsize + 8


def open_socket() -> socket.socket:
    return socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)


class Reader:
    """A program that reads a ring. joined: frames that were published when it came."""

    def __init__(self, peer: socket.socket, name: str, joined: int) -> None:
        self.socket, self.name, self.joined, self.pid = peer, name, joined, peer_of(peer).pid
        self.state, self._end = "reading", 0
        self.fd = make_memory("zc-reader", abi.PAGE_SIZE)
        self._page = Mapping(self.fd, abi.PAGE_SIZE, writable=True)
        self._words = self._page.view("u8", POSITION, 2)
        self._page.view("u4")[0], self._words[0] = joined & 0xFFFFFFFF, joined

    def stats(self, arrived: int) -> ReaderStats:
        """Its row. What stands in its page is its own: it is believed within its bounds."""
        here = self.state == "reading"
        offered = (arrived if here else self._end) - self.joined
        passed = min(max(int(self._words[0]) - self.joined, 0), offered)
        lost = min(int(self._words[1]), passed)
        unread = offered - passed
        rest = (unread, 0) if here else (0, unread)
        return ReaderStats(self.name, self.pid, self.state, offered, passed - lost, lost + rest[1], rest[0])

    def leave(self, state: str, arrived: int) -> None:
        """It has left, or died."""
        self.state, self._end = state, arrived
        # Whatever it still writes there is not its row any more.
        self._words = self._words.copy()
        self._page.close()
        os.close(self.fd)
        self.socket.close()


class Door:
    """Listens at a path; `fileno()` is readable when `hear()` is due. Raises OutputError."""

    def __init__(self, path: str, memory: RingMemory, mode: int, group: int) -> None:
        self.path, self._memory = path, memory
        self.readers: list[Reader] = []
        # Those who connected, and have said nothing yet.
        self._callers: dict[int, socket.socket] = {}
        self._name = Name(path)
        self._events = select.epoll()
        self._socket = open_socket()
        try:
            self._listen(mode, group)
        except BaseException:
            self.close()
            raise
        self._events.register(self._socket, select.EPOLLIN)

    def _listen(self, mode: int, group: int) -> None:
        try:
            self._name.take(self._socket, mode, group, MOST_READERS)
        except NoSocketError:
            raise OutputError(f"{self.path} is there and is no socket: remove it, or name another") from None
        except ListeningError as error:
            raise OutputError(f"{self.path} is the ring of a running capture (pid {error.pid}): name another") from None
        except OSError as error:
            raise OutputError(f"{self.path}: {error.strerror or error}") from error

    def fileno(self) -> int:
        return self._events.fileno()

    @property
    def present(self) -> list[Reader]:
        return [reader for reader in self.readers if reader.state == "reading"]

    def stats(self) -> list[ReaderStats]:
        arrived = self._memory.arrived
        return [reader.stats(arrived) for reader in self.readers]

    def hear(self) -> Iterator[str]:
        """Deal with all that happened; a line for each reader that died."""
        for fd, _ in self._events.poll(0):
            if fd == self._socket.fileno():
                self._accept()
            elif reader := next((one for one in self.present if one.socket.fileno() == fd), None):
                yield from self._hear_reader(reader)
            else:
                self._serve(fd)

    def _accept(self) -> None:
        with suppress(OSError):
            peer, _ = self._socket.accept()
            if len(self._callers) == MOST_READERS:
                peer.close()
                return
            peer.setblocking(False)
            self._events.register(peer, select.EPOLLIN)
            self._callers[peer.fileno()] = peer

    def _serve(self, fd: int) -> None:
        """The first words of somebody who connected: `list`, or `read NAME`."""
        peer = self._callers.pop(fd)
        self._events.unregister(fd)
        try:
            verb, _, name = peer.recv(MESSAGE).decode(errors="replace").partition(" ")
            if verb == "read":
                self._admit(peer, clean(name)[:LONGEST_NAME])
                return
            rows = [vars(row) for row in self.stats()]
            answer = {"ring": self.path, "pid": os.getpid(), "slots": self._memory.slots, "block": self._memory.block}
            peer.send(json.dumps(answer | {"written": self._memory.arrived, "readers": rows}).encode())
        except OSError:
            pass  # it has left, and wants no answer
        peer.close()

    def _admit(self, peer: socket.socket, name: str) -> None:
        if len(self.present) >= MOST_READERS:
            peer.send(f"{MOST_READERS} readers are there already".encode())
            peer.close()
            return
        reader = Reader(peer, name, self._memory.arrived)
        try:
            socket.send_fds(peer, [b"ok"], [self._memory.ring_fd, self._memory.buffer_fd, reader.fd])
        except OSError:
            reader.leave("died", reader.joined)
            return
        self.readers.append(reader)
        self._events.register(peer, select.EPOLLIN)

    def _hear_reader(self, reader: Reader) -> Iterator[str]:
        try:
            word = reader.socket.recv(MESSAGE)
        except BlockingIOError:
            return
        except OSError:
            word = b""
        if word == b"bye" or not word:
            self._events.unregister(reader.socket)
            reader.leave("left" if word else "died", self._memory.arrived)
        if not word:
            lost = reader.stats(0).lost
            yield f"reader {reader.name} (pid {reader.pid}) died; of what came until then it lost {lost:,} frames"

    def let_go(self) -> None:
        """Close what a fork has of it."""
        self._events.close()
        self._socket.close()
        for peer in (*self._callers.values(), *(reader.socket for reader in self.present)):
            peer.close()

    def close(self) -> None:
        """Readers see the end; the name is free."""
        for reader in self.present:
            reader.leave("left", self._memory.arrived)
        self.let_go()
        self._name.give_up()
