"""The books of a run: each queue's ledger from the ring's header and the worker's memory, and the plugins' reports."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from typing import Any

from zcframe.framework import abi
from zcframe.framework.chain.bind import BoundPlugin
from zcframe.framework.chain.build import Chain
from zcframe.framework.ring import Mapping as MemoryMapping
from zcframe.framework.ring import Ring
from zcframe.framework.state.layout import StateLayout
from zcframe.framework.state.memory import StateMemory
from zcframe.framework.state.merge import State, empty_state, merge_states, read_shard
from zcframe.framework.stats import Ledger, QueueStats

from .crew import Crew, Member

log = logging.getLogger(__name__)

PAUSE_PATIENCE_S = 0.05


class RingBooks:
    """The producer's counters of one ring, read-only."""

    def __init__(self, ring: Ring) -> None:
        self._mapping: MemoryMapping = ring.observer()
        self._header = self._mapping.view(abi.RING_HEADER)
        self.slots = ring.slots

    def read(self, name: str) -> int:
        return int(self._header[name][0])

    def close(self) -> None:
        del self._header
        self._mapping.close()


def _by_name(names: Sequence[str], counts: Sequence[int]) -> dict[str, int]:
    return {name: int(count) for name, count in zip(names, counts, strict=True)}


def queue_stats(member: Member, books: RingBooks, chain: Chain, *, source_died: bool) -> QueueStats:
    """One queue's row. `source_died`: frames that the NIC had counted and not yet published are lost, a nic_drop.

    Read in the direction of the packets' travel reversed: what was delivered had arrived before, so that no moment
    shows more delivered than arrived.
    """
    names = [plugin.name for plugin in chain.plugins]
    delivered, wire, *codes = (int(n) for n in member.post.ledger())
    unread = (books.read("write") - delivered) & 0xFFFFFFFF
    ring_full, nic_drop, truncated = (books.read(name) for name in ("ring_full", "nic_drop", "truncated"))
    arrived = books.read("arrived")
    unpublished = arrived - delivered - unread - ring_full - nic_drop
    dropped = _by_name(names, codes[1 : len(names) + 1])
    faulted = _by_name(names, codes[len(names) + 1 :])
    ledger = Ledger(
        arrived=arrived,
        delivered=delivered,
        nic_drop=nic_drop + (unpublished if source_died else 0),
        ring_full=ring_full,
        in_flight=unread + (0 if source_died else unpublished),
        accepted=codes[0],
        faulted=sum(faulted.values()),
        truncated=truncated,
        dropped_by={name: count for name, count in dropped.items() if count},
        faulted_by={name: count for name, count in faulted.items() if count},
        at_least=bool(books.read("flags") & abi.RING_AT_LEAST),
    )
    fill = min(unread / books.slots, 1.0)
    return QueueStats(member.post.queue, member.cpu, member.pid, member.restarts, delivered, wire, fill, ledger)


def _shards_of(layout: StateLayout, queue: int, reta: Sequence[int]) -> list[int]:
    """The shards of a plugin that the worker of `queue` writes."""
    if layout.per_worker:
        return [queue]
    owned = [bucket for bucket, owner in enumerate(reta) if owner == queue]
    return [*owned, abi.RETA_SIZE] if queue == 0 else owned


def _stand_still(member: Member) -> bool:
    """Have the worker stand between two bursts; False where it does not in time (busy, or being replaced)."""
    member.post.pause()
    deadline = time.monotonic() + PAUSE_PATIENCE_S
    while not member.post.parked and member.process is not None:
        if time.monotonic() > deadline:
            return False
        time.sleep(50e-6)
    return True


class Reports:
    """Every plugin's report, from the shards of all workers."""

    def __init__(self, plugins: Sequence[BoundPlugin], state: StateMemory, reta: Sequence[int]) -> None:
        self.plugins, self._state, self._reta = plugins, state, reta
        self.errors: list[str] = []
        self._kept: dict[tuple[int, int], list[State]] = {}

    def _read(self, queue: int) -> None:
        for k, plugin in enumerate(self.plugins):
            shards = (self._state.copy(k, shard) for shard in _shards_of(plugin.layout, queue, self._reta))
            self._kept[k, queue] = [read_shard(plugin.layout, shard) for shard in shards if shard is not None]

    def read_live(self, crew: Crew) -> None:
        """Copy the state of each worker while it stands still; of one that does not, the last copy stays."""
        for member in crew.members:
            still = member.finished or _stand_still(member)
            try:
                if still:
                    self._read(member.post.queue)
            finally:
                if not member.finished:
                    member.post.resume()

    def read_final(self, queues: int) -> None:
        """Copy all state; the workers have ended."""
        for queue in range(queues):
            self._read(queue)

    def make(self) -> tuple[dict[str, Mapping[str, Any]], dict[str, list[str]]]:
        """(report by plugin name, lines by plugin name) of the states last read."""
        self.errors = []
        reports: dict[str, Mapping[str, Any]] = {}
        lines: dict[str, list[str]] = {}
        for k, plugin in enumerate(self.plugins):
            # By queue, whichever worker could be read first.
            states = [state for owner, queue in sorted(self._kept) if owner == k for state in self._kept[owner, queue]]
            reports[plugin.name] = self._report(plugin, states)
            if plugin.declared.lines and "error" not in reports[plugin.name]:
                lines[plugin.name] = self._guarded(plugin, "lines", plugin.declared.lines, reports[plugin.name]) or []
        return reports, lines

    def _report(self, plugin: BoundPlugin, states: list[State]) -> Mapping[str, Any]:
        merge = plugin.declared.merge or merge_states
        merged = self._guarded(plugin, "merge", merge, states or [empty_state(plugin.layout)])
        report = plugin.declared.report or _plain
        found = None if merged is None else self._guarded(plugin, "report", report, merged, plugin.params_tuple())
        return found if found is not None else {"error": self.errors[-1]}

    def _guarded(self, plugin: BoundPlugin, what: str, function: Any, *args: Any) -> Any:
        """Call a plugin's own Python; what it raises becomes a line that names it."""
        try:
            wanted = function.__code__.co_argcount
            result = function(*args[:wanted])
            if result is None:
                raise TypeError("returned None")
            return result
        except Exception as error:
            line = error.__traceback__.tb_next.tb_lineno if error.__traceback__ and error.__traceback__.tb_next else 0
            where = f"{function.__code__.co_filename}:{line or function.__code__.co_firstlineno}"
            self.errors.append(f"plugin {plugin.name}: {what}() failed: {type(error).__name__}: {error} ({where})")
            return None


def _plain(merged: Any, params: Any) -> dict[str, Any]:
    """The report of a plugin that has none of its own: its merged state, tables by their first rows."""
    shown: dict[str, Any] = {}
    for member in merged.layout.members:
        values = getattr(merged, member.name)
        if values.dtype.names:
            rows = [dict(zip(values.dtype.names, row.tolist(), strict=True)) for row in values[:100]]
            shown[member.name] = {"count": len(values), "lost": merged.lost[member.name], "rows": rows}
        else:
            shown[member.name] = values.tolist()
    return shown
