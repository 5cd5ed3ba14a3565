"""The NIC's own view of its queues: one row each, for compiled code."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from zcframe.framework import abi
from zcframe.framework.ring import RingEnd

# Columns: int64, shape (queues, WIDTH). Counters here are the truth; the ring's header gets copies of them.
WRITE: Final = 0  # slots published or being filled, never wrapped
ROOM_UNTIL: Final = 1  # the value of WRITE at which `read` must be looked at again
SLOTS: Final = 2
DESCRIPTORS: Final = 3  # addresses
BLOCKS: Final = 4
HEADER: Final = 5
READ: Final = 6
FLAGS: Final = 7
TOUCHED: Final = 8  # 1: something happened since the last publish
ARRIVED: Final = 9
ARRIVED_BYTES: Final = 10
RING_FULL: Final = 11
TRUNCATED: Final = 12
WAKEUPS: Final = 13
WAKE_FD: Final = 14
WAKE_AT: Final = 15  # the value of WRITE at which a sleeper is woken at the latest
WIDTH: Final = 16

# A sleeper is woken when its ring is filled to this fraction, if not before.
WAKE_FRACTION: Final = 4

QueueTable = np.ndarray[Any, np.dtype[np.int64]]


def queue_table(ends: Sequence[RingEnd]) -> QueueTable:
    """Rows for the producer's ends of fresh rings."""
    table = np.zeros((len(ends), WIDTH), np.int64)
    for row, end in zip(table, ends, strict=True):
        row[SLOTS] = end.slots
        row[DESCRIPTORS], row[BLOCKS] = end.desc_address, end.block_address
        row[HEADER] = end.header_address
        row[READ] = end.user_address + abi.USER_READ
        row[FLAGS] = end.user_address + abi.USER_FLAGS
        row[WAKE_FD] = end.wake_fd
        row[WAKE_AT] = end.slots // WAKE_FRACTION
    return table


def close_queues(ends: Sequence[RingEnd]) -> None:
    """Tell every consumer, asleep or not, that nothing will come any more."""
    for end in ends:
        end.header["state"] = abi.STATE_GONE
        os.eventfd_write(end.wake_fd, 1)
