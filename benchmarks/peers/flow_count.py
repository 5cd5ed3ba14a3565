"""What every flow counter in Python shares: the flow's key, the counts and the one JSON line that it prints."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

End: TypeAlias = tuple[bytes, int]
Key: TypeAlias = tuple[int, End, End]

# Protocols with ports: TCP, UDP, DCCP, SCTP, UDP-Lite.
WITH_PORTS = frozenset((6, 17, 33, 132, 136))


def flow_key(proto: int, source: bytes, target: bytes, sport: int = 0, dport: int = 0) -> Key:
    """The same for both directions: protocol, then both (address, port) in ascending order."""
    one, other = (source, sport), (target, dport)
    return (proto, one, other) if one <= other else (proto, other, one)


class FlowCount:
    """Packets and bytes in all, and [packets, bytes] by flow key."""

    def __init__(self) -> None:
        self.packets = 0
        self.bytes = 0
        self.flows: dict[Key, list[int]] = {}

    def add(self, key: Key, length: int) -> None:
        counts = self.flows.get(key)
        if counts is None:
            self.flows[key] = [1, length]
        else:
            counts[0] += 1
            counts[1] += length


def main(count: Callable[[Path, int], FlowCount]) -> None:
    """Run `count` on the command line's FILE [PACKETS] (0: all) and print packets, bytes, flows, seconds."""
    path, limit = Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 0
    start = time.perf_counter()
    result = count(path, limit)
    seconds = time.perf_counter() - start
    figures = {"packets": result.packets, "bytes": result.bytes, "flows": len(result.flows), "seconds": seconds}
    print(json.dumps(figures))
