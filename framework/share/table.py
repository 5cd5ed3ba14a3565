"""From a packet's hash to its share: a table of buckets, each with an owner, by rendezvous hashing.

Each share bids for each bucket, with as many bids as it has weight; the highest bid of a share that is alive wins. So a
share that dies loses its buckets to the others, none of which loses one to another; and when it returns, it gets back
what it had. The table follows from the rule, the weights and who is alive: it is the same on every machine, whoever
comes first. (Thaler and Ravishankar, 1998)
"""

from __future__ import annotations

import functools
from collections.abc import Collection
from typing import Any, Final

import numpy as np

from .shares import Shares

BITS: Final = 12
BUCKETS: Final = 1 << BITS
# The owner of every bucket where no share is alive.
NOBODY: Final = 255

Bids = np.ndarray[Any, np.dtype[np.uint64]]
Table = np.ndarray[Any, np.dtype[np.uint8]]


def _mixed(numbers: Bids) -> Bids:
    """The finalizer of splitmix64, by Stafford and Vigna."""
    numbers = (numbers ^ numbers >> np.uint64(30)) * np.uint64(0xBF58476D1CE4E5B9)
    numbers = (numbers ^ numbers >> np.uint64(27)) * np.uint64(0x94D049BB133111EB)
    return numbers ^ numbers >> np.uint64(31)


@functools.lru_cache(maxsize=16)
def _bids(weights: tuple[int, ...]) -> Bids:
    """The highest bid of each share for each bucket: uint64, shape (BUCKETS, shares)."""
    buckets = np.arange(1, BUCKETS + 1, dtype=np.uint64)[:, np.newaxis] << np.uint64(32)
    best = []
    for share, weight in enumerate(weights):
        tickets = np.arange(weight, dtype=np.uint64) << np.uint64(16) | np.uint64(share)
        best.append(_mixed(_mixed(buckets) ^ tickets[np.newaxis, :]).max(axis=1))
    return np.stack(best, axis=1)


def share_table(shares: Shares, alive: Collection[int] | None = None) -> Table:
    """The share that owns each bucket: uint8, shape (BUCKETS,); NOBODY where none is alive.

    alive: numbers of the shares that take packets; None: all. With the rule `queue`, bucket q is receive queue q.
    """
    living = [share for share in range(shares.count) if alive is None or share in alive]
    if not living:
        return np.full(BUCKETS, NOBODY, np.uint8)
    table: Table = np.array(living, np.uint8)[_bids(shares.weights)[:, living].argmax(axis=1)]
    if shares.rule != "queue":
        return table
    own: Table = (np.arange(BUCKETS) % shares.count).astype(np.uint8)
    return np.where(np.isin(own, living), own, table)
