"""The loop over packets: rings, decoder, sharding and tables are those of a run; the author's functions are Python."""

from __future__ import annotations

import os
import traceback
from bdb import BdbQuit
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numba.core import types

from zcframe.framework import abi
from zcframe.framework.chain.bound import BoundPlugin
from zcframe.framework.chain.plugin import DROP, PASS
from zcframe.framework.errors import UsageError
from zcframe.framework.jit.compiler import fleeting, precompile
from zcframe.framework.state.journal import JOURNAL_SIZE, NOW, SECRETS, USED, roll_back
from zcframe.framework.state.merge import read_shard
from zcframe.framework.stats import Fault, FaultyPacket
from zcframe.framework.workbench.frames import Frames, Packets, frames_of
from zcframe.framework.workbench.rig import SECRETS as KNOWN
from zcframe.framework.workbench.rig import SLOTS, Rig
from zcframe.framework.workbench.trial import Result, Verdicts, chain_of, resolve, rss_of, settled

from .packet import Packet, packet_reader
from .state import InterpretedState, state_maker

WORD: Final = 8


def _compiled_undo() -> Callable[[int, int, int], None]:
    def undo(journal, low, high):  # type: ignore[no-untyped-def]
        roll_back(journal, 0, low, high)

    compiled: Any = fleeting(undo)
    precompile(compiled, *[types.int64] * 3)
    return compiled  # type: ignore[no-any-return]


@dataclass
class _Course:
    """An interpretation under way. undo: of what the packet wrote to arrays. shards: number -> bytes."""

    plugin: BoundPlugin
    undo: list[Callable[[], None]] = field(default_factory=list)
    shards: dict[int, np.ndarray[Any, np.dtype[np.uint8]]] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    faults: dict[str, Fault] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._make = state_maker(self.plugin.layout, self.undo)
        self._journal = np.zeros(JOURNAL_SIZE, np.uint8)
        self._words = self._journal.view(np.int64)
        self._journal[SECRETS : SECRETS + len(KNOWN)] = memoryview(KNOWN)
        self._roll_back, self._params = _compiled_undo(), self.plugin.params_tuple()

    def _state(self, pkt: Packet) -> tuple[InterpretedState, np.ndarray[Any, np.dtype[np.uint8]]]:
        number = 0 if self.plugin.layout.per_worker else int(pkt.bucket)
        shard = self.shards.setdefault(number, np.zeros(self.plugin.layout.shard_size, np.uint8))
        return self._make(shard, self._journal.ctypes.data), shard

    def _verdict(self, pkt: Packet, state: InterpretedState) -> Any:
        declared = self.plugin.declared
        ahead = (declared.ahead(pkt, state, self._params),) if declared.ahead is not None else ()
        return declared.filter(pkt, state, self._params, *ahead)

    def take(self, pkt: Packet, number: int) -> None:
        """One packet, as a transaction of its own."""
        self._words[USED // WORD], self._words[NOW // WORD] = 0, pkt.ts
        self.undo.clear()
        state, shard = self._state(pkt)
        try:
            verdict = self._verdict(pkt, state)
        except BdbQuit:
            # Whoever leaves the debugger wants to leave.
            raise KeyboardInterrupt from None
        except Exception as error:
            for back in reversed(self.undo):
                back()
            self._roll_back(self._journal.ctypes.data, shard.ctypes.data, shard.ctypes.data + len(shard))
            self._fault(error, pkt, number)
            return
        if verdict is not PASS and verdict is not DROP:
            raise UsageError(f"plugin {self.plugin.name}: filter returned {verdict!r}: return PASS or DROP")
        self.counts["dropped" if verdict is DROP else "passed"] += 1

    def _fault(self, error: Exception, pkt: Packet, number: int) -> None:
        self.counts["faulted"] += 1
        last = traceback.extract_tb(error.__traceback__)[1:]
        own = [frame for frame in last if os.sep + "interpret" + os.sep not in frame.filename]
        place = f", {os.path.basename(own[-1].filename)}:{own[-1].lineno}" if own else ""
        reason = f"{type(error).__name__}{f': {error}' if str(error) else ''}{place}"
        first = FaultyPacket(0, number, pkt.ts, pkt.wirelen, "", "", pkt.proto, bytes(pkt.frame._data[:256]))
        fault = Fault(self.plugin.name, reason, 1, first)
        self.faults[reason] = self.faults[reason] + fault if reason in self.faults else fault


def _packets(plugin: BoundPlugin, frames: Frames, take: Callable[[Packet, int], None]) -> None:
    """Call `take(packet, number)` for each frame, which comes out of a ring as in a run."""
    read = packet_reader()
    with Rig(chain_of(), rss_of(plugin, 1)) as rig:
        (worker,), row = rig.workers, 0
        while row < len(frames):
            behind = rig.deliver(frames, row)
            for number in range(row, behind):
                desc = worker.ring.desc_address + number % SLOTS * abi.DESC_SIZE
                take(read(desc, worker.ring.block_address), number)
            worker.chain.run(worker.ctx, behind - row)
            row = behind


def interpret(plugin: BoundPlugin, frames: Frames) -> Result:
    """What the plugin makes of the frames, by one worker. Its exceptions are faults, as in a run.

    Raises UsageError for a filter that returns neither PASS nor DROP, and for a plugin with a filter of its own.
    """
    if plugin.program is not None:
        raise UsageError(f"plugin {plugin.name}: @plugin(filter=...) cannot be interpreted: leave it out")
    course = _Course(plugin)
    _packets(plugin, frames, course.take)
    states = tuple(read_shard(plugin.layout, course.shards[number]) for number in sorted(course.shards))
    verdicts = Verdicts(*(course.counts[name] for name in ("passed", "dropped", "faulted")))
    faults = sorted(course.faults.values(), key=lambda fault: -fault.packets)
    return Result(plugin, states, verdicts, tuple(faults))


def interpret_plugin(plugin: str | type, packets: Packets, params: Mapping[str, Any] | None = None) -> Result:
    """As `run_plugin`, by one queue, with the plugin's functions called as plain Python: `print`, `breakpoint()` work.

    Raises UsageError, CaptureFileError, LinkTypeError, TypeError.
    """
    return interpret(settled(resolve(plugin, params or {}), 1), frames_of(packets))
