"""Flows and the first bytes of their ends, by plain Python: sets of positions in place of tables. Imports no zcframe."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

FIN, SYN, RST, ACK = 1, 2, 4, 16
WRAP = 1 << 32
# Pieces behind a gap that are held on to.
ISLANDS = 4

End = tuple[bytes, int]


class Sent(NamedTuple):
    """A packet. wire: bytes of payload on the wire, of which `data` were captured."""

    ts: int
    src: End
    dst: End
    proto: int
    data: bytes = b""
    flags: int = 0
    seq: int = 0
    wire: int = -1


class Told(NamedTuple):
    """What a filter is told of a packet's flow."""

    data: bytes
    gap: int
    new: bool
    forward: bool
    established: bool
    closing: bool
    closed: bool
    src: End


@dataclass
class Direction:
    """Bytes that are there, by position; `base` is the sequence number of the first."""

    base: int | None = None
    octets: dict[int, int] = field(default_factory=dict)
    total: int = 0

    def runs(self, more: set[int] = frozenset()) -> list[list[int]]:  # type: ignore[assignment]
        """[begin, end) of pieces, in order."""
        found: list[list[int]] = []
        for at in sorted(self.octets.keys() | more):
            if found and found[-1][1] == at:
                found[-1][1] = at + 1
            else:
                found.append([at, at + 1])
        return found

    def put(self, at: int, data: bytes, limit: int) -> None:
        begun = len(self.prefix())
        new = {at + i: octet for i, octet in enumerate(data) if begun <= at + i < limit}
        apart = [run for run in self.runs(new.keys()) if run[0] > 0]  # type: ignore[arg-type]
        if len(apart) <= ISLANDS:
            self.octets = {**new, **self.octets}

    def prefix(self) -> bytes:
        count = next((at for at in range(len(self.octets)) if at not in self.octets), len(self.octets))
        return bytes(self.octets[at] for at in range(count))

    def gap(self) -> int:
        begun = len(self.prefix())
        return min((at for at in self.octets if at > begun), default=begun) - begun


@dataclass
class Flow:
    src: End
    dst: End
    first: int
    last: int
    bytes: int = 0
    directions: dict[End, Direction] = field(default_factory=dict)
    fins: set[End] = field(default_factory=set)
    reset: bool = False
    senders: set[End] = field(default_factory=set)


@dataclass
class Book:
    """idle: ns; limit: bytes of a stream."""

    idle: int
    limit: int
    living: dict[tuple[frozenset[End], int], Flow] = field(default_factory=dict)
    over: list[Flow] = field(default_factory=list)

    def _begins(self, flow: Flow, one: Sent) -> bool:
        if self.idle and one.ts - flow.last > self.idle:
            return True
        if one.proto != 6 or one.flags & (SYN | ACK | RST) != SYN:
            return False
        base = flow.directions[one.src].base
        return bool(flow.reset or flow.fins) if base is None else base != (one.seq + 1) % WRAP

    def take(self, one: Sent) -> Told:
        key = frozenset((one.src, one.dst)), one.proto
        flow, new = self.living.get(key), False
        if flow is None or self._begins(flow, one):
            if flow is not None:
                self.over.append(flow)
            answer = one.proto == 6 and one.flags & (SYN | ACK | RST) == SYN | ACK
            ends = (one.dst, one.src) if answer else (one.src, one.dst)
            flow, new = Flow(*ends, one.ts, one.ts), True
            flow.directions = {end: Direction() for end in ends}
            self.living[key] = flow
        self._count(flow, one)
        mine = flow.directions[one.src]
        closed = flow.reset or len(flow.fins) == 2
        closing = closed or bool(flow.fins)
        both = len(flow.senders) == 2
        forward = one.src == flow.src
        return Told(mine.prefix(), mine.gap(), new, forward, both, closing, closed, flow.src)

    def _count(self, flow: Flow, one: Sent) -> None:
        flow.first, flow.last = min(flow.first, one.ts), max(flow.last, one.ts)
        flow.senders.add(one.src)
        mine, wire = flow.directions[one.src], len(one.data) if one.wire < 0 else one.wire
        if one.proto != 6:
            mine.put(mine.total, one.data, self.limit)
            mine.total += wire
            return
        first = (one.seq + bool(one.flags & SYN)) % WRAP
        if mine.base is None and (one.flags & SYN or (one.flags and wire)):
            mine.base = first
        if one.flags & FIN:
            flow.fins.add(one.src)
        flow.reset |= bool(one.flags & RST)
        if mine.base is not None and one.flags:
            at = (first - mine.base) % WRAP
            mine.put(at if at < WRAP // 2 else at - WRAP, one.data, self.limit)
