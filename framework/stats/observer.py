"""A run as its observers see it: the plan before it, snapshots during it, the result after it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from zcframe.framework.nic import Change

from .ledger import Ledger


@dataclass(frozen=True)
class SourceInfo:
    """Where frames come from: kind "file", "trace" or "iface"; `names` of the files or interfaces."""

    kind: str
    names: tuple[str, ...]
    backend: str
    link_types: tuple[str, ...] = ()


@dataclass(frozen=True)
class RssCheck:
    """Frames whose hash was computed again, how many had another hash or queue, and the first of them in words."""

    frames: int = 0
    wrong_hash: int = 0
    wrong_queue: int = 0
    example: str = ""

    def __add__(self, other: RssCheck) -> RssCheck:
        return RssCheck(
            self.frames + other.frames,
            self.wrong_hash + other.wrong_hash,
            self.wrong_queue + other.wrong_queue,
            self.example or other.example,
        )


@dataclass(frozen=True)
class RssInfo:
    """How frames spread: `key` as 80 hex digits, `fields` "ip-pair" or "5-tuple", `reta` the queue of each bucket.

    check: what was verified so far; None without --verify-rss.
    """

    key: str
    fields: str
    reta: tuple[int, ...]
    key_name: str = ""
    check: RssCheck | None = None


@dataclass(frozen=True)
class QueuePlan:
    """The CPU that the worker of an interface's queue is to run on; None where it is not pinned."""

    queue: int
    cpu: int | None
    ifname: str = ""


@dataclass(frozen=True)
class PluginPlan:
    """One plugin of the chain with the value of each of its parameters."""

    name: str
    params: Mapping[str, Any] = field(default_factory=dict)
    origin: str = ""


@dataclass(frozen=True)
class RunPlan:
    """Everything that is decided before the first frame: what `--check` prints.

    pace: "max", "original" or "100,000 packets a second"; loop: 0 for ever; memory: bytes of rings and blocks; tuning:
    what --tune changes.
    """

    source: SourceInfo
    rss: RssInfo
    queues: tuple[QueuePlan, ...]
    plugins: tuple[PluginPlan, ...]
    pace: str
    loop: int
    ring_slots: int
    memory: int = 0
    tuning: tuple[Change, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class QueueStats:
    """One queue of an interface and its worker.

    `bytes` counts wire lengths; `ring_fill` is 0..1; `packets` is what was delivered; `restart_ms` is the longest time
    from a worker's end until its successor could take packets, 0 where none was replaced.
    """

    queue: int
    cpu: int | None
    pid: int
    restarts: int = 0
    packets: int = 0
    bytes: int = 0
    ring_fill: float = 0.0
    ledger: Ledger = field(default_factory=Ledger)
    ifname: str = ""
    restart_ms: float = 0.0


@dataclass(frozen=True)
class Totals:
    """All queues added up."""

    restarts: int
    packets: int
    bytes: int
    ledger: Ledger


@dataclass(frozen=True)
class RunSnapshot:
    """A run at one moment.

    plugins: each plugin's report by name. lines: by name, what a plugin says of itself in words, where it does.
    progress: (done, whole) in bytes of the files; None, or a whole of 0, where no end is known. final: the run is over,
    and no worker will take what is still in flight.
    """

    source: SourceInfo
    elapsed_s: float
    rss: RssInfo
    queues: Sequence[QueueStats] = ()
    plugins: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    lines: Mapping[str, Sequence[str]] = field(default_factory=dict)
    progress: tuple[int, int] | None = None
    warnings: Sequence[str] = ()
    final: bool = False

    @property
    def lost(self) -> int:
        """Frames that arrived and that no worker took, or will take."""
        ledger = self.totals.ledger
        return ledger.lost + (ledger.in_flight if self.final else 0)

    @property
    def loss(self) -> float:
        """`lost` as a fraction of the frames that arrived, 0..1."""
        arrived = self.totals.ledger.arrived
        return self.lost / arrived if arrived else 0.0

    @property
    def totals(self) -> Totals:
        return Totals(
            restarts=sum(q.restarts for q in self.queues),
            packets=sum(q.packets for q in self.queues),
            bytes=sum(q.bytes for q in self.queues),
            ledger=sum((q.ledger for q in self.queues), Ledger()),
        )

    @property
    def balance(self) -> float:
        """The busiest queue's packets over the mean: 1.0 is even, the number of queues is the worst; NaN before any."""
        packets = [q.packets for q in self.queues]
        return max(packets) * len(packets) / sum(packets) if any(packets) else math.nan


@dataclass(frozen=True)
class RunResult:
    """How a run ended.

    last: the snapshot of its end. error: one line, empty where all went well; details: shown with -v only.
    """

    last: RunSnapshot
    exit_code: int = 0
    error: str = ""
    details: str = ""


class Observer:
    """Watches a run; each kind of observer fills in what it needs.

    Every method is called from the supervisor's loop and must return at once, but for `preparing` and `close`, which
    the command calls.
    """

    def preparing(self) -> None:
        """Called before the supervisor: it compiles, which takes some seconds where nothing is in the cache."""

    def started(self, plan: RunPlan) -> None:
        """Called once, before the first frame."""

    def tick(self, snapshot: RunSnapshot) -> None:
        """Called every 0.25 s, or every --stats-interval."""

    def asked(self, snapshot: RunSnapshot) -> None:
        """Called when somebody asks for the counters so far, by SIGUSR1."""

    def finished(self, result: RunResult) -> None:
        """Called once, after the last worker ended."""

    def close(self) -> None:
        """Give back what is held, such as the terminal; may be called again, and without `finished`."""


class Observers(Observer):
    """Several observers as one, each told in turn."""

    def __init__(self, observers: Sequence[Observer]) -> None:
        self._all = tuple(observers)

    def preparing(self) -> None:
        for observer in self._all:
            observer.preparing()

    def started(self, plan: RunPlan) -> None:
        for observer in self._all:
            observer.started(plan)

    def tick(self, snapshot: RunSnapshot) -> None:
        for observer in self._all:
            observer.tick(snapshot)

    def asked(self, snapshot: RunSnapshot) -> None:
        for observer in self._all:
            observer.asked(snapshot)

    def finished(self, result: RunResult) -> None:
        for observer in self._all:
            observer.finished(result)

    def close(self) -> None:
        for observer in self._all:
            observer.close()
