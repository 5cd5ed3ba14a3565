"""Which share owns each bucket, while readers die and return: the writer's end of the table that workers look into."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np

from zcframe.framework.share import Shares, share_table


class Owners:
    """The table of `shares`. table: uint8, shape (BUCKETS,), which workers read, a byte a packet, at any time.

    A worker finds the old owner of a bucket or the new one, and from then on the new one. A flow is in one bucket, and
    in one worker at a time: it moves once, and its frames keep their order in either share.
    """

    def __init__(self, shares: Shares, table: np.ndarray[Any, np.dtype[np.uint8]]) -> None:
        self._shares, self._table = shares, table
        self._alive: frozenset[int] | None = None

    def follow(self, alive: Collection[int]) -> None:
        """Give these shares their own buckets and those of all others; where none is alive, all keep theirs."""
        found = frozenset(alive)
        if found != self._alive:
            self._table[:] = share_table(self._shares, found or None)
            self._alive = found
