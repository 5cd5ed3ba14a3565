"""stdout and stderr of a hosted run: lines go to the host, which has better places for them than its own streams."""

from __future__ import annotations

import contextlib
import io
import sys
from collections.abc import Iterator
from contextlib import suppress

from zcframe.framework.library.channel import Channel
from zcframe.framework.library.message import Line


class Voice(io.TextIOBase):
    """A stream whose lines are messages; one that is not taken at once is lost: a busy host stops no capture."""

    encoding = "utf-8"
    errors = "replace"

    def __init__(self, channel: Channel, name: str) -> None:
        self._channel, self._name, self._rest = channel, name, ""

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        *lines, self._rest = (self._rest + text).split("\n")
        for line in lines:
            with suppress(OSError):
                self._channel.send(Line(line, self._name), wait=False)
        return len(text)


@contextlib.contextmanager
def speaking(channel: Channel) -> Iterator[None]:
    """Until the end, what this process prints goes to its host."""
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = Voice(channel, "stdout"), Voice(channel, "stderr")
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before
