"""What an interface does to frames before any program sees them."""

from __future__ import annotations

import struct
from typing import Final

from ...nic import NicError
from ...nic.ethtool import ethtool

GET_FLAGS: Final = 0x25
RX_VLAN: Final = 1 << 8
# struct ethtool_value: command, value.
VALUE: Final = struct.Struct("=II")


def takes_tags_off(ifname: str) -> bool:
    """Whether it takes VLAN tags off frames that it receives, and hands them on beside the frame; False: unknown."""
    try:
        answer = ethtool(ifname, VALUE.pack(GET_FLAGS, 0), "tell its offloads")
    except NicError:
        return False
    return bool(VALUE.unpack(answer)[1] & RX_VLAN)
