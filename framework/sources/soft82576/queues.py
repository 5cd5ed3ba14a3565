"""The NIC's own view of its queues: one row each, for compiled code."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np

from zcframe.framework import abi
from zcframe.framework.jit.words import numbered
from zcframe.framework.ring import RingEnd


class Queue(NamedTuple):
    """One row of the table. Counters here are the truth; the ring's header gets copies of them."""

    slots: int
    descriptors: int  # addresses, from here to `flags`
    blocks: int
    header: int
    read: int
    flags: int
    wake_fd: int
    wake_at: int  # the value of `write` at which a sleeper is woken at the latest
    write: int = 0  # slots published or being filled, never wrapped
    room_until: int = 0  # the value of `write` at which `read` must be looked at again
    touched: int = 0  # 1: something happened since the last publish
    arrived: int = 0
    arrived_bytes: int = 0
    ring_full: int = 0
    truncated: int = 0
    wakeups: int = 0
    turn: int = 0  # address of a word that is odd while frames are published, 0: none; in the first row


# Columns of the table: int64, shape (queues, number of words).
Q: Final = numbered(Queue)

# A sleeper is woken when its ring is filled to this fraction, if not before.
WAKE_FRACTION: Final = 4

QueueTable = np.ndarray[Any, np.dtype[np.int64]]


def queue_table(ends: Sequence[RingEnd], turn: int = 0) -> QueueTable:
    """Rows for the producer's ends of fresh rings. turn: address of its word."""
    rows = [
        Queue(
            slots=end.slots,
            descriptors=end.desc_address,
            blocks=end.block_address,
            header=end.header_address,
            read=end.user_address + abi.USER_READ,
            flags=end.user_address + abi.USER_FLAGS,
            wake_fd=end.wake_fd,
            wake_at=end.slots // WAKE_FRACTION,
            turn=turn,
        )
        for end in ends
    ]
    return np.array(rows, np.int64)


def close_queues(ends: Sequence[RingEnd]) -> None:
    """Tell every consumer, asleep or not, that nothing will come any more."""
    for end in ends:
        end.header["state"] = abi.STATE_GONE
        os.eventfd_write(end.wake_fd, 1)
