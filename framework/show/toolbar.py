"""Wireshark's toolbar, while `zcframe extcap` captures."""

from __future__ import annotations

import os
import select
from contextlib import suppress
from typing import Final

from zcframe.framework.stats import RunSnapshot

from .extcap import LOG, LOST
from .notices import Notices

# What is done to a control.
SET, ADD = 1, 2
# A pipe takes PIPE_BUF bytes as a whole, the six of a message's head among them.
LONGEST: Final = select.PIPE_BUF - 6


class Toolbar(Notices):
    """Wireshark's toolbar: a log of notices, and how many frames were lost. shows, says: paths of its pipes.

    What it says is of no use here; but it waits until somebody can hear it.
    """

    title = "Wireshark's toolbar"

    def __init__(self, shows: str, says: str = "") -> None:
        super().__init__(announces=True)
        # For reading and writing, so that nobody waits for whoever opens the other end.
        self._fds = [os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC) for path in (shows, says) if path]
        self._lost = -1

    def say(self, line: str) -> None:
        self._send(LOG, ADD, f"{line}\n")

    def tick(self, snapshot: RunSnapshot) -> None:
        super().tick(snapshot)
        lost = snapshot.lost + sum(share.lost for output in snapshot.outputs for share in output.shares)
        if lost != self._lost:
            self._lost = lost
            self._send(LOST, SET, f"{lost:,}")

    def close(self) -> None:
        while self._fds:
            os.close(self._fds.pop())

    def _send(self, number: int, command: int, text: str) -> None:
        """Send one message, whole or not at all: a toolbar that does not read must not hold the capture up."""
        payload = text.encode()[:LONGEST]
        size = (len(payload) + 2).to_bytes(3, "big")
        with suppress(BlockingIOError):
            os.write(self._fds[0], b"T" + size + bytes((number, command)) + payload)
