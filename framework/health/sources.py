"""Checks of the sources of mainline Linux: whether this process may use them, found by trying."""

from __future__ import annotations

import errno
import os
import socket
from typing import Final

from .check import Check
from .host import AF_XDP, Host

PACKET_ADVICE: Final = "modprobe af_packet"


def packet(host: Host) -> Check:
    """AF_PACKET: CAP_NET_RAW is enough for it. Without that capability no other source works either."""
    number = host.try_socket(socket.AF_PACKET)
    if number == 0:
        return Check("packet", "ok", "AF_PACKET may be opened: any interface with Ethernet or IP can be captured from")
    if number in (errno.EPERM, errno.EACCES):
        return Check("packet", "fail", "CAP_NET_RAW is missing: nothing can be captured live", host.remedy("packet"))
    if number == errno.EAFNOSUPPORT:
        return Check("packet", "warn", "this kernel has no AF_PACKET (CONFIG_PACKET)", PACKET_ADVICE)
    return Check("packet", "warn", f"AF_PACKET: {os.strerror(number)}")


def xdp(host: Host) -> Check:
    """AF_XDP: whether the kernel has it, and whether this process may load and attach a program."""
    number = host.try_socket(AF_XDP)
    if number == errno.EAFNOSUPPORT:
        return Check("xdp", "none", "this kernel has no AF_XDP: it needs one with CONFIG_XDP_SOCKETS=y")
    missing = (["CAP_NET_RAW"] if number in (errno.EPERM, errno.EACCES) else []) + host.missing(
        "CAP_NET_ADMIN", "CAP_BPF"
    )
    if missing:
        text = f"{', '.join(missing)} missing: --backend xdp will not work"
        return Check("xdp", "warn", text, host.remedy("xdp"))
    if number:
        return Check("xdp", "warn", f"AF_XDP: {os.strerror(number)}")
    return Check("xdp", "ok", "AF_XDP may be opened, and programs loaded: --backend xdp, for mirror ports")


CHECKS: Final = (packet, xdp)
