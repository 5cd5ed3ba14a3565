"""The workers: one process a queue, replaced when it dies, given up when it dies again and again."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

import psutil

from zcframe.framework.chain.build import Chain
from zcframe.framework.chain.workspace import STOP_DRAIN, STOP_NOW
from zcframe.framework.child import cause_of
from zcframe.framework.errors import CrashLoopError
from zcframe.framework.ring import ReceiveRing
from zcframe.framework.state.shared import StateMemory
from zcframe.framework.stats import RssCheck
from zcframe.framework.worker.loop import work
from zcframe.framework.worker.post import Post

# A worker is stuck when it has burnt so much CPU time inside one plugin on one packet.
STUCK_CPU_S = 2.0
# Deaths in a row, each within GRACE_S of the start and hardly a packet later, that make a crash loop.
CRASHES = 5
FOREIGN_KILLS = 50
GRACE_S = 1.0
GETTING_ON = 64
# So long may the workers take to map their rings; packets come then, ready or not.
START_S = 5.0
START_NAP_S = 500e-6

Settle = Callable[[int | None], None]


@dataclass
class Member:
    """One worker and what is known of its predecessors."""

    post: Post
    cpu: int | None
    process: multiprocessing.process.BaseProcess | None = None
    pidfd: int = -1
    pid: int = 0
    restarts: int = 0
    died_ns: int = 0
    longest_restart_ns: int = 0
    started: float = 0.0
    finished: bool = False
    futile: int = 0
    death_at: tuple[int, int] = (-1, -1)
    stuck: bool = False
    seen: tuple[int, int] = (-1, 0)
    seen_cpu: float = 0.0
    warnings: list[str] = field(default_factory=list)

    def restart_ms(self) -> float:
        """The longest time so far from a worker's end until its successor could take packets."""
        if self.died_ns:
            self.longest_restart_ns = max(self.longest_restart_ns, self.post.ready_ns - self.died_ns)
        return self.longest_restart_ns / 1e6


class Crew:
    """All workers of a run. `settle(cpu)` is called in each new worker: it pins it, and drops what it does not need."""

    def __init__(
        self,
        rings: Sequence[ReceiveRing],
        chain: Chain,
        state: StateMemory,
        cpus: Sequence[int | None],
        settle: Settle,
    ) -> None:
        self.chain, self.state, self.settle = chain, state, settle
        places = enumerate(zip(rings, cpus, strict=True))
        self.members = [Member(Post(ring, chain.codes, number), cpu) for number, (ring, cpu) in places]
        self._fork = multiprocessing.get_context("fork")

    def spawn(self, member: Member, skip: int = 0) -> None:
        """Fork a worker for the member's queue; it takes over where its predecessor ended."""
        process = self._fork.Process(
            target=work,
            args=(member.post, self.chain, self.state, skip, os.getpid(), partial(self.settle, member.cpu)),
            name=f"zc-rx-{member.post.number}",
            daemon=True,
        )
        process.start()
        assert process.pid is not None
        member.process, member.pid, member.pidfd = process, process.pid, os.pidfd_open(process.pid)
        member.started, member.finished, member.stuck = time.monotonic(), False, False
        member.seen = (-1, 0)

    def spawn_all(self) -> None:
        """Fork all workers and wait until each can take packets, or has died."""
        for member in self.members:
            member.post.pause()
            self.spawn(member)
        deadline = time.monotonic() + START_S
        while not all(member.post.parked or _has_ended(member) for member in self.members):
            if time.monotonic() > deadline:
                break
            time.sleep(START_NAP_S)
        for member in self.members:
            member.post.resume()

    def check(self) -> RssCheck | None:
        """What all workers verified so far; None where they were not told to."""
        found = [member.post.verifier.result() for member in self.members if member.post.verifier is not None]
        return sum(found, RssCheck()) if found else None

    @property
    def finished(self) -> bool:
        return all(member.finished for member in self.members)

    def plugin_name(self, stage: int) -> str:
        return self.chain.plugins[stage - 1].name if 0 < stage <= len(self.chain.plugins) else ""

    def reap(self, member: Member, *, respawn: bool = True) -> None:
        """The member's process has ended: note why, and replace it unless it was done. Raises CrashLoopError."""
        assert member.process is not None
        died_ns = time.monotonic_ns()
        member.process.join()
        exit_code = member.process.exitcode
        member.process.close()
        os.close(member.pidfd)
        member.process, member.pidfd = None, -1
        if exit_code == 0 or not respawn:
            member.finished = True
            return
        skip = self._judge(member, exit_code)
        member.restart_ms()
        member.died_ns = died_ns
        member.restarts += 1
        self.spawn(member, skip)

    def _judge(self, member: Member, exit_code: int | None) -> int:
        """Verdict code for the packet that killed the worker, 0 where the packet is to be tried (again)."""
        done, stage = member.post.done, member.post.stage
        plugin = self.plugin_name(stage)
        where = f" in {'the prefetch of ' if member.post.prefetching else ''}plugin {plugin}" if plugin else ""
        cause = f"stuck{where} for {STUCK_CPU_S:g} s of CPU time" if member.stuck else cause_of(exit_code) + where
        text = f"worker of queue {member.post.ring.queue} (pid {member.pid}) was {cause} at packet {done}"
        foreign = exit_code == -signal.SIGKILL and not member.stuck
        self._count_futile(member, done, cause, foreign=foreign)
        # Whoever is killed from outside did no wrong; it may have got on between the order to kill it and its death.
        guilty = member.seen == (done, stage) if member.stuck else member.death_at == (done, stage)
        poison = stage > 0 and not foreign and not member.post.prefetching and guilty
        member.death_at = (done, 0 if foreign else stage)
        outcome = (
            f"the packet is skipped and counted as faulted by {plugin}" if poison else "its successor goes on there"
        )
        member.warnings.append(f"{text}; {outcome}")
        return len(self.chain.plugins) + stage if poison else 0

    def _count_futile(self, member: Member, done: int, cause: str, *, foreign: bool) -> None:
        quick = time.monotonic() - member.started < GRACE_S or member.stuck
        member.futile = member.futile + 1 if quick and done - member.death_at[0] < GETTING_ON else 1
        if member.futile >= (FOREIGN_KILLS if foreign else CRASHES):
            raise CrashLoopError(
                f"the worker of queue {member.post.ring.queue} died {member.futile} times at packet {done} and does not"
                f" get on: {cause}; mend or leave out what is named"
            )

    def kill_stuck(self) -> None:
        """Kill workers that have been in one plugin with one packet for STUCK_CPU_S of CPU time."""
        for member in self.members:
            if member.process is None or member.stuck:
                continue
            at = member.post.done, member.post.stage
            if not at[1]:
                member.seen = at
                continue
            cpu = _cpu_seconds(member.pid)
            if at != member.seen:
                member.seen, member.seen_cpu = at, cpu
            elif cpu - member.seen_cpu >= STUCK_CPU_S:
                member.stuck = True
                os.kill(member.pid, signal.SIGKILL)

    def stop(self, how: int) -> None:
        for member in self.members:
            if not member.finished:
                member.post.stop(how)

    def drain(self) -> None:
        self.stop(STOP_DRAIN)

    def halt(self) -> None:
        self.stop(STOP_NOW)

    def end(self, patience: float) -> None:
        """End every worker now: by order, after `patience` seconds by SIGKILL; a killed one's packet is rolled back."""
        self.halt()
        deadline = time.monotonic() + patience
        for member in self.members:
            if member.process is None:
                if not member.finished:
                    self._settle(member)
                continue
            member.process.join(max(0.0, deadline - time.monotonic()))
            if member.process.is_alive():
                member.process.kill()
                member.process.join()
            killed = member.process.exitcode != 0
            self.reap(member, respawn=False)
            if killed:
                self._settle(member)

    def _settle(self, member: Member) -> None:
        """Let a last worker, under the order to stop, roll back what its predecessor left half done."""
        self.spawn(member)
        assert member.process is not None
        member.process.join(5.0)
        if member.process.is_alive():
            member.process.kill()
        self.reap(member, respawn=False)

    def close(self) -> None:
        """Kill whoever is left and give the memory back."""
        for member in self.members:
            if member.process is not None:
                member.process.kill()
                self.reap(member, respawn=False)
            member.post.close()


def _has_ended(member: Member) -> bool:
    return member.process is None or not member.process.is_alive()


def _cpu_seconds(pid: int) -> float:
    try:
        times = psutil.Process(pid).cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    return float(times.user)
