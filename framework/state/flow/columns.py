"""Rows of flows in numpy: seen from the end that began, though the table has the ends in an order of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np

from zcframe.framework.state.kinds import Kind, u8

from .declare import KEY

Rows = np.ndarray[Any, Any]
Mask = np.ndarray[Any, np.dtype[np.bool_]]

# Bit of `_marks`: the flow was begun by the end that comes second in the key.
BEGAN_B: Final = 1

Merge = Callable[[Rows, Sequence[str], dict[str, Kind]], Rows]


def turn(rows: Rows, backward: Mask) -> None:
    """Exchange the ends of these rows."""
    for one, other in (("src", "dst"), ("sport", "dport")):
        rows[one][backward], rows[other][backward] = rows[other][backward], rows[one][backward]


def _backward(rows: Rows) -> Mask:
    """Rows whose first end is not the smaller one."""
    ends = []
    for address, port in (("src", "sport"), ("dst", "dport")):
        words = np.ascontiguousarray(rows[address]).view(">u8").reshape(len(rows), 2).astype(np.uint64)
        ends.append([words[:, 0], words[:, 1], rows[port].astype(np.uint64)])
    backward, equal = np.zeros(len(rows), bool), np.ones(len(rows), bool)
    for one, other in zip(*ends, strict=True):
        backward |= equal & (one > other)
        equal &= one == other
    return backward


def merge_flows(rows: Rows, merge: Callable[[Rows], Rows], merge_rows: Merge) -> Rows:
    """One row for each pair of ends, seen from the end that began the earliest part. rows: that one first.

    merge: of rows with one order of ends; merge_rows: what it does so by.
    """
    rows = rows.copy()
    backward = _backward(rows)
    turn(rows, backward)
    sides = np.zeros(len(rows), [*((name, rows.dtype[name]) for name in KEY), ("backward", "u1")])
    for name in KEY:
        sides[name] = rows[name]
    sides["backward"] = backward
    merged = merge(rows)
    # The same keys in the same order.
    turn(merged, merge_rows(sides, list(KEY), {"backward": u8.first})["backward"] != 0)
    return merged
