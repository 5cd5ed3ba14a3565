"""The supervisor's side of the software NIC."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
from dataclasses import dataclass
from typing import Final

from zcframe.framework.child import ending, fork_child
from zcframe.framework.errors import ProcessError, SourceDiedError, refusal
from zcframe.framework.filters.program import Program
from zcframe.framework.privileges import drop_to_reading
from zcframe.framework.ring import Ring, Undo
from zcframe.framework.rss.reta import buckets_of
from zcframe.framework.rss.spread import Spread
from zcframe.framework.sandbox import HARMFUL, Walls
from zcframe.framework.sources.base import SourceEvent

from .channel import GO, LARGEST, MAPPED, READY, STOP, ChildEnd
from .feed import NicOrders
from .files import look_at
from .nic import run_nic
from .odd import odd_counts
from .plan import ReplayPlan
from .progress import POSITION, Progress
from .windows.pool import WindowPool

PROCESS_NAME: Final = "zc-nic"
# Mapping 16 rings of the largest size takes well below a second.
MAPPING_DEADLINE: Final = 60.0


@dataclass(frozen=True)
class Position:
    """How far a replay is. done, total: bytes of input, total 0 where no end is known; file and round count from 0."""

    done: int
    total: int
    frames: int
    file: int
    round: int


class Soft82576:
    """The 82576 in software: a process that replays capture files into one ring a queue.

    Making it looks at every file, so that what cannot be replayed is refused or told before anything runs:
    CaptureFileError, LinkTypeError, UsageError as `look_at` raises them; RingError where memory does not suffice. Bytes
    that a pipe gave up by then are not lost.
    """

    backend: Final = "soft82576"

    def __init__(self, plan: ReplayPlan) -> None:
        self.plan = plan
        self.kind, self.names = plan.kind, plan.files
        self.promiscuous: bool | None = None
        self.pid: int | None = None
        self._running = self._ready = self._ended = False
        self._events: list[SourceEvent] = []
        self._channel: socket.socket | None = None
        self.rings: list[Ring] = []
        with Undo() as undo:
            self._files = undo.closing(look_at(plan.files, loop=plan.loop))
            self._total = 0 if self._files.streams else self._files.size * plan.loop
            # Frames of a file that is there as a whole need not be copied, unless they are to wait for their time.
            self._pool: WindowPool | None = None
            if plan.pace == "max" and not self._files.streams and not self._files.packed:
                self._pool = undo.closing(WindowPool(plan.queues, plan.ring_slots, plan.window))
            shared = self._pool.shared if self._pool else None
            for queue in range(plan.queues):
                buckets = buckets_of(queue, plan.rss.reta)
                self.rings.append(undo.closing(Ring(queue, plan.ring_slots, buckets=buckets, shared=shared)))
                self.rings[-1].spread = Spread.of_82576(plan.rss) if plan.verify else None
            self._progress = undo.closing(Progress())
            for ring in self.rings:
                ring.turn = self._progress.turn
            self._undo = undo.pop_all()

    @property
    def link_types(self) -> tuple[str, ...]:
        """Names of the link types that are known before the first frame."""
        return self._files.link_types

    @property
    def warnings(self) -> tuple[str, ...]:
        """A line for each file that is no capture, while others are."""
        return tuple(str(error) for error in self._files.broken.values())

    def refuse(self, program: Program | None) -> None:
        """The workers' chain alone filters."""

    def passed_over(self) -> dict[str, int]:
        """Frames of link types from which no IP is read, by link type, so far."""
        return odd_counts(self._progress.fields)

    @property
    def events_fd(self) -> int:
        """File descriptor to poll for input, from `ready()` until an event "finished" or "failed"."""
        assert self._channel is not None, "start() comes first"
        return self._channel.fileno()

    def start(self) -> None:
        """Fork the NIC; it waits for `go()`. Raises ProcessError, and SourceDiedError where it cannot map the rings."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._channel = self._undo.closing(ours)
        files = self._files
        broken = {index: str(error) for index, error in files.broken.items()}
        orders = NicOrders(self.plan, self.rings, files.streams, broken, tuple(files.samples.values()), self._pool)

        def body() -> None:
            ours.close()
            drop_to_reading(path for index, path in enumerate(self.plan.files) if index not in files.streams)
            Walls(up=self.plan.sandbox).forbid(HARMFUL)
            run_nic(orders, ChildEnd(theirs), self._progress)

        try:
            self.pid = fork_child(PROCESS_NAME, body)
        except (OSError, MemoryError) as error:
            theirs.close()
            raise ProcessError(f"cannot start the software NIC: {refusal(error)}") from error
        self._running = True
        self._undo.callback(self._kill)
        theirs.close()
        files.close()
        self._await_mapped()
        for ring in self.rings:
            ring.seal()
        self._progress.seal()

    def _await_mapped(self) -> None:
        """Wait until the NIC has its writable mappings: the rings can be sealed only then."""
        assert self._channel is not None
        self._channel.settimeout(MAPPING_DEADLINE)
        try:
            answer = self._channel.recv(LARGEST)
        except OSError as error:
            raise SourceDiedError(f"the software NIC (pid {self.pid}) does not start: {error}") from error
        finally:
            self._channel.settimeout(None)
        if answer != MAPPED:
            texts = [SourceEvent(**json.loads(answer)).text] if answer else [event.text for event in self.poll_events()]
            raise SourceDiedError("; ".join(texts))

    def ready(self) -> None:
        """Wait until the NIC has compiled its code, or has failed in it, which `poll_events()` then reports."""
        while not self._ready and self._running:
            self._receive(0)

    def go(self) -> None:
        """Let the frames come."""
        self._order(GO)

    def stop(self) -> None:
        """Order the end; the event "finished" follows within milliseconds, when all that arrived is published."""
        self._order(STOP)

    def _order(self, order: bytes) -> None:
        # One that has ended needs no order; how it ended is what poll_events() tells.
        if self._channel is not None:
            with contextlib.suppress(OSError):
                self._channel.send(order, socket.MSG_DONTWAIT)

    def poll_events(self) -> list[SourceEvent]:
        """Events of the NIC since the last call, and once "failed" if it died; never blocks."""
        with contextlib.suppress(BlockingIOError):
            while self._running:
                self._receive(socket.MSG_DONTWAIT)
        events, self._events = self._events, []
        return events

    def _receive(self, flags: int) -> None:
        """Take the NIC's next message, or its end; BlockingIOError where `flags` forbid to wait for it."""
        assert self._channel is not None
        try:
            message = self._channel.recv(LARGEST, flags)
        except ConnectionResetError:
            return  # it went with an order unread; what it had reported before can still be received
        if message == READY:
            self._ready = True
        elif message:
            self._events.append(SourceEvent(**json.loads(message)))
            self._ended |= self._events[-1].kind != "warning"
            self._ready |= self._ended
        elif death := self._reap():
            self._events.append(death)

    def _reap(self) -> SourceEvent | None:
        """Reap the process, whose end of the channel is closed; returns an event where it had reported no end."""
        assert self.pid is not None
        self._running = False
        try:
            code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        except ChildProcessError:
            code = None
        if self._ended:
            return None
        text = f"the software NIC (pid {self.pid}) {ending(code)}: what it had delivered counts, nothing more will come"
        return SourceEvent("failed", text)

    def hurry(self) -> None:
        """Nothing to do: the end is reported as soon as it is known."""

    def progress(self) -> tuple[int, int]:
        """(done, total) in bytes of input; total 0: no end is known."""
        position = self.position()
        return position.done, position.total

    def position(self) -> Position:
        """The same with frames, file and round; costs no system call."""
        done, frames, file, number = (int(self._progress.fields[name][0]) for name in POSITION)
        return Position(done, self._total, frames, file, number)

    def close(self) -> None:
        """Kill the NIC if it still runs, and give everything back; may be called again."""
        self._undo.close()

    def _kill(self) -> None:
        if self._running and self.pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
            self._reap()
