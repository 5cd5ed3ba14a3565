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

ETHERNET_MTU: Final = 1500
# What mends an error that any call may raise.
REMEDIES: Final = {
    errno.EMFILE: ": raise the limit (ulimit -n), or use fewer --queues",
    errno.ENFILE: ": sysctl fs.file-max",
}

T = TypeVar("T")


def name_of(number: int) -> str:
    """An error number as people look it up, "EBUSY, Device or resource busy", with the remedy where there is one."""
    return f"{errno.errorcode.get(number, number)}, {os.strerror(number)}{REMEDIES.get(number, '')}"


def refused_natively(number: int, mtu: int) -> str:
    """Why a driver does not run a program itself, by the error with which it refused one."""
    large = f" with an MTU of {mtu}" if mtu > ETHERNET_MTU else ""
    reasons = {
        # veth says these two; other drivers have no number for them alone.
        errno.ERANGE: f"the MTU of {mtu} is too large for its driver to run a program",
        errno.ENOSPC: "it has fewer receive queues than its peer has transmit queues",
        errno.EOPNOTSUPP: f"its driver runs no program{large}",
    }
    return reasons.get(number, f"its driver refuses a program{large}: {name_of(number)}")


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
