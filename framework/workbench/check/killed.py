"""A worker that is killed within bursts, over and over, and whose successors undo and repeat them."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from numba.core import types

from zcframe.framework.chain.plugin import PASS
from zcframe.framework.chain.plugin import plugin as declare
from zcframe.framework.chain.workspace import BURST
from zcframe.framework.child import fork_child
from zcframe.framework.state.declare import Array
from zcframe.framework.state.kinds import u64
from zcframe.framework.supervisor.change.rig import Rig
from zcframe.framework.workbench.frames import Frames
from zcframe.framework.workbench.trial import Result, chain_of, resolve, result_of, rss_of, settled
from zcframe.framework.worker.loop import BUDGET, Worker
from zcframe.framework.worker.recover import recover

from .subject import Subject

PROCESS_NAME: Final = "zc-check"
SIGNAL: Final = int(signal.SIGUSR1)
EVERY: Final = 97

raise_signal: Any = types.ExternalFunction("raise", types.int32(types.int32))


@declare(per="worker")
class Killer:
    """Ends the process at each EVERYth packet, unless the signal is ignored."""

    seen = Array(u64, 1)

    @staticmethod
    def filter(pkt, state, params):  # type: ignore[no-untyped-def]
        state.seen[0] += 1
        if state.seen[0] % EVERY == 0:
            raise_signal(SIGNAL)
        return PASS


@contextmanager
def _spared() -> Iterator[None]:
    """Ignore the signal in this process."""
    before = signal.signal(SIGNAL, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(SIGNAL, before)


def _work(worker: Worker) -> None:
    signal.signal(SIGNAL, signal.SIG_DFL)
    worker.chain.run(worker.ctx, BUDGET)


def _killed(worker: Worker) -> bool:
    """Whether a process that takes what is in the ring dies of it. Raises ProcessError where there can be none."""
    pid = fork_child(PROCESS_NAME, lambda: _work(worker))
    _, status = os.waitpid(pid, 0)
    return os.WIFSIGNALED(status) and os.WTERMSIG(status) == SIGNAL


def run_killed(subject: Subject, frames: Frames) -> tuple[Result, int]:
    """(what the plugin made of the frames, how often its worker was killed). This process takes over each time."""
    killer, plugin = settled(resolve(Killer, {}), 1), subject.bound()
    kills, row = 0, 0
    with _spared(), Rig(chain_of(killer, plugin), rss_of(plugin, 1)) as rig:
        (worker,) = rig.workers
        while row < len(frames):
            row = rig.deliver(frames, row)
            while _killed(worker):
                kills += 1
                recover(worker.ctx, rig.chain.codes, 0)
                worker.chain.run(worker.ctx, 2 * BURST)
            worker.drain()
        rig.finish()
        return result_of(rig, 1), kills
