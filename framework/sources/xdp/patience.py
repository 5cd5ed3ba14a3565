"""Waiting for the kernel to tidy up after a capture that was killed: its queues stay taken for some 25 ms."""

from __future__ import annotations

import errno
import time
from collections.abc import Callable
from typing import Final, TypeVar

PATIENCE_S: Final = 1.0
NAP_S: Final = 0.005

T = TypeVar("T")


def patiently(call: Callable[[], T]) -> T:
    """What `call` returns; it is called again while it raises EBUSY, for PATIENCE_S at most."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            return call()
        except OSError as error:
            if error.errno != errno.EBUSY or time.monotonic() > deadline:
                raise
        time.sleep(NAP_S)
