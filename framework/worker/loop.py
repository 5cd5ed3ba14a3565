"""The worker process of one queue: it maps the ring, takes over, and runs the compiled chain until it is stopped."""

from __future__ import annotations

import itertools
import logging
import os
import select
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from numba.core import types

from zcframe.framework import abi
from zcframe.framework.chain.build import FRAMEWORK, Chain
from zcframe.framework.chain.handover import CROWDED, flow_places
from zcframe.framework.chain.sleep import polled
from zcframe.framework.chain.ticks.due import due_place, has_ticks
from zcframe.framework.chain.workspace import (
    AHEAD,
    BUSY,
    CTX,
    JOURNAL,
    ORDERS,
    PARKED,
    POLLED,
    PROGRESS_SIZE,
    READY,
    STOP_DRAIN,
    STOP_NONE,
    STOP_NOW,
    ChainContext,
)
from zcframe.framework.child import PR_SET_TIMERSLACK, die_with, prctl
from zcframe.framework.errors import ZcframeError, refusal
from zcframe.framework.jit.compiler import Job
from zcframe.framework.jit.words import Words, words_of
from zcframe.framework.log import name_process
from zcframe.framework.outputs.writer.rings import OutputRings
from zcframe.framework.ring import Mapping, RingEnd
from zcframe.framework.sandbox import Reach, Walls, worker_rules
from zcframe.framework.state.journal import LOOKUPS, OVERFLOW, SECRETS
from zcframe.framework.state.shared import StateMemory

from . import verify
from .post import Post
from .raised import Raised
from .recover import arm, disarm, recover

log = logging.getLogger(__name__)

CONTEXT = types.Array(types.int64, 1, "C")

BUDGET = 65536
# A worker that found BUSY packets, this soon after its last wait, will find more after a nap: see RingEnd.nap_s.
SOON_S = 10e-3
SLEEP_MS = 200
PAUSE_NAP_S = 200e-6
# A writer makes room for some hundred records in this time.
ROOM_NAP_S = 200e-6
# By the clock a tick comes so much after its time: packets of before may still be on their way.
GRACE_NS = 500 * 10**6
# So often the clock is looked at, at most.
SHORTEST_BEAT_NS = 20 * 10**6
# Later than any packet.
FOREVER = (1 << 63) - 1


class Places(NamedTuple):
    """Addresses of a worker's part of the state: of each plugin, of packets without IP, of when ticks are due or 0."""

    states: list[int]
    no_ip: int
    due: int


class Worker:
    """The worker's side of a post. `skip` is the verdict code for a packet to give up, 0 for none.

    outputs: memory of those for which the chain was compiled, in their order. walls: closed behind what is mapped here,
    before anything is done with what a predecessor left.
    """

    def __init__(
        self,
        post: Post,
        chain: Chain,
        state: StateMemory,
        skip: int = 0,
        outputs: Sequence[OutputRings] = (),
        walls: Walls | None = None,
    ) -> None:
        self.chain, self.verifier = chain, post.verifier
        self._ticks, self._live, self._next_beat = chain.ticks, post.live, 0
        intervals = [plugin.declared.interval for plugin in chain.plugins if plugin.declared.interval]
        self._beat_ns = max(min(intervals, default=0), SHORTEST_BEAT_NS)
        self.ring: RingEnd = post.ring.consumer()
        self.progress = Mapping(post.progress_fd, PROGRESS_SIZE, writable=True, populate=True)
        self._begin_journal(state)
        orders = Mapping(post.orders_fd, abi.PAGE_SIZE, writable=False)
        self.orders_mapping = orders
        self._stop, self._pause_order = (orders.view(ORDERS)[name] for name in ("stop", "pause"))
        self.parked = self.progress.view("u4", PARKED)
        self._choose_pull()
        handed = self._attach(post, state, outputs)
        self.ctx = self._context(orders.address, state, self._places(post, state), handed)
        self._raised = Raised(self.progress, chain)
        # When it waited last, and how many packets it has found since.
        self._waited, self._found = 0.0, 0
        # The rest of the start takes microseconds.
        self.progress.view("u8", READY)[0] = time.monotonic_ns()
        if walls is not None:
            self._close(walls, state.places(post.ring.domain, post.number))
        recover(self.ctx, chain.codes, skip)

    def _begin_journal(self, state: StateMemory) -> None:
        """Enter what compiled code finds there; secrets are those of every worker: a table may be taken over."""
        plugins = self.chain.plugins
        self.progress.view("u1", JOURNAL + SECRETS, len(state.secrets))[:] = memoryview(state.secrets)
        self.progress.view("u8", JOURNAL + OVERFLOW)[0] = state.overflow
        lists = [plugin.lookups.address if plugin.lookups else 0 for plugin in plugins]
        self.progress.view("i8", JOURNAL + LOOKUPS, len(plugins))[:] = lists

    def _choose_pull(self) -> None:
        """A verifier comes between frames and chain: such a chain neither fetches them itself nor sleeps."""
        self._nap_us = 0 if self.verifier else int(self.ring.nap_s * 1e6)
        self._pull = self.ring.pull if self.verifier else None
        if self.ring.pull and self._pull is None and not self.chain.hashes:
            self.ring.pull.leave_out_hashes()
        fds = polled(self.ring.wake_fd, self.ring.poll_fd)
        self.progress.view("u1", POLLED, len(fds))[:] = memoryview(fds)

    def _attach(self, post: Post, state: StateMemory, outputs: Sequence[OutputRings]) -> list[int]:
        """Map the rings of all outputs; words of the chain's context about them."""
        attached = [rings.attach(post.number) for rings in outputs]
        self._handed = [mappings for _, mappings in attached]
        self._waiting = self._handed[0][0].view("u8", CROWDED) if attached else None
        words = [words for words, _ in attached]
        for number, place in flow_places(len(self.chain.plugins), self.chain.outputs).items():
            shedding = self.chain.outputs[number].shedding
            assert shedding is not None
            words[number] = shedding.words(words[number], state.address(place, post.ring.domain))
        return list(itertools.chain(*words))

    def _places(self, post: Post, state: StateMemory) -> Places:
        """Where this worker's part of the state lies."""
        plugins, domain = self.chain.plugins, post.ring.domain

        def own(place: int) -> int:
            return state.address(place) + post.number * state.layouts[place].shard_size

        mine = [plugin.layout.per_worker for plugin in plugins]
        states = [own(k) if alone else state.address(k, domain) for k, alone in enumerate(mine)]
        due = own(due_place(len(plugins), self.chain.outputs)) if has_ticks(plugins) else 0
        return Places(states, own(len(plugins)), due)

    def _close(self, walls: Walls, state: Sequence[range]) -> None:
        """Keep what belongs to this worker alone, of what was inherited. state: the places of its own state."""
        lists = (plugin.lookups for plugin in self.chain.plugins if plugin.lookups)
        inherited = (*self.ring.inherited, *((self.verifier.memory,) if self.verifier else ()), *lists)
        reach = Reach(self.ring.wake_fd, self.ring.poll_fd)
        walls.close(worker_rules(reach), (*state, *(memory.place for memory in inherited)), reach)

    def _context(self, orders: int, state: StateMemory, places: Places, outputs: list[int]) -> Words:
        """What the chain is called with. orders: their address; outputs: words about them."""
        ring, (first, *others) = self.ring, places.states or [0]
        pull = ring.pull if self._pull is None else None
        context = ChainContext(
            header=ring.header_address,
            descriptors=ring.desc_address,
            blocks=ring.block_address,
            user=ring.user_address,
            mask=ring.slots - 1,
            progress=self.progress.address,
            orders=orders,
            state_low=state.low,
            state_high=state.high,
            no_ip=places.no_ip,
            nap=self._nap_us,
            patience=ring.patience_ns,
            # Whatever was just described is in the cache; what is ahead of it are frames of a round before.
            ahead=0 if ring.pull else AHEAD,
            naps_from=ring.naps_from,
            due=places.due,
            leave_at=FOREVER,
            pull=pull.address if pull else 0,
            pull_words=len(ChainContext._fields) + len(others) + len(outputs),
            states=first,
        )
        return words_of(context, *others, *outputs, *(pull.words if pull else ()))

    def run(self) -> None:
        """Take packets until the supervisor orders to stop; sleep while there are none."""
        poller = select.poll()
        for fd in {self.ring.wake_fd, self.ring.poll_fd}:
            poller.register(fd, select.POLLIN)
        while True:
            stop = int(self._stop[0])
            pulled = self._pull() if self._pull is not None else 0
            taken = self.chain.run(self.ctx, BUDGET if self.verifier is None else min(BUDGET, self.verifier(self.ctx)))
            self._found += taken
            self._raised.describe()
            if stop == STOP_NOW or (stop == STOP_DRAIN and self._drained()):
                if stop == STOP_DRAIN:
                    self.finish()
                return
            if self._live:
                self._beat()
            if self._pausing():
                self._pause()
            elif self._crowded_out():
                time.sleep(ROOM_NAP_S)
            elif taken < BUDGET and pulled < BUSY and stop == STOP_NONE:
                self._wait(poller)

    def drain(self) -> None:
        """Take what is in the ring, once: for a worker without a process of its own, which has no outputs."""
        while self.chain.run(self.ctx, BUDGET):
            pass
        self._raised.describe()

    def finish(self) -> None:
        """The run ends: call the tick of each interval under way, once, whoever dies of it."""
        while self._ticks is not None and not self._ticks(self.ctx, 0, 1) and self._stop[0] != STOP_NOW:
            time.sleep(ROOM_NAP_S)
        self._raised.describe()

    def _beat(self) -> None:
        """Live: call the ticks that are due by the clock, where packets do not tell the time."""
        now = time.time_ns()
        if self._ticks is None or now < self._next_beat:
            return
        if self._ticks(self.ctx, now - GRACE_NS, 0):
            self._next_beat = now + self._beat_ns
            self.ctx[CTX.leave_at] = self._next_beat

    def close(self) -> None:
        """Give the mappings back: for a worker whose process goes on."""
        del self._stop, self._pause_order, self.parked, self._raised
        for mapping in (self.progress, self.orders_mapping, self.ring):
            mapping.close()

    def _crowded_out(self) -> bool:
        """Whether the chain returned because an output has no room for the next packet."""
        if self._waiting is None or not self._waiting[0]:
            return False
        self._waiting[0] = 0
        return True

    def _drained(self) -> bool:
        """Whether nothing waits. It stays so: the order to drain comes after the source's last packet.

        A chain that found nothing is no proof: a pause may have kept it from looking.
        """
        if self.ring.pull is not None and self.ring.pull():
            return False
        drained = bool(arm(self.ctx))
        disarm(self.ctx)
        return drained

    def _pausing(self) -> bool:
        return bool(self._pause_order[0] & 1)

    def _pause(self) -> None:
        """Stand still until the supervisor has read our state."""
        self.parked[0] = self._pause_order[0]
        while self._pausing() and self._stop[0] != STOP_NOW:
            time.sleep(PAUSE_NAP_S)

    def _wait(self, poller: select.poll) -> None:
        now = time.monotonic()
        busy = not self._nap_us and self._found >= BUSY and now - self._waited < SOON_S
        self._waited, self._found = now, 0
        if busy and not self._stalled():
            time.sleep(self.ring.nap_s)
            return
        if arm(self.ctx):
            self._answer(dict(poller.poll(0 if busy else SLEEP_MS)))
        disarm(self.ctx)

    def _stalled(self) -> bool:
        """Whether the producer stopped for want of room; it goes on when the worker polls."""
        return bool(int(self.ring.header["flags"][0]) & abi.RING_NEED_KICK)

    def _answer(self, events: dict[int, int]) -> None:
        if self.ring.wake_fd in events:
            try:
                os.eventfd_read(self.ring.wake_fd)
            except BlockingIOError:
                log.debug("woken twice for one burst")
        if events.get(self.ring.poll_fd, 0) & (select.POLLERR | select.POLLHUP):
            # The device is gone: only the order to end will come.
            time.sleep(SLEEP_MS / 1000)


def work(
    post: Post,
    chain: Chain,
    state: StateMemory,
    skip: int,
    outputs: Sequence[OutputRings],
    parent: int,
    confine: Callable[[], Walls],
) -> None:
    """Body of a worker process, after the fork.

    confine: pins the process to its CPU and drops its privileges; returns the walls to close behind it.

    Whatever it raises ends the process with exit code 1.
    """
    # Naps of a worker need no better clock than the kernel's own choice.
    prctl(PR_SET_TIMERSLACK, 1000)
    name_process(f"zc-rx-{post.number}")
    try:
        walls = confine()
        # A change of user clears the signal of the parent's death, so this comes after it.
        die_with(parent)
        Worker(post, chain, state, skip, outputs, walls).run()
    except (OSError, MemoryError) as error:
        log.error("worker of queue %d cannot go on: %s", post.ring.queue, refusal(error))
        os._exit(1)
    except ZcframeError as error:
        log.error("worker of queue %d cannot go on: %s", post.ring.queue, error)
        os._exit(1)
    except Exception:
        log.exception("worker of queue %d failed", post.ring.queue)
        os._exit(1)


def entry_points(*, verifying: bool) -> tuple[Job, ...]:
    """What every worker calls besides the chain; verifying: with --verify-rss."""
    jobs = (
        Job(FRAMEWORK, recover, (CONTEXT, types.int64, types.int64)),
        Job(FRAMEWORK, arm, (CONTEXT,)),
        Job(FRAMEWORK, disarm, (CONTEXT,)),
    )
    return (*jobs, verify.entry_point()) if verifying else jobs
