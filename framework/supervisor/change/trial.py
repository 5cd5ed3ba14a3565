"""A new version is tried before a run takes it: its own compiled chain over the bundled traffic, in one process."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from zcframe.framework.chain.build import Chain
from zcframe.framework.chain.handover import HandOver, flow_places
from zcframe.framework.errors import PluginCompileError
from zcframe.framework.outputs.output import Output
from zcframe.framework.rss.config import RssConfig
from zcframe.framework.sources.capture import batches
from zcframe.framework.sources.capture.records import LENGTH, RecordTable
from zcframe.framework.sources.trace import bundled_trace
from zcframe.framework.supervisor.reports import Reports
from zcframe.framework.supervisor.writers import Writers

from .rig import Rig

# What does not return ends by SIGPROF, after so much time of a CPU.
PATIENCE_S: Final = 20.0


@contextmanager
def bounded() -> Iterator[None]:
    """While the block runs, this process ends by SIGPROF when the block takes PATIENCE_S of a CPU."""
    signal.setitimer(signal.ITIMER_PROF, PATIENCE_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


@dataclass(frozen=True)
class Batch:
    """Frames in memory, see rig.Traffic."""

    data: np.ndarray[Any, np.dtype[np.uint8]]
    records: RecordTable

    def __len__(self) -> int:
        return len(self.records)


def _cut(records: RecordTable) -> RecordTable:
    """The same frames, each cut short at random, as a snapshot length does."""
    found = records.copy()
    found[:, LENGTH] = np.random.default_rng(1).integers(1, np.maximum(found[:, LENGTH], 1) + 1)
    return found


def _feed(rig: Rig) -> int:
    """All bundled traffic, whole and cut short; how many frames that were."""
    total = 0
    for data, records in batches(str(bundled_trace())):
        for table in (records.copy(), _cut(records)):
            rig.feed(Batch(data, table))
            total += len(table)
    return total


def try_out(chain: Chain, fields: str, outputs: Sequence[tuple[Output, HandOver]]) -> None:
    """Raises PluginCompileError, with the author's line, for a plugin that faults on this traffic, or has no report.

    fields: what is hashed. outputs: for which the chain was compiled; nothing is written to them.
    """
    rss = RssConfig.make("symmetric", fields, 1)
    with closing(Writers(outputs, 1, live=True, waits=False)) as writers, Rig(chain, rss, writers.rings) as rig:
        total = _feed(rig)
        for fault in rig.faults():
            raise PluginCompileError(
                f"plugin {fault.plugin}: {fault.packets} of {total} packets of the bundled traffic faulted:"
                f" {fault.reason}; guard the filter against such packets"
            )
        errors = _report_errors(rig)
        if errors:
            raise PluginCompileError(errors[0])


def _report_errors(rig: Rig) -> list[str]:
    """A line for each plugin whose merge, report or lines fail."""
    layouts, chain = rig.memory.layouts, rig.chain
    reports = Reports(chain.plugins, layouts, flow_places(len(chain.plugins), chain.outputs))
    shards = [(k, shard) for k, layout in enumerate(layouts) for shard in range(layout.shards)]
    for shard in shards:
        rig.memory.copy(*shard)
    reports.read(rig.memory, shards, 0)
    reports.make()
    return reports.errors
