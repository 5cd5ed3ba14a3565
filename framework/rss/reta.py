"""The redirection table: which queue serves each of the 128 buckets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from zcframe.framework import abi
from zcframe.framework.errors import UsageError


def check_queues(queues: int) -> int:
    """`queues`, if the 82576 has so many. Raises UsageError."""
    if not 1 <= queues <= abi.MAX_QUEUES:
        raise UsageError(f"--queues {queues}: the 82576 has 1 to {abi.MAX_QUEUES} receive queues")
    return queues


def default_reta(queues: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Bucket i to queue i % queues, as `ethtool -X equal` sets it: uint8, shape (128,).

    Raises UsageError unless queues is 1 to 16.
    """
    return (np.arange(abi.RETA_SIZE) % check_queues(queues)).astype(np.uint8)


def buckets_of(queue: int, reta: Sequence[int]) -> tuple[int, ...]:
    """The buckets that the table sends to `queue`; frames without a hash, bucket 128, come to queue 0."""
    owned = tuple(bucket for bucket, owner in enumerate(reta) if owner == queue)
    return (*owned, abi.RETA_SIZE) if queue == 0 else owned


def check_reta(reta: Sequence[int], queues: int) -> tuple[int, ...]:
    """`reta` as a tuple of 128 queue numbers below `queues`. Raises UsageError where it is anything else."""
    check_queues(queues)
    if len(reta) != abi.RETA_SIZE:
        raise UsageError(f"redirection table of {len(reta)} entries: the 82576 has {abi.RETA_SIZE}")
    for bucket, queue in enumerate(reta):
        if not 0 <= queue < queues:
            raise UsageError(f"redirection table: bucket {bucket} goes to queue {queue}, but there are only {queues}")
    return tuple(int(queue) for queue in reta)
