"""What an interface does to frames, and for them, before any program sees them."""

from __future__ import annotations

import struct
from typing import Final

from zcframe.framework.errors import NicError
from zcframe.framework.nic.ethtool.ioctl import ethtool

GET_FLAGS, GET_TIMESTAMPING = 0x25, 0x41
RX_VLAN: Final = 1 << 8
# struct ethtool_value: command, value.
VALUE: Final = struct.Struct("=II")
# struct ethtool_ts_info: command, what SO_TIMESTAMPING may ask for, and more.
TIMESTAMPING: Final = struct.Struct("=II36x")
RX_HARDWARE: Final = 1 << 2


def takes_tags_off(ifname: str) -> bool:
    """Whether it takes VLAN tags off frames that it receives, and hands them on beside the frame; False: unknown."""
    try:
        answer = ethtool(ifname, VALUE.pack(GET_FLAGS, 0), "tell its offloads")
    except NicError:
        return False
    return bool(VALUE.unpack(answer)[1] & RX_VLAN)


def stamps_frames(ifname: str) -> bool:
    """Whether its card can stamp frames that it receives with the time; False: unknown."""
    try:
        answer = ethtool(ifname, TIMESTAMPING.pack(GET_TIMESTAMPING, 0), "tell its timestamping")
    except NicError:
        return False
    return bool(TIMESTAMPING.unpack(answer)[1] & RX_HARDWARE)
