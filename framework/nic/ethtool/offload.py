"""What an interface does to frames, and for them, before any program sees them (`ethtool -k`, `-T`)."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

from zcframe.framework.errors import NicError

from .ioctl import controls, ethtool

GET_TIMESTAMPING: Final = 0x41
# struct ethtool_ts_info: command, what SO_TIMESTAMPING may ask for, and more.
TIMESTAMPING: Final = struct.Struct("=II36x")
RX_HARDWARE: Final = 1 << 2


@dataclass(frozen=True)
class Offloads:
    """gro, lro: the interface merges segments of a connection into long frames; vlan: it takes VLAN tags off frames.

    A tag that was taken off comes beside its frame.
    """

    gro: bool
    lro: bool
    vlan: bool


def read_offloads(ifname: str) -> Offloads:
    """Offloads that are on at this moment. Raises NicError."""
    with controls(ifname, "tell its offloads") as nic:
        found = nic.get_offload_flags()
    return Offloads(*(found[name] for name in ("generic-receive-offload", "large-receive-offload", "rx-vlan-offload")))


def takes_tags_off(ifname: str) -> bool:
    """Whether it takes VLAN tags off frames that it receives, and hands them on beside the frame; False: unknown."""
    try:
        return read_offloads(ifname).vlan
    except NicError:
        return False


def stamps_frames(ifname: str) -> bool:
    """Whether its card can stamp frames that it receives with the time; False: unknown."""
    try:
        answer = ethtool(ifname, TIMESTAMPING.pack(GET_TIMESTAMPING, 0), "tell its timestamping")
    except NicError:
        return False
    return bool(TIMESTAMPING.unpack(answer)[1] & RX_HARDWARE)
