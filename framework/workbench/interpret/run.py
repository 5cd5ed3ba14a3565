"""The loop over packets: rings, decoder, sharding and tables are those of a run; the author's functions are Python."""

from __future__ import annotations

import os
import traceback
from bdb import BdbQuit
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from itertools import dropwhile, takewhile
from typing import Any, Final

from zcframe import framework
from zcframe.framework import abi
from zcframe.framework.chain.bound import BoundPlugin
from zcframe.framework.chain.fault import FRAME_SIZE
from zcframe.framework.chain.plugin import DROP, PASS
from zcframe.framework.errors import UsageError
from zcframe.framework.packet.plain import Address
from zcframe.framework.state.merge import State
from zcframe.framework.state.shared import StateMemory
from zcframe.framework.stats import Fault, FaultyPacket, end_text
from zcframe.framework.supervisor.change.rig import SLOTS, Rig
from zcframe.framework.workbench.frames import Frames, Packets, frames_of
from zcframe.framework.workbench.trial import Result, Verdicts, chain_of, resolve, rss_of, settled

from .clock import Clock
from .memory import Journal, Memory
from .packet import Packet, PacketReader
from .records import InterpretedRecords
from .state import States

OURS: Final = os.path.dirname(framework.__file__) + os.sep


@dataclass(frozen=True)
class Interpretation(Result):
    """A result with the records that were emitted: by their name, `rows` in order and how many of them were `cut`."""

    records: Mapping[str, InterpretedRecords]


@dataclass
class _Course:
    """An interpretation under way. shards: by number."""

    plugin: BoundPlugin
    shards: dict[int, Memory] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    faults: dict[str, Fault] = field(default_factory=dict)

    def __post_init__(self) -> None:
        layout = self.plugin.layout
        self.states, self.memory = States(layout, self.plugin.lookups), StateMemory([layout])
        self._journal = Journal(self.memory)
        self._params = self.plugin.params_tuple()
        # Of each shard that a packet came to.
        self._clocks: dict[int, Clock] = {}

    def written(self) -> tuple[State, ...]:
        """The state of each shard that a packet has changed."""
        numbers = [number for number, shard in sorted(self.shards.items()) if shard.written]
        copied = [number for number in numbers if self.memory.copy(0, number) is not None]
        return tuple(state for state in (self.memory.read(0, number) for number in copied) if state is not None)

    def _number(self, pkt: Packet) -> int:
        return 0 if self.plugin.layout.per_worker else int(pkt.bucket)

    def _shard(self, number: int) -> Memory:
        if number not in self.shards:
            self.shards[number] = Memory(self.memory.live(0, number), self._journal)
        return self.shards[number]

    def _tick(self, shard: Memory, times: Iterable[int]) -> None:
        """Call the plugin's tick at these times, as a transaction. Raises what it raises."""
        tick, state = self.plugin.declared.tick, self.states.of(shard)
        assert tick is not None
        try:
            for now in times:
                if tick(state, now, self._params) is not None:
                    raise UsageError(f"plugin {self.plugin.name}: tick returned something: it returns nothing")
        except BaseException:
            self._settle(shard, void=True)
            raise
        self._settle(shard, void=False)

    def _ticks_before(self, pkt: Packet, number: int, shard: Memory) -> None:
        """What is due before this packet."""
        interval = self.plugin.declared.interval
        if interval:
            times = self._clocks.setdefault(number, Clock(interval)).before(pkt.ts)
            if times:
                self._tick(shard, times)

    def finish(self) -> None:
        """The run ends: the tick of each interval under way."""
        for number, clock in sorted(self._clocks.items()):
            self._journal.begin(clock.due)
            try:
                self._tick(self.shards[number], [clock.due])
            except UsageError:
                raise
            except Exception as error:
                self._note(error, FaultyPacket(0, sum(self.counts.values()), clock.due, 0, "", "", 0, b""))

    def _verdict(self, pkt: Packet, shard: Memory) -> Any:
        declared, state = self.plugin.declared, self.states.of(shard)
        ahead = (declared.ahead(pkt, state, self._params),) if declared.ahead is not None else ()
        return declared.filter(pkt, state, self._params, *ahead)

    def take(self, pkt: Packet, number: int) -> None:
        """One packet, as a transaction of its own."""
        self._journal.begin(pkt.ts)
        shard = self._shard(self._number(pkt))
        try:
            self._ticks_before(pkt, self._number(pkt), shard)
            verdict = self._verdict(pkt, shard)
        except BdbQuit:
            # Whoever leaves the debugger wants to leave.
            raise KeyboardInterrupt from None
        except UsageError:
            raise
        except Exception as error:
            self._settle(shard, void=True)
            self._fault(error, pkt, number)
            return
        if verdict is not PASS and verdict is not DROP:
            raise UsageError(f"plugin {self.plugin.name}: filter returned {verdict!r}: return PASS or DROP")
        self._settle(shard, void=False)
        self.counts["dropped" if verdict is DROP else "passed"] += 1

    def _settle(self, shard: Memory, *, void: bool) -> None:
        shard.settle(void=void)
        for records in self.states.records.values():
            records.settle(void=void)

    def _fault(self, error: Exception, pkt: Packet, number: int) -> None:
        self.counts["faulted"] += 1
        first = FaultyPacket(
            worker=0,
            number=number,
            ts=pkt.ts,
            length=pkt.wirelen,
            source=_end(pkt, pkt.src, pkt.sport),
            destination=_end(pkt, pkt.dst, pkt.dport),
            protocol=pkt.proto,
            frame=bytes(pkt.frame)[:FRAME_SIZE],
        )
        self._note(error, first)

    def _note(self, error: Exception, first: FaultyPacket) -> None:
        reason = f"{type(error).__name__}{f': {error}' if str(error) else ''}{_place(error)}"
        fault = Fault(self.plugin.name, reason, 1, first)
        self.faults[reason] = self.faults[reason] + fault if reason in self.faults else fault


def _is_ours(frame: traceback.FrameSummary) -> bool:
    return frame.filename.startswith(OURS)


def _place(error: Exception) -> str:
    """Which line of the author's raised, or called what raised."""
    inner = dropwhile(_is_ours, traceback.extract_tb(error.__traceback__))
    own = list(takewhile(lambda frame: not _is_ours(frame), inner))
    return f", {os.path.basename(own[-1].filename)}:{own[-1].lineno}" if own else ""


def _end(pkt: Packet, address: Address, port: int) -> str:
    return end_text(str(address), port) if pkt.ip_version else ""


def _packets(plugin: BoundPlugin, frames: Frames, take: Callable[[Packet, int], None]) -> None:
    """Call `take(packet, number)` for each frame, which comes out of a ring as in a run."""
    read = PacketReader()
    with Rig(chain_of(), rss_of(plugin, 1)) as rig:
        (worker,), row = rig.workers, 0
        while row < len(frames):
            behind = rig.deliver(frames, row)
            for number in range(row, behind):
                desc = worker.ring.desc_address + number % SLOTS * abi.DESC_SIZE
                take(read(desc, worker.ring.block_address), number)
            worker.chain.run(worker.ctx, behind - row)
            row = behind


def interpret(plugin: BoundPlugin, frames: Frames) -> Interpretation:
    """What the plugin makes of the frames, by one worker. Its exceptions are faults, as in a run.

    Raises UsageError for a filter that returns neither PASS nor DROP, and for a plugin with a filter of its own.
    """
    if plugin.program is not None:
        raise UsageError(f"plugin {plugin.name}: @plugin(filter=...) cannot be interpreted: leave it out")
    course = _Course(plugin)
    with closing(course.memory):
        _packets(plugin, frames, course.take)
        course.finish()
        states = course.written()
    verdicts = Verdicts(*(course.counts[name] for name in ("passed", "dropped", "faulted")))
    faults = sorted(course.faults.values(), key=lambda fault: -fault.packets)
    return Interpretation(plugin, states, verdicts, tuple(faults), course.states.records)


def interpret_plugin(plugin: str | type, packets: Packets, params: Mapping[str, Any] | None = None) -> Interpretation:
    """As `run_plugin`, by one queue, with the plugin's functions called as plain Python: `print`, `breakpoint()` work.

    Raises UsageError, CaptureFileError, LinkTypeError, TypeError.
    """
    return interpret(settled(resolve(plugin, params or {}), 1), frames_of(packets))
