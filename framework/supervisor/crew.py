"""The workers: one process a queue, replaced when it dies, given up when it dies again and again."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from functools import partial

from zcframe.framework.chain.build import Chain
from zcframe.framework.chain.workspace import STOP_DRAIN, STOP_NONE, STOP_NOW
from zcframe.framework.child import cause_of
from zcframe.framework.errors import CrashLoopError, ProcessError, refusal
from zcframe.framework.outputs.writer.rings import OutputRings
from zcframe.framework.ring import ReceiveRing
from zcframe.framework.sandbox import Walls
from zcframe.framework.stats import RssCheck
from zcframe.framework.worker.loop import work
from zcframe.framework.worker.post import Post

from .deaths import Death
from .member import Member, Version
from .process import Process
from .refusals import PATIENCE_S, Refusals
from .standstill import shards_of
from .watchdog import STUCK_CPU_S, Watchdog

# Workers may take this long to map their rings; after that packets flow, whether all are ready or not.
START_S = 5.0
START_NAP_S = 500e-6
# A worker that only rolls back needs milliseconds, unless the machine stands still. Where the system refuses it, it is
# asked again for REFUSED_S.
ROLL_BACK_S = 30.0
REFUSED_S = 5.0
ROLL_BACK_NAP_S = 0.05

Confine = Callable[[int | None], Walls]


class Crew:
    """All workers of a run. Each new worker calls `confine(cpu)`, before it takes packets.

    version: what workers run that are not told to leave for another one, see `replace()`. live: whether packets come as
    time goes by.
    """

    def __init__(
        self,
        rings: Sequence[ReceiveRing],
        version: Version,
        cpus: Sequence[int | None],
        confine: Confine,
        outputs: Sequence[OutputRings] = (),
        *,
        live: bool = False,
    ) -> None:
        self.version, self.confine, self.outputs = version, confine, outputs
        self._ordered = STOP_NONE
        # Whatever is filtered later, there is a code for it.
        codes = 2 * len(version.chain.plugins) + 2
        places = enumerate(zip(rings, cpus, strict=True))
        self.members = [Member(Post(ring, codes, number, live=live), cpu, version) for number, (ring, cpu) in places]

    @property
    def chain(self) -> Chain:
        return self.version.chain

    # --- start

    def spawn_all(self) -> None:
        """Fork all workers and wait until each can take packets, or has died. Raises ProcessError."""
        for member in self.members:
            member.post.pause()
            self._spawn_first(member)
        deadline = time.monotonic() + START_S
        while not all(member.post.parked or not member.alive for member in self.members):
            if time.monotonic() > deadline:
                break
            time.sleep(START_NAP_S)
        for member in self.members:
            member.post.resume()

    def _spawn_first(self, member: Member) -> None:
        try:
            self.spawn(member)
        except (OSError, MemoryError) as error:
            which = f"worker {member.post.number + 1} of {len(self.members)}"
            raise ProcessError(f"cannot start {which}: {refusal(error)}") from error

    def spawn(self, member: Member) -> None:
        """Fork a worker for the member's queue; it takes over where its predecessor ended. Raises OSError."""
        confine, version = partial(self.confine, member.cpu), member.version
        body = partial(work, member.post, version.chain, version.state, member.skip, self.outputs, os.getpid(), confine)
        member.process = Process(f"zc-rx-{member.post.number}", body)
        member.pid, member.skip, member.refusals = member.process.pid, 0, Refusals()
        member.started, member.finished, member.watchdog = time.monotonic(), False, Watchdog()

    # --- watch

    @property
    def finished(self) -> bool:
        return all(member.finished for member in self.members)

    @property
    def packets(self) -> int:
        """Packets that all workers have finished, and those that the filter refused in front of their rings."""
        return sum(member.post.done + member.post.ring.refused[0] for member in self.members)

    def check(self) -> RssCheck | None:
        """What all workers verified so far; None without --verify-rss."""
        found = [member.post.verifier.result() for member in self.members if member.post.verifier is not None]
        return sum(found, RssCheck()) if found else None

    def kill_stuck(self) -> None:
        """Kill workers that do not get out of a plugin."""
        for member in self.members:
            if member.process is not None and member.watchdog.look(member.post, member.pid):
                member.process.kill()

    def reap(self, member: Member) -> None:
        """The member's process has ended: replace it, unless it was done. Raises CrashLoopError, ProcessError."""
        died_ns = time.monotonic_ns()
        exit_code = member.reap()
        if exit_code == 0:
            member.finished = not member.leaving
            if member.leaving:
                self._succeed(member)
            return
        member.skip = self._judge(member, exit_code)
        member.note_restart(died_ns)
        self._replace(member)

    # --- replace

    def replace(self, member: Member) -> None:
        """Have the worker end behind its burst; its successor runs the crew's version, and begins at the next packet.

        One that dies before it has ended has a successor of its own version, which undoes its burst, and leaves.
        """
        member.leaving = True
        member.post.stop(STOP_NOW)

    def _succeed(self, member: Member) -> None:
        """A worker has left as it was told. Raises ProcessError where the system refuses its successor for long."""
        before, member.version, member.leaving = member.version, self.version, False
        member.taken = member.post.done
        if before.state is not self.version.state:
            self.version.state.take_over(before.state, partial(shards_of, post=member.post))
        member.post.order(self._ordered)
        self._replace(member)

    def waiting(self, now: float) -> list[Member]:
        """Members without a worker, for which the system is to be asked again by `now`."""
        return [member for member in self.members if member.refusals.any and member.refusals.again <= now]

    def _replace(self, member: Member) -> None:
        """Fork a successor, or note that the system refused it. Raises ProcessError where it has done so for long."""
        try:
            self.spawn(member)
        except (OSError, MemoryError) as error:
            text = f"the worker of queue {member.post.ring.queue} cannot be replaced"
            if member.refusals.add():
                more = f"it is tried again for {PATIENCE_S:g} s, in which its frames wait in the ring"
                member.warnings.append(f"{text} now: {refusal(error)}; {more}")
            elif member.refusals.enough:
                raise ProcessError(f"{text}, for {PATIENCE_S:g} s: {refusal(error)}") from error

    def try_again(self, member: Member) -> bool:
        """Ask the system again for a successor; whether there is one now. Raises ProcessError."""
        self._replace(member)
        return member.process is not None

    def _judge(self, member: Member, exit_code: int | None) -> int:
        """Verdict code for the packet that killed the worker; 0 where its successor is to try the packet again."""
        death, queue = member.death(exit_code), member.post.ring.queue
        plugin = self._plugin_name(death.stage)
        cause = _cause_in_words(death, exit_code, plugin)
        poison = member.deaths.add(death)
        if member.deaths.loops(death):
            raise CrashLoopError(
                f"the worker of queue {queue} died {member.deaths.futile} times at packet {death.packet} and does not"
                f" get on: {cause}; mend or leave out what is named"
            )
        skipped = f"the packet is skipped and counted as faulted by {plugin}"
        outcome = skipped if poison else "its successor goes on there"
        text = f"worker of queue {queue} (pid {member.pid}) was {cause} at packet {death.packet}"
        member.warnings.append(f"{text}; {outcome}")
        return len(self.chain.plugins) + death.stage if poison else 0

    def _plugin_name(self, stage: int) -> str:
        return self.chain.plugins[stage - 1].name if 0 < stage <= len(self.chain.plugins) else ""

    # --- stop

    def drain(self) -> None:
        """Order every worker to end when its ring is empty."""
        self._order(STOP_DRAIN)

    def _order(self, how: int) -> None:
        self._ordered = how
        for member in self.members:
            if not member.finished and not member.leaving:
                member.post.stop(how)

    def end(self, patience: float) -> None:
        """Order every worker to end now, and kill those that still run after `patience` seconds.

        Raises ProcessError, behind the end of all, where a process that was needed for it was refused, or failed.
        """
        self._order(STOP_NOW)
        deadline = time.monotonic() + patience
        left = [member for member in self.members if not member.finished]
        half_done = [member for member in left if self._end_process(member, deadline) != 0]
        until = time.monotonic() + REFUSED_S
        refused = [text for member in half_done if (text := self._roll_back(member, until))]
        for member in left:
            member.finished, member.refusals = True, Refusals()
        if refused:
            raise ProcessError(refused[0])

    def _end_process(self, member: Member, deadline: float) -> int | None:
        """Exit code of the member's process, which is killed at the deadline; None where it had died already."""
        if member.process is None:
            return None
        if not member.process.join(max(0.0, deadline - time.monotonic())):
            member.process.kill()
        return member.reap()

    def _roll_back(self, member: Member, until: float) -> str:
        """Let a last worker, under the order to stop, roll back the packet that its predecessor left half done.

        Returns "", or a line where the system refuses that worker until the time `until`, or where it fails.
        """
        half = f"queue {member.post.ring.queue}: its last packet may be half counted"
        while True:
            try:
                self.spawn(member)
            except (OSError, MemoryError) as error:
                if time.monotonic() > until:
                    return f"{half}: {refusal(error)}"
                time.sleep(ROLL_BACK_NAP_S)
            else:
                code = self._end_process(member, time.monotonic() + ROLL_BACK_S)
                return f"{half}: the worker that was to roll it back was {cause_of(code)}" if code else ""

    def close(self) -> None:
        """Kill the workers that are left and give the memory back."""
        for member in self.members:
            if member.process is not None:
                member.process.kill()
                member.reap()
            member.post.close()


def _cause_in_words(death: Death, exit_code: int | None, plugin: str) -> str:
    where = f" in {'the prefetch of ' if death.prefetching else ''}plugin {plugin}" if plugin else ""
    return f"stuck{where} for {STUCK_CPU_S:g} s of CPU time" if death.stuck else cause_of(exit_code) + where
