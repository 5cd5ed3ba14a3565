"""The driver of an interface, by its own report (`ethtool -i`): virtual interfaces have one, too."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

from .ioctl import ethtool

GDRVINFO: Final = 0x03
# struct ethtool_drvinfo: cmd, driver, version, firmware, bus address, and fields that are not needed here.
DRVINFO: Final = struct.Struct("=I32s32s32s32s64x")


@dataclass(frozen=True)
class Driver:
    """What a driver reports; "" for an empty field. bus: address of the device, such as "0000:02:00.0"."""

    name: str
    version: str
    firmware: str
    bus: str


def read_driver(ifname: str) -> Driver:
    """The driver of an interface. Raises NicError, also where it does not report itself."""
    request = DRVINFO.pack(GDRVINFO, b"", b"", b"", b"")
    words = DRVINFO.unpack(ethtool(ifname, request, "tell its name"))[1:]
    return Driver(*(word.partition(b"\0")[0].decode(errors="replace") for word in words))
