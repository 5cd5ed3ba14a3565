"""A timer that can be polled."""

from __future__ import annotations

import contextlib
import ctypes
import os
import struct
import time
from typing import Final

TFD_NONBLOCK: Final = os.O_NONBLOCK
TFD_CLOEXEC: Final = os.O_CLOEXEC
ITIMERSPEC: Final = struct.Struct("4l")
NANO: Final = 1_000_000_000

_libc = ctypes.CDLL(None, use_errno=True)


class Alarm:
    """A timer whose descriptor can be read from the moment that it goes off until `clear()`. Raises OSError."""

    def __init__(self) -> None:
        self._fd = _libc.timerfd_create(time.CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC)
        if self._fd < 0:
            raise OSError(ctypes.get_errno(), "timerfd_create")

    def fileno(self) -> int:
        return int(self._fd)

    def start(self, after_ns: int, *, again: bool = False) -> None:
        """Go off in `after_ns`, and then as often, if `again`."""
        after = divmod(after_ns, NANO)
        if _libc.timerfd_settime(self._fd, 0, ITIMERSPEC.pack(*(after if again else (0, 0)), *after), None):
            raise OSError(ctypes.get_errno(), "timerfd_settime")

    def clear(self) -> None:
        """Mark the event as read."""
        with contextlib.suppress(BlockingIOError):
            os.read(self._fd, 8)

    def close(self) -> None:
        os.close(self._fd)
