"""Orders from the supervisor to the NIC's process and events back, over one socket pair of whole messages.

Messages never mix or tear, nothing is shared that a killed process could leave locked, and either side sees the other's
death as the end of file.
"""

from __future__ import annotations

import json
import select
import socket
import time
from dataclasses import asdict
from typing import Final

from zcframe.framework.sources.base import SourceEvent

GO: Final = b"go"
STOP: Final = b"stop"
MAPPED: Final = b"mapped"
READY: Final = b"ready"
LARGEST: Final = 65536

# The last part of every wait is a plain sleep, exact to microseconds; the part before is a poll, which an order ends.
SHORT: Final = 0.002
# A caller that has to wait longer calls again.
LONGEST: Final = 3600.0


class Stopped(Exception):
    """The order to stop came, or the supervisor is gone."""


class ChildEnd:
    """The NIC's end. Every wait of its process is made here, so that no order to stop is overlooked."""

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel

    def tell(self, message: bytes | SourceEvent) -> None:
        """Send a message. Raises Stopped where the supervisor is gone."""
        data = message if isinstance(message, bytes) else json.dumps(asdict(message)).encode()
        try:
            self._channel.send(data)
        except OSError:
            raise Stopped from None

    def close(self) -> None:
        """Leave the channel to another process."""
        self._channel.close()

    def check(self) -> None:
        """Look for an order, without waiting. Raises Stopped if it is to stop."""
        try:
            order = self._channel.recv(LARGEST, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return
        except OSError:
            raise Stopped from None
        if order in (STOP, b""):
            raise Stopped

    def wait(self, seconds: float) -> None:
        """Sleep for `seconds` or LONGEST. Raises Stopped if that is the order, within SHORT."""
        seconds = min(seconds, LONGEST)
        deadline = time.monotonic() + seconds
        if seconds > SHORT:
            self._poll(None, seconds - SHORT)
            self.check()
        time.sleep(max(0.0, deadline - time.monotonic()))
        self.check()

    def wait_readable(self, fd: int) -> None:
        """Wait until `fd` can be read. Raises Stopped if that is the order."""
        while not self._poll(fd, None):
            self.check()

    def await_go(self) -> None:
        """Wait for the order to go. Raises Stopped for any other order."""
        if self._channel.recv(LARGEST) != GO:
            raise Stopped

    def _poll(self, fd: int | None, seconds: float | None) -> bool:
        """Whether `fd` is ready; ends for an order, too, and before `seconds` have passed."""
        poll = select.poll()
        poll.register(self._channel, select.POLLIN)
        if fd is not None:
            poll.register(fd, select.POLLIN)
        ready = poll.poll(None if seconds is None else int(seconds * 1000))
        return any(number == fd for number, _ in ready)
