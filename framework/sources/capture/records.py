"""The result of scanning a buffer: a table of records, and the reason why the scanner stopped.

The scanners are compiled; they read nothing outside the bytes they are given, whatever these say. They write too: a
synthetic Ethernet header goes over the record's own header, right in front of the network layer.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from zcframe.framework.jit.compiler import inlined

from .framing import make_ethernet
from .linktype import ETHERNET, SLL2

# Columns of the table: int64, shape (rows, COLUMNS).
OFFSET: Final = 0  # of the Ethernet frame in the buffer
LENGTH: Final = 1  # bytes of it, a synthetic header included
WIRE_LENGTH: Final = 2  # on the wire, as the file has it, without a synthetic header
TIMESTAMP: Final = 3  # nanoseconds since the epoch
STATUS: Final = 4  # 0 or abi.STATUS_NO_TIME; from the scanner to `frame_rare`, the framing stands above STATUS_BITS
PORT: Final = 5  # interface, counted over all sections of the file
COLUMNS: Final = 6

STATUS_FRAMING: Final = 16
STATUS_BITS: Final = (1 << STATUS_FRAMING) - 1

# Rows of a table: more than a window of CHUNK bytes holds of common traffic, and half a second-level cache.
ROWS: Final = 4096

# As in libpcap and Wireshark: no frame is longer, so that a record which claims more is damaged.
MAX_FRAME: Final = 256 << 10

# Why a scanner stopped. Each comes with a value: what it says stands behind.
MORE: Final = 0  # the next record is not there whole: bytes it needs
FULL: Final = 1  # the table has no row left
CONTROL: Final = 2  # a block that only Python reads
LONG_FRAME: Final = 3  # a frame above MAX_FRAME: its length
BAD_LENGTH: Final = 4  # an impossible block length: the length
BAD_TRAILER: Final = 5  # the length behind a block is another one: that length
TIGHT_BLOCK: Final = 6  # a frame longer than its block: its length
NO_INTERFACE: Final = 7  # a frame of an interface that is not described: its number

RecordTable = np.ndarray[Any, np.dtype[np.int64]]

# Result of a scanner: rows entered, new start, reason, its value.
Scan = tuple[int, int, int, int]


class Damage(Exception):
    """The damage in the bytes at the window's start; the reader adds the place."""


def record_table() -> RecordTable:
    return np.zeros((ROWS, COLUMNS), np.int64)


@inlined
def add_record(records, row, base, offset, length, framing):  # type: ignore[no-untyped-def]
    """Enter the frame at `base + offset`, with an Ethernet header where it has none of its own and is not rare.

    STATUS must be there already.
    """
    if framing > SLL2:
        records[row, STATUS] |= framing << STATUS_FRAMING
    elif framing != ETHERNET:
        offset, length = make_ethernet(base, offset, length, framing)
    records[row, OFFSET] = offset
    records[row, LENGTH] = length
