"""Parts of flows put together: what shards, workers and files, or packets out of order, have cut apart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from .connection import ASKED, BEGUN, CLOSING, FORWARD, SENT, SPLIT, A, B, is_another, known, learned, number

KEY = ("a_hi", "a_lo", "b_hi", "b_lo", "ports")
FIELDS = (*KEY, "first_ns", "last_ns", "packets", "bytes", "numbers", "tcp_flags", "seen", "marks")

Rows = np.ndarray[Any, Any]


class Part(NamedTuple):
    """A row: a flow, or as much of it as one shard saw in one go."""

    a_hi: int
    a_lo: int
    b_hi: int
    b_lo: int
    ports: int
    first_ns: int
    last_ns: int
    packets: int
    bytes: int
    numbers: int
    tcp_flags: int
    seen: int
    marks: int


def goes_on(flow: Part, part: Part, idle_ns: int) -> bool:
    """Whether `part`, which began no earlier than `flow`, belongs to it."""
    if part.first_ns - flow.last_ns > idle_ns:
        return False
    if part.marks & SPLIT:
        # The other direction of a flow that was split, as another worker saw it.
        return bool(flow.marks & SPLIT and not flow.seen & part.seen & SENT)
    if not part.marks & BEGUN:
        return True
    over = bool(flow.seen & CLOSING) and part.first_ns >= flow.last_ns
    return not is_another(flow.marks, flow.numbers, over, part.marks, part.numbers)


def together(flow: Part, part: Part) -> Part:
    """One flow of both; the one that is known to have asked did, else the one that came first."""
    marks, numbers = flow.marks, flow.numbers
    if part.marks & ASKED and not marks & ASKED:
        marks = marks & ~FORWARD | part.marks & (FORWARD | ASKED)
    for end in (A, B):
        marks, numbers = learned(marks, numbers, end, known(part.marks, end), number(part.numbers, end))
    return flow._replace(
        last_ns=max(flow.last_ns, part.last_ns),
        packets=flow.packets + part.packets,
        bytes=flow.bytes + part.bytes,
        numbers=numbers,
        tcp_flags=flow.tcp_flags | part.tcp_flags,
        seen=flow.seen | part.seen,
        marks=marks,
    )


def _mixed(rows: Rows) -> np.ndarray[Any, np.dtype[np.uint64]]:
    """A 64-bit hash of each key."""
    mixed = np.zeros(len(rows), np.uint64)
    for name in KEY:
        mixed = (mixed ^ rows[name]) * np.uint64(0x9E3779B97F4A7C15)
        mixed ^= mixed >> np.uint64(29)
    return mixed


def _repeated(rows: Rows) -> tuple[Rows, Rows]:
    """(rows whose key is theirs alone, the others), each in the order of a hash of the key."""
    mixed = _mixed(rows)
    order = np.argsort(mixed, kind="stable")
    equal = mixed[order[1:]] == mixed[order[:-1]]
    several = np.zeros(len(rows), bool)
    several[1:] |= equal
    several[:-1] |= equal
    return rows[order[~several]], rows[order[several]]


def join(rows: Rows, idle_ns: int) -> Rows:
    """The flows that these rows (FIELDS) are parts of; the same for every order of the rows.

    The parts of a key are taken by their beginnings, each goes on with the flow before it or begins another.
    """
    alone, several = _repeated(rows)
    if not len(several):
        return alone
    flows: list[Part] = []
    for row in sorted(several.tolist()):
        part = Part(*row)
        if flows and flows[-1][: len(KEY)] == part[: len(KEY)] and goes_on(flows[-1], part, idle_ns):
            flows[-1] = together(flows[-1], part)
        else:
            flows.append(part)
    return np.concatenate([alone, np.array([tuple(flow) for flow in flows], rows.dtype)])


def parts_of(tables: Sequence[Any]) -> Rows:
    """The rows of tables (record arrays, or columns by name), those of FIELDS that each has."""
    columns = {name: np.concatenate([table[name] for table in tables]) for name in FIELDS}
    found = np.empty(len(columns["packets"]), [(name, "u8") for name in FIELDS])
    for name, column in columns.items():
        found[name] = column
    return found
