"""Taps: interfaces that receive what a program writes to them (Documentation/networking/tuntap.rst)."""

from __future__ import annotations

import fcntl
import os
import struct
from pathlib import Path
from typing import Final

from zcframe.framework.errors import NicError

DEVICE: Final = "/dev/net/tun"
TUNSETIFF: Final = 0x400454CA
IFF_TAP, IFF_NO_PI, IFF_MULTI_QUEUE = 0x2, 0x1000, 0x100
REQUEST: Final = struct.Struct("=16sH22x")  # struct ifreq
# What IFLA_INFO_KIND says of taps.
KIND: Final = "tun"
# MTUs that the kernel gives a tap.
LEAST_MTU, MOST_MTU = 68, 65521
SYSCTLS: Final = Path("/proc/sys/net")
# The kernel sends nothing by itself, and keeps what comes in out of its own stack: nobody answers captured traffic.
QUIET: Final = (("ipv6", "disable_ipv6", "1"), ("ipv4", "rp_filter", "1"))


def open_queue(name: str, *, several: bool) -> int:
    """A queue of the tap, which is made if it is not there, and vanishes with its last queue if it was made so.

    several: the tap has more than one queue. Raises OSError.
    """
    fd = os.open(DEVICE, os.O_RDWR | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        flags = IFF_TAP | IFF_NO_PI | (IFF_MULTI_QUEUE if several else 0)
        fcntl.ioctl(fd, TUNSETIFF, REQUEST.pack(name.encode(), flags))
    except BaseException:
        os.close(fd)
        raise
    return fd


def _be_quiet(name: str) -> None:
    for family, setting, value in QUIET:
        path = SYSCTLS / family / "conf" / name / setting
        if not path.parent.exists():
            continue
        try:
            path.write_text(value)
        except OSError as error:
            raise NicError(f"{path} cannot be set: {error.strerror}; make the tap before, with IPv6 off") from error


def set_up_tap(name: str, index: int, mtu: int) -> None:
    """Bring a new tap up, for readers only: with no IPv6 and no ARP of the kernel's. Raises NicError."""
    from pyroute2 import IPRoute  # slow to import, and needed only here
    from pyroute2.netlink.exceptions import NetlinkError

    _be_quiet(name)
    try:
        with IPRoute() as route:
            route.link("set", index=index, mtu=mtu, arp=False, state="up")
    except NetlinkError as error:
        raise NicError(f"{name} cannot be brought up with an MTU of {mtu}: {os.strerror(error.code)}") from error
