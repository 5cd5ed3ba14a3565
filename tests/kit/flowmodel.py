"""What of each flow an output must get, by plain Python: dictionaries in place of tables. Imports no zcframe."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.kit.reference import ACK, FIN, RST, SYN, End, Headers, headers

IDLE_NS = 600 * 10**9
RECORD_HEADER = 16
Key = tuple[frozenset[End], int, bool]


@dataclass
class Flow:
    """Of a flow that lives."""

    last: int
    new: bool = False
    elephant: bool = False
    closing: bool = False
    packets: int = 0
    bytes: int = 0
    senders: set[End] = field(default_factory=set)
    # What became of its frames, in order.
    fates: list[str] = field(default_factory=list)


def key_of(found: Headers) -> Key:
    """The same for both directions; two equal ends are one."""
    src, dst = (found.src, found.sport), (found.dst, found.dport)
    return frozenset((src, dst)), found.proto, src == dst


@dataclass
class Model:
    """An output that sheds. size: bytes of its ring; read(): how far its writer is, in the stream of all records."""

    size: int
    read: Callable[[], int]
    mode: str = "off"
    keep: int = 10
    shunt: int | None = None
    end: int = 0
    pressed: bool = False
    counts: Counter[str] = field(default_factory=Counter)
    living: dict[Key, Flow] = field(default_factory=dict)
    all: list[Flow] = field(default_factory=list)

    @property
    def one_sided(self) -> int:
        return sum(len(flow.senders) == 1 for flow in self.all)

    def offer(self, frame: bytes, ts: int) -> str:
        """What becomes of a frame: "written", "ring_full", "new", "elephants" or "shunt"."""
        found = headers(frame)
        fate = "written" if found is None else self._of_flow(found, len(frame), ts)
        if fate == "written":
            size = RECORD_HEADER + len(frame)
            if self.end + size > self.read() + self.size:
                fate = "ring_full"
            else:
                self.end += size
        self.counts[fate] += 1
        return fate

    def _flow(self, found: Headers, ts: int) -> Flow:
        key = key_of(found)
        flow = self.living.get(key)
        again = flow is not None and flow.closing and found.tcp_flags & (SYN | ACK) == SYN
        if flow is None or again or ts - flow.last > IDLE_NS:
            flow = self.living[key] = Flow(ts, new=self.mode == "new" and self.pressed)
            self.all.append(flow)
        return flow

    def _of_flow(self, found: Headers, octets: int, ts: int) -> str:
        fill = self.end - self.read()
        self.pressed = fill > self.size / 2 or (self.pressed and fill >= self.size / 4)
        flow = self._flow(found, ts)
        flow.senders.add((found.src, found.sport))
        flow.closing |= bool(found.tcp_flags & (FIN | RST))
        flow.last = max(flow.last, ts)
        if self.mode == "elephants" and self.pressed and flow.packets >= self.keep:
            steps = int(max(fill - self.size / 2, 0) / (self.size / 2) * 22)
            flow.elephant |= flow.bytes >= 2**32 / 2**steps
        fate = "written"
        if flow.new and flow.packets >= self.keep:
            fate = "new"
        elif flow.elephant:
            fate = "elephants"
        elif self.shunt is not None and flow.bytes >= self.shunt:
            fate = "shunt"
        flow.packets += 1
        flow.bytes += octets
        flow.fates.append(fate)
        return fate
