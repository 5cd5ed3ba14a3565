"""What a plugin declares of flows. Plain Python, importable in milliseconds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import KW_ONLY, dataclass, field
from typing import Any, ClassVar, Final, NamedTuple

from zcframe.framework.errors import DeclarationError
from zcframe.framework.state.declare import Embedded, Param, Table
from zcframe.framework.state.kinds import FIRST, Kind, addr, is_whole, u8, u16, u32, u64

KEY: Final = {"src": addr, "dst": addr, "sport": u16, "dport": u16, "proto": u8}
# What the table keeps of each flow. Names that begin with _ are no columns of a report.
KEPT: Final = {
    "first_ns": u64.min,
    "last_ns": u64.max,
    "_seq_a": u32.first,
    "_seq_b": u32.first,
    "_marks": u8.first,
    "_closed": u8.first,
    "state": u8.max,
}
# What only compiled code asks of a row.
ASKED: Final = ("forward", "established", "closing", "closed", "gap", "stream")

MOST_STREAM: Final = 8192
# Pieces behind a gap that a stream holds on to.
ISLANDS: Final = 4
# Of a direction: where the bytes in order end; begin << 16 | end of each island, 0 for none.
STREAM_WORDS: Final = 1 + ISLANDS


@dataclass(frozen=True)
class Room(Kind):
    """Bytes of a row that mean something only as other fields say. They are not journaled, since of what has a meaning
    nothing is written over: a row that goes is journaled whole."""

    size: int
    reduction: str = FIRST
    apart: ClassVar[bool] = True
    blank: ClassVar[bool] = True

    @property
    def align(self) -> int:
        return 1

    @property
    def dtype(self) -> str:
        return f"V{self.size}"

    @property
    def name(self) -> str:
        return f"room({self.size})"


class FlowRules(NamedTuple):
    """Of a table of flows. stream: bytes of each direction that are kept, 0 for none."""

    stream: int


class SettledFlows(NamedTuple):
    """Flows as a table that can be laid out, with the user's settings in place of parameters."""

    key: Mapping[str, Kind]
    value: Mapping[str, Kind | Embedded]
    capacity: int
    idle: float
    last: str
    done: str
    least: str
    rules: FlowRules


@dataclass(frozen=True)
class Flows(Table):
    """A table whose rows are flows: both directions of what is between two ends (addresses, ports, protocol).

    value: field name -> type, as in a Table. capacity: flows in all shards together. idle: seconds of silence that end
    a flow, by the time of packets (0: never). stream: bytes of each direction that are kept in order, up to 8192.

    In `filter`: `f = state.name.of(pkt)` is the row of the packet's flow. `if f:` is false for what is not IP, and
    where the table had no room (counted in `lost`). `f.new` is true for the first packet of a flow. `f.forward` is true
    for packets of the end that began it, `f.src` and `f.sport`; the other one is `f.dst` and `f.dport`. `f.first_ns`
    and `f.last_ns` are times of packets. `f.established`: both ends have sent; `f.closing`: a FIN or a RST; `f.closed`:
    a FIN of both, or a RST. `data = f.stream(pkt)` takes the packet's payload, and is a view of all that its end has
    sent so far, from the first byte to the first gap; `f.gap` is how many bytes are missing there, 0 where nothing is
    known to be.

    A flow begins anew over the same ends after `idle` seconds, and with a SYN of another sequence number. Flows that
    ended this way are counted in `expired`, their sums in `given_up`, as of rows that gave up their slot: silent and
    closed flows do, where a new one finds no room. In `merge` and `report`: a record array with the columns src, dst,
    sport, dport, proto, first_ns, last_ns, state (0 new, 1 established, 2 closing, 3 closed), and those of `value`.
    """

    key: Mapping[str, Kind] = field(init=False, repr=False, default_factory=lambda: KEY)
    value: Mapping[str, Kind | Embedded] = field(default_factory=dict)
    _: KW_ONLY
    capacity: int | Param = 1 << 16
    idle: float | Param = 120
    stream: int | Param = 0
    last: str = field(init=False, repr=False, default="last_ns")
    done: str = field(init=False, repr=False, default="")
    least: str = field(init=False, repr=False, default="")

    def __post_init__(self) -> None:
        if isinstance(self.value, Mapping):
            taken = [name for name in self.value if name in (*KEY, *KEPT, *ASKED)]
            if taken:
                raise DeclarationError(
                    f"Flows keep {taken[0]!r} of each flow themselves: call the field something else"
                )
            object.__setattr__(self, "value", {**self._kept, **self.value})
        super().__post_init__()
        if not isinstance(self.stream, Param):
            self._require_stream(self.stream)

    @property
    def _kept(self) -> Mapping[str, Kind]:
        """Of KEPT, what is no secret to the checks of a Table."""
        return {name: kind for name, kind in KEPT.items() if not name.startswith("_")}

    @staticmethod
    def _require_stream(stream: Any) -> None:
        if not (is_whole(stream) and 0 <= stream <= MOST_STREAM):
            raise DeclarationError(f"Flows with stream={stream!r}: 0 to {MOST_STREAM} bytes of each direction are kept")

    def settled(self, settings: Callable[[Any], Any]) -> SettledFlows:
        """The table. Raises DeclarationError for a setting that is none."""
        stream = settings(self.stream)
        self._require_stream(stream)
        value: dict[str, Kind | Embedded] = {**KEPT}
        if stream:
            value |= {"_stream": u32[2 * STREAM_WORDS]}
        value |= {name: kind for name, kind in self.value.items() if name not in KEPT}
        if stream:
            value |= {"_bytes": Room(2 * stream)}
        capacity, idle = settings(self.capacity), settings(self.idle)
        return SettledFlows(KEY, value, capacity, idle, "last_ns", "_closed", "", FlowRules(stream))
