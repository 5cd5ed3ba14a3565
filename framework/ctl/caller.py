"""A program that has connected to the control socket: what it asked for, and what is still to be sent to it."""

from __future__ import annotations

import json
import os
import socket
from contextlib import suppress
from typing import Any, Final

from zcframe.framework.listening import peer_of

# An order is a line; what is longer is none.
LONGEST: Final = 1 << 14


class Caller:
    """One order, one answer. order: None until it has come, "" for what is no line of text."""

    def __init__(self, peer: socket.socket) -> None:
        self.socket = peer
        self.order: str | None = None
        self.gone = False
        # It will send nothing more, as after the end of standard input: an answer is due all the same.
        self.mute = False
        self._heard = b""
        self._left = memoryview(b"")

    def fileno(self) -> int:
        return self.socket.fileno()

    @property
    def trusted(self) -> bool:
        """Whether it is of this user, or of root, by the kernel's word."""
        return peer_of(self.socket).uid in (0, os.geteuid())

    @property
    def sending(self) -> bool:
        """Whether it has still to take some of its answer."""
        return len(self._left) > 0

    def hear(self) -> None:
        """Take what it sent; what comes behind its order is read and dropped."""
        try:
            data = self.socket.recv(LONGEST)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.mute, self.gone = True, self.order is None
        elif self.order is None:
            self._heard += data
            line, end, _ = self._heard.partition(b"\n")
            if end or len(self._heard) >= LONGEST:
                self.order = line.decode(errors="replace").strip() if end else ""

    def answer(self, message: Any) -> None:
        """Send the answer as far as it is taken now; `send()` goes on with the rest."""
        text = message if isinstance(message, str) else json.dumps(message)
        self._left = memoryview(text.encode() + b"\n")
        self.send()

    def send(self) -> None:
        try:
            while self._left:
                self._left = self._left[self.socket.send(self._left, socket.MSG_NOSIGNAL) :]
        except BlockingIOError:
            return
        except OSError:
            pass  # it has left, and wants no answer
        self.gone = True

    def close(self) -> None:
        # Forks of this process may hold the socket as well: it ends for the caller all the same.
        with suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
