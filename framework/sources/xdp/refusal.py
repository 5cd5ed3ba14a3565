"""Refusals of the kernel: capabilities that are missing, error numbers in words, the error that passes by itself."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

from zcframe.framework.capabilities import STATUS, advice, missing
from zcframe.framework.errors import XdpError

# Each, and what it is needed for.
NEEDED: Final = {
    "CAP_NET_ADMIN": "to attach a program",
    "CAP_BPF": "to load it",
    "CAP_NET_RAW": "to open AF_XDP sockets",
}
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


def check_capabilities(status: Path = STATUS) -> None:
    """Raises XdpError, which names those that this process has not."""
    text = status.read_text()
    lacking = [f"{name} ({NEEDED[name]})" for name in missing(text, *NEEDED)]
    if lacking:
        raise XdpError(f"AF_XDP needs {', '.join(lacking)}: {advice(text, 'xdp')}")
