"""A member of the crew: the worker of one queue, and what is known of its predecessors."""

from __future__ import annotations

import signal
import time
from dataclasses import dataclass, field

from zcframe.framework.chain.build import Chain
from zcframe.framework.state.shared import StateMemory
from zcframe.framework.stats import Events
from zcframe.framework.worker.post import Post

from .deaths import Death, Deaths
from .process import Process
from .refusals import Refusals
from .watchdog import Watchdog


@dataclass(frozen=True)
class Version:
    """What a worker runs: the chain, and the memory of its plugins' state."""

    chain: Chain
    state: StateMemory


@dataclass
class Member:
    """The worker of one queue.

    process: None between a worker's end and its successor's start. finished: no successor is needed. pid: of the last
    worker. skip: the verdict code with which its successor is to begin. refusals: of the successor, so far. version: of
    this worker, and of its successor, unless it is leaving: then that has the crew's. taken: packets that workers of
    all versions before had finished.
    """

    post: Post
    cpu: int | None
    version: Version
    leaving: bool = False
    taken: int = 0
    process: Process | None = None
    pid: int = 0
    skip: int = 0
    started: float = 0.0
    finished: bool = False
    watchdog: Watchdog = field(default_factory=Watchdog)
    deaths: Deaths = field(default_factory=Deaths)
    refusals: Refusals = field(default_factory=Refusals)
    restarts: int = 0
    died_ns: int = 0
    longest_restart_ns: int = 0
    warnings: Events = field(default_factory=Events)

    @property
    def alive(self) -> bool:
        return self.process is not None and self.process.alive

    def reap(self) -> int | None:
        """Wait for the end of the process; the exit code, negative for a signal, None where it is not known."""
        assert self.process is not None
        process, self.process = self.process, None
        return process.reap()

    def death(self, exit_code: int | None) -> Death:
        """How and where the worker that was reaped last died."""
        packet, stage, stuck = self.post.packet, self.post.stage, self.watchdog.stuck
        return Death(
            packet=packet,
            stage=stage,
            prefetching=self.post.prefetching,
            stuck=stuck,
            seen_there=self.watchdog.seen == (packet, stage),
            foreign=exit_code == -signal.SIGKILL and not stuck,
            lived_s=time.monotonic() - self.started,
        )

    def note_restart(self, died_ns: int) -> None:
        """A worker died at this time and is about to be replaced."""
        self.restart_ms()
        self.died_ns = died_ns
        self.restarts += 1

    def restart_ms(self) -> float:
        """The longest time so far from a worker's end until its successor could take packets."""
        if self.died_ns:
            self.longest_restart_ns = max(self.longest_restart_ns, self.post.ready_ns - self.died_ns)
        return self.longest_restart_ns / 1e6
