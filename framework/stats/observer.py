"""A run as its observers see it: the plan before it, snapshots during it, the result after it."""

from __future__ import annotations

import logging
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from zcframe.framework.errors import ZcframeError

from .ethertypes import ethertype_key
from .events import Event
from .faults import Fault
from .ledger import Ledger
from .outputs import OutputStats
from .rows import RowsStats

if TYPE_CHECKING:
    from zcframe.framework.nic import Change

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class SourceInfo:
    """Where frames come from: kind "file", "trace" or "iface"; `names` of the files or interfaces.

    promiscuous: whether the run has interfaces hand up frames for other machines, too; None for files.
    passed_over: frames of link types from which no IP is read, by link type.
    """

    kind: str
    names: tuple[str, ...]
    backend: str
    link_types: tuple[str, ...] = ()
    promiscuous: bool | None = None
    passed_over: Mapping[str, int] = field(default_factory=dict)


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
    """The CPU that a worker of an interface's queue is to run on; None where it is not pinned.

    worker: its number in the run; several workers may share a queue.
    """

    queue: int
    cpu: int | None
    ifname: str = ""
    worker: int = 0


@dataclass(frozen=True)
class StatePlan:
    """State of a plugin in shared memory. bytes: at most. rows: of each of its tables, how many it has room for.

    lookups: bytes of each list that it looks things up in, once for all workers.
    """

    bytes: int = 0
    shards: int = 0
    rows: Mapping[str, int] = field(default_factory=dict)
    lookups: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class PluginPlan:
    """One plugin of the chain with the value of each of its parameters. filter: of the packets that it sees."""

    name: str
    params: Mapping[str, Any] = field(default_factory=dict)
    origin: str = ""
    filter: str = ""
    state: StatePlan = field(default_factory=StatePlan)


@dataclass(frozen=True)
class OutputPlan:
    """One --out, in its own words. shares: weights as `--shares` has them, "" for one stream; rule: what shares out.

    command: words that are started once a share. on_dead: what becomes of a dead share's flows.
    """

    spec: str
    shares: str = ""
    rule: str = ""
    command: tuple[str, ...] = ()
    on_dead: str = ""


@dataclass(frozen=True)
class RunPlan:
    """Everything that is decided before the first frame: what `--check` prints.

    pace: "max", "original" or "100,000 packets a second"; loop: 0 for ever; memory: bytes of rings and blocks; tuning:
    what --tune changes; filter: the tcpdump expression of the packets that plugins see, "" for all; rows: each --rows,
    in its own words; records: (name, kind) of each field of the records that plugins emit, by "PLUGIN.RECORDS".
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
    filter: str = ""
    outputs: tuple[OutputPlan, ...] = ()
    rows: tuple[str, ...] = ()
    records: Mapping[str, Sequence[tuple[str, Any]]] = field(default_factory=dict)


@dataclass(frozen=True)
class QueueStats:
    """One worker of a run, and the queue of an interface that it reads, alone or with others.

    `worker` is its number in the run. `bytes` counts wire lengths; `ring_fill` is 0..1; `packets` is what was
    delivered; `restart_ms` is the longest time from a worker's end until its successor could take packets, 0 where none
    was replaced. `cut_at` is how many bytes of a frame the worker can see at most.
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
    worker: int = 0
    cut_at: int = 0

    @property
    def place(self) -> tuple[str, int, int]:
        """What tells this row from all others."""
        return self.ifname, self.queue, self.worker


@dataclass(frozen=True)
class Totals:
    """All queues added up."""

    restarts: int
    packets: int
    bytes: int
    ledger: Ledger


@dataclass(frozen=True)
class NoIp:
    """Packets in which no IP header was read: how many of each ethertype, the most frequent first."""

    SHOWN: ClassVar[int] = 16

    ethertypes: Mapping[int, int] = field(default_factory=dict)

    @property
    def packets(self) -> int:
        return sum(self.ethertypes.values())

    def by_key(self) -> dict[str, int]:
        """By key of the ethertype, as documents write it; beyond SHOWN of them, the others together as "other"."""
        counts: Counter[str] = Counter()
        for ethertype, packets in self.ethertypes.items():
            counts[ethertype_key(ethertype)] += packets
        ranked = counts.most_common()
        rest = sum(packets for _, packets in ranked[self.SHOWN :])
        return dict(ranked[: self.SHOWN]) | ({"other": rest} if rest else {})


@dataclass(frozen=True)
class RunSnapshot:
    """A run at one moment.

    no_ip: as it was when the plugins' reports were made.
    plugins: each plugin's report by name. lines: by name, what a plugin says of itself in words, where it does.
    progress: (done, whole) in bytes of the files; None, or a whole of 0, where no end is known. warnings: those that
    hold for the whole run; events: what happened in it, as far as it is still kept. started, ended and at, the moment
    itself: seconds since the epoch, 0 where not known or not yet. final: the run is over, and no worker will take what
    is still in flight. filter: as in RunPlan. outputs: those of --out. rows: those of --rows, and records that nobody
    asked for. faults: what plugins raised. states: merged, by name of the plugin, where an observer reads them.
    """

    source: SourceInfo
    elapsed_s: float
    rss: RssInfo
    queues: Sequence[QueueStats] = ()
    plugins: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    lines: Mapping[str, Sequence[str]] = field(default_factory=dict)
    progress: tuple[int, int] | None = None
    warnings: Sequence[str] = ()
    events: Sequence[Event] = ()
    started: float = 0.0
    ended: float = 0.0
    at: float = 0.0
    no_ip: NoIp = field(default_factory=NoIp)
    final: bool = False
    filter: str = ""
    outputs: Sequence[OutputStats] = ()
    rows: Sequence[RowsStats] = ()
    faults: Sequence[Fault] = ()
    states: Mapping[str, Any] = field(default_factory=dict)

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
    the command calls. title: what it is to people. reads_reports: whether it looks at plugins' reports before the end,
    for which workers have to pause. reads_states: whether it looks at the states that reports are made of.
    """

    title = "an output"

    @property
    def reads_reports(self) -> bool:
        return False

    @property
    def reads_states(self) -> bool:
        return False

    def preparing(self) -> None:
        """Called before the supervisor."""

    def compiling(self, names: Sequence[str]) -> None:
        """Called before code is compiled that is not in the cache, which takes seconds; names: what it belongs to."""

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
    """Several observers as one, each told in turn.

    A capture does not depend on how it is watched: an observer that fails before the end is told of once and hears no
    more until the end. Failures at the end are one error, which names them all.
    """

    def __init__(self, observers: Sequence[Observer]) -> None:
        self._all = tuple(observers)
        self._watching = list(observers)

    @property
    def reads_reports(self) -> bool:
        return any(observer.reads_reports for observer in self._watching)

    @property
    def reads_states(self) -> bool:
        return any(observer.reads_states for observer in self._watching)

    def _each(self, tell: Callable[[Observer], None]) -> None:
        for observer in tuple(self._watching):
            try:
                tell(observer)
            except Exception as error:
                self._watching.remove(observer)
                _close(observer)
                _tell_of(observer, error)

    def preparing(self) -> None:
        self._each(lambda observer: observer.preparing())

    def compiling(self, names: Sequence[str]) -> None:
        self._each(lambda observer: observer.compiling(names))

    def started(self, plan: RunPlan) -> None:
        self._each(lambda observer: observer.started(plan))

    def tick(self, snapshot: RunSnapshot) -> None:
        self._each(lambda observer: observer.tick(snapshot))

    def asked(self, snapshot: RunSnapshot) -> None:
        self._each(lambda observer: observer.asked(snapshot))

    def finished(self, result: RunResult) -> None:
        """Tell all of them. Raises ZcframeError where one could not hand over what it holds."""
        failures: list[str] = []
        for observer in self._all:
            try:
                observer.finished(result)
            except ZcframeError as error:
                failures.append(str(error))
        if failures:
            raise ZcframeError("; ".join([*filter(None, [result.error]), *failures]), details=result.details)

    def close(self) -> None:
        for observer in self._all:
            _close(observer)


def _close(observer: Observer) -> None:
    try:
        observer.close()
    except Exception:
        log.debug("%s could not be closed", observer.title, exc_info=True)


def _tell_of(observer: Observer, error: Exception) -> None:
    cause = " ".join(f"{type(error).__name__}: {error}".split())
    trace = log.isEnabledFor(logging.DEBUG)
    log.warning("%s is off from here on, the capture goes on: %s", observer.title, cause, exc_info=trace)
