"""What the kernel refuses: its error numbers in words, and the one that passes by itself."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable
from typing import Final, TypeVar

# After a capture that was killed its queues stay taken for some 25 ms, until the kernel has tidied up.
PATIENCE_S: Final = 1.0
NAP_S: Final = 0.005

T = TypeVar("T")


def name_of(number: int) -> str:
    """An error number as people look it up: "EBUSY, Device or resource busy"."""
    return f"{errno.errorcode.get(number, number)}, {os.strerror(number)}"


def patiently(call: Callable[[], T]) -> T:
    """Return what `call` returns; repeat it while it raises EBUSY, for PATIENCE_S at most."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            return call()
        except OSError as error:
            if error.errno != errno.EBUSY or time.monotonic() > deadline:
                raise
        time.sleep(NAP_S)
