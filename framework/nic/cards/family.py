"""System calls of the protocol family, and what their errors mean to an operator.

Python's socket module knows no addresses of families that it was not built with: bind() goes by the C library.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import socket
from typing import Any, Final

import numpy as np

from zcframe.framework import abi
from zcframe.framework.errors import RingError, ZerocopyError
from zcframe.framework.sysfs import ROOT

from .card import CARDS, FAMILY, module_path

FAMILY_PARAMETER: Final = ROOT / "sys/module" / FAMILY / "parameters/family"
# The drivers of ours that share their rings, and their modules.
DRIVERS: Final = " or ".join(card.driver for card in CARDS)
DRIVER_MODULES: Final = " or ".join(module_path(card.driver) for card in CARDS)
ETH_P_ALL: Final = 0x0003

_libc = ctypes.CDLL(None, use_errno=True)


def family_number() -> int:
    """The number of the protocol family that the module took. Raises ZerocopyError where it is not loaded."""
    try:
        return int(FAMILY_PARAMETER.read_text())
    except OSError:
        raise ZerocopyError(
            f"PF_ZEROCOPY is not loaded: make kernel, then insmod {module_path(FAMILY)} and {DRIVER_MODULES}"
            " (docs/kernel.md)"
        ) from None


def open_socket(family: int) -> socket.socket:
    """An unbound socket. Raises ZerocopyError without CAP_NET_RAW."""
    try:
        return socket.socket(family, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    except PermissionError:
        raise ZerocopyError("no permission to open a PF_ZEROCOPY socket: run as root, or with CAP_NET_RAW") from None
    except OSError as error:
        raise ZerocopyError(f"cannot open a PF_ZEROCOPY socket (family {family}): {error.strerror}") from error


def _packed(dtype: np.dtype[Any], **fields: int) -> bytes:
    record = np.zeros(1, dtype)
    for name, value in fields.items():
        record[name] = value
    return record.tobytes()


def set_slots(sock: socket.socket, slots: int) -> None:
    sock.setsockopt(abi.SOL_ZEROCOPY, abi.OPT_RING, _packed(abi.RING_REQ, slots=slots))


def register_buffer(sock: socket.socket, address: int, size: int) -> None:
    """Pin the User Buffer and map it for the card. Raises RingError where memory may not be pinned."""
    try:
        sock.setsockopt(abi.SOL_ZEROCOPY, abi.OPT_BUFFER, _packed(abi.BUFFER_REQ, addr=address, size=size))
    except OSError as error:
        if error.errno != errno.ENOMEM:
            raise
        raise RingError(
            f"no permission to pin {size / 2**20:.0f} MiB a queue: raise RLIMIT_MEMLOCK (ulimit -l), use fewer"
            " --queues or a smaller --ring-slots"
        ) from error


def set_wake(sock: socket.socket, frames: int, usecs: int) -> None:
    """Wake a sleeping worker at the latest after `frames` unread ones or `usecs`."""
    sock.setsockopt(abi.SOL_ZEROCOPY, abi.OPT_WAKE, _packed(abi.WAKE_REQ, frames=frames, usecs=usecs))


def _refusal(number: int, ifname: str, queue: int) -> str:
    reasons = {
        errno.EPERM: f"no permission to take a queue of {ifname}: run as root, or with CAP_NET_ADMIN",
        errno.EBUSY: f"queue {queue} of {ifname} is taken: another capture runs (see /proc/memshare)",
        errno.EOPNOTSUPP: f"the driver of {ifname} has no rings to share: it has to be {DRIVERS}'s (docs/kernel.md)",
        errno.ERANGE: f"{ifname} has no queue {queue}: use fewer --queues",
        errno.ENODEV: f"there is no interface {ifname}",
        errno.ENOMEM: f"no permission to pin the blocks of a ring of {ifname}: raise RLIMIT_MEMLOCK (ulimit -l)",
    }
    return reasons.get(number, f"cannot take queue {queue} of {ifname}: {os.strerror(number)}")


def _bind(sock: socket.socket, family: int, ifname: str, direction: int, queue: int) -> int:
    """0 where the queue was taken, else an errno."""
    index = 0
    with contextlib.suppress(OSError):
        index = socket.if_nametoindex(ifname)
    address = _packed(abi.SOCKADDR, szc_family=family, szc_direction=direction, szc_ifindex=index, szc_queue=queue)
    return ctypes.get_errno() if _libc.bind(sock.fileno(), address, len(address)) else 0


def bind(sock: socket.socket, family: int, ifname: str, queue: int) -> None:
    """Take a receive queue; frames come from now on, where the interface is up. Raises ZerocopyError."""
    if number := _bind(sock, family, ifname, abi.DIR_RX, queue):
        raise ZerocopyError(_refusal(number, ifname, queue))


def bind_to_send(sock: socket.socket, family: int, ifname: str) -> None:
    """Take the last transmit queue that is free. Raises ZerocopyError.

    A queue's two rings share one interrupt and one poll: the last one is the least likely to receive, too.
    """
    for queue in reversed(range(abi.MAX_QUEUES)):
        number = _bind(sock, family, ifname, abi.DIR_TX, queue)
        if not number:
            return
        if number not in (errno.ERANGE, errno.EBUSY):
            raise ZerocopyError(_refusal(number, ifname, queue))
    raise ZerocopyError(f"all transmit queues of {ifname} are taken: other programs send there (see /proc/memshare)")
