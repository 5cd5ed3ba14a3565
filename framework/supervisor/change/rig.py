"""A run in one process: the software NIC's delivery into rings, the compiled chain over them, state and faults out.

Rings, posts, state and workers are those of a run, so that what is found here is what a run does. Only processes are
left out: the caller delivers and drains in turns. All memory is anonymous, and goes with the rig.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Protocol

import numpy as np

from zcframe.framework.chain.build import Chain
from zcframe.framework.chain.no_ip import state_layouts
from zcframe.framework.outputs.writer.rings import OutputRings
from zcframe.framework.ring import Ring, Undo
from zcframe.framework.rss.config import RssConfig
from zcframe.framework.rss.toeplitz import toeplitz_tables
from zcframe.framework.sources.capture.records import RecordTable
from zcframe.framework.sources.soft82576.deliver import deliver, new_places
from zcframe.framework.sources.soft82576.queues import queue_table
from zcframe.framework.state.journal import MAX_SECRETS
from zcframe.framework.state.merge import State
from zcframe.framework.state.shared import StateMemory
from zcframe.framework.stats import Fault
from zcframe.framework.supervisor.faults import read_faults
from zcframe.framework.worker.loop import Worker
from zcframe.framework.worker.post import Post

SLOTS: Final = 1024
# A run takes random ones. Here two runs are to lose the same keys of a table that is full.
SECRETS: Final = bytes(range(1, 8 * MAX_SECRETS + 1))


class Traffic(Protocol):
    """Frames in memory. data: uint8, all frames' bytes. records: int64, shape (n, COLUMNS), see capture/records.py."""

    @property
    def data(self) -> np.ndarray[Any, np.dtype[np.uint8]]: ...

    @property
    def records(self) -> RecordTable: ...

    def __len__(self) -> int: ...


class Rig:
    """A chain over the rings that `rss` spreads packets to. `feed(frames)`, then `states(k)`, `ledger()`, `faults()`.

    outputs: memory of those for which it was compiled, which do not wait for room.
    Raises RingError where memory does not suffice.
    """

    def __init__(self, chain: Chain, rss: RssConfig, outputs: Sequence[OutputRings] = ()) -> None:
        self.chain = chain
        self._tables = toeplitz_tables(rss.key)
        # Behind the 128 buckets: queue of frames without a hash.
        self._reta = np.array([*rss.reta, 0], np.int64)
        self._fields, self._places = rss.field_mask, new_places()
        with Undo() as undo:
            self.memory = undo.closing(StateMemory(state_layouts(chain.plugins, rss.queues, chain.outputs)))
            self.memory.secrets = SECRETS
            rings = [undo.closing(Ring(queue, SLOTS)) for queue in range(rss.queues)]
            ends = [undo.closing(ring.producer()) for ring in rings]
            self.posts = [undo.closing(Post(ring, chain.codes, ring.queue)) for ring in rings]
            self.workers = [undo.closing(Worker(post, chain, self.memory, 0, outputs)) for post in self.posts]
            self._queues = queue_table(ends)
            self._undo = undo.pop_all()

    def feed(self, frames: Traffic) -> None:
        """Deliver all frames, and have the chain take them."""
        row = 0
        while row < len(frames):
            row = self.deliver(frames, row)
            self.drain()

    def deliver(self, frames: Traffic, row: int = 0) -> int:
        """Bring frames from `row` on into the rings, until one finds no room; returns the row of that one."""
        where = (frames.data.ctypes.data, frames.records, row, len(frames), 0)
        spread = (self._tables.ctypes.data, self._fields, self._reta)
        return int(deliver(*where, *spread, self._queues, self._places, True))

    def drain(self) -> None:
        """Have the chain take what is in the rings."""
        for worker in self.workers:
            worker.drain()

    def finish(self) -> None:
        """End the run: last ticks."""
        for worker in self.workers:
            worker.finish()

    def states(self, k: int = 0) -> list[State]:
        """The state of every shard of plugin k that was written to."""
        layout = self.memory.layouts[k]
        copied = [shard for shard in range(layout.shards) if self.memory.copy(k, shard) is not None]
        return [state for state in (self.memory.read(k, shard) for shard in copied) if state is not None]

    def ledger(self) -> np.ndarray[Any, np.dtype[np.uint64]]:
        """uint64[2 + codes] of all queues together, as Post.ledger has it."""
        total: np.ndarray[Any, np.dtype[np.uint64]] = np.sum([post.ledger() for post in self.posts], axis=0)
        return total

    def faults(self) -> tuple[Fault, ...]:
        """What plugins raised, the most frequent first."""
        return read_faults(self.posts, self.chain.plugins)

    def close(self) -> None:
        """Give all memory back."""
        self._undo.close()

    def __enter__(self) -> Rig:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
