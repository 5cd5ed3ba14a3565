"""`pcap:FILE`: capture files as tcpdump writes them, with nanoseconds."""

from __future__ import annotations

import struct
from typing import Final

from zcframe.framework.outputs.output import ETHERNET

from .files import Files

MAGIC_NS: Final = 0xA1B23C4D


def pcap_head(snaplen: int) -> bytes:
    """The header of a pcap file in this machine's byte order."""
    return struct.pack("=IHHiIII", MAGIC_NS, 2, 4, 0, 0, snaplen, ETHERNET)


class Pcap(Files):
    """Files, or standard output: `-`."""

    record = "pcap"

    @property
    def _head(self) -> bytes:
        return pcap_head(self.snaplen)
