"""The process that writes one output. It can be killed at any moment: a successor goes on by the accounts."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

from zcframe.framework import abi
from zcframe.framework.chain.handover import BOOK, FULL, LINE
from zcframe.framework.chain.workspace import DONE, GENERATION, PROGRESS_SIZE
from zcframe.framework.child import die_with
from zcframe.framework.errors import ZcframeError, refusal
from zcframe.framework.jit.compiler import Job
from zcframe.framework.log import name_process
from zcframe.framework.outputs.output import Output
from zcframe.framework.outputs.pipes import trail
from zcframe.framework.ring import Mapping, ReceiveRing
from zcframe.framework.share import BUCKETS

from . import account, merge
from .account import FAULT_SIZE, Account
from .gaps import Gap, Gaps, Losses, State
from .merge import Merge, Row
from .owners import Owners
from .rings import TABLE, OutputRings
from .stream import Stream

log = logging.getLogger(__name__)

# A writer that has nothing to do naps, longer each time: it costs next to nothing while no traffic comes. A file's
# rings are full soon; and a pipe may hold no more than 64 KiB, of which a slow reader frees a page at a time.
NAP_S, LIVE_NAP_S = 100e-6, 500e-6
LONGEST_NAP_S, LONGEST_LIVE_NAP_S = 1e-3, 8e-3
# Orders of the supervisor, one word: go on; the workers have ended, write what is left; end at once.
RUN, DRAIN, END = 0, 1, 2


class Feed(NamedTuple):
    """A worker as a writer sees it: its progress memory, and the ring that it reads."""

    progress_fd: int
    ring: ReceiveRing


class Writer:
    """Writes one output until it is ordered to end. live: whether frames come in their own time."""

    def __init__(
        self,
        output: Output,
        rings: OutputRings,
        feeds: Sequence[Feed],
        orders_fd: int,
        accounts: Mapping,
        *,
        live: bool,
    ) -> None:
        self._output, self._live = output, live
        self._orders = Mapping(orders_fd, abi.PAGE_SIZE, writable=False)
        self._order = self._orders.view("u4")
        self._accounts = accounts
        mapped = [rings.map_rings(worker) for worker in range(rings.workers)]
        self._books, self._mirrors = [books for books, _ in mapped], [mirror for _, mirror in mapped]
        self._progress = [Mapping(feed.progress_fd, PROGRESS_SIZE, writable=False) for feed in feeds]
        self._headers = [feed.ring.observer() for feed in feeds]
        self._turn = self._map_turn(feeds[0].ring)
        self._streams = [self._stream(rings, number) for number in range(rings.streams)]
        self._owners = self._map_owners()
        self._flowing = False
        rings.let_go()

    def _map_turn(self, ring: ReceiveRing) -> int:
        """Address of the NIC's turn, where all rings are those of one that has it."""
        if ring.turn is None:
            return 0
        fd, offset = ring.turn
        self._nic = Mapping(fd, abi.PAGE_SIZE, writable=False)
        return self._nic.address + offset

    def _map_owners(self) -> Owners | None:
        """The table of the shares, where it follows their readers."""
        streams = self._output.streams
        if streams.shares is None or not streams.drains:
            return None
        return Owners(streams.shares, self._accounts.view("u1", TABLE, BUCKETS))

    def _row(self, rings: OutputRings, worker: int, book: int) -> Row:
        books, progress = self._books[worker].address, self._progress[worker].address
        return Row(
            data=self._mirrors[worker].at(book),
            mask=rings.size - 1,
            book=books + book * BOOK,
            marks=books,
            generation=progress + GENERATION,
            progress=progress,
            write=self._headers[worker].address + abi.HEADER_WRITE,
            position=0,
            taken=0,
            end=0,
            frames=0,
            mark=0,
            turn=self._turn,
            seen=0,
            idle=0,
            ripe=0,
            old=0,
        )

    def _stream(self, rings: OutputRings, number: int) -> Stream:
        feeding = list(rings.rings_of(number))
        rows = [self._row(rings, worker, book) for worker, book in feeding]
        merged = Merge(rows, ng=self._output.record != "pcap", live=self._live)
        one = Account(self._accounts, rings.account_offset(number), rings.workers, rings.kinds)
        workers = [worker for worker, _ in feeding]
        names = [f"{name}/{queue}" for name, queue in self._output.inputs]
        gaps = Gaps([Gap(names[worker], partial(self._state, worker, book)) for worker, book in feeding])
        return Stream(merged, workers, one, self._output.sink(number), lambda: self._counts(rings), gaps)

    def _counts(self, rings: OutputRings) -> list[tuple[int, int]]:
        """(received, dropped) of each worker's queue, with what found no room in its rings for this output."""
        return [self._count(worker, rings.books) for worker in range(rings.workers)]

    def _count(self, worker: int, books: int) -> tuple[int, int]:
        header = self._headers[worker].view(abi.RING_HEADER)
        full = sum(self._full(worker, book) for book in range(books))
        return int(header["arrived"][0]), int(header["nic_drop"][0]) + int(header["ring_full"][0]) + full

    def _full(self, worker: int, book: int) -> int:
        """Frames that found no room in a ring."""
        generation = self._progress[worker].view("u8", GENERATION)
        while True:
            before = int(generation[0])
            full = int(self._books[worker].view("u8", book * BOOK + (before & 1) * LINE + FULL)[0])
            if int(generation[0]) == before:
                return full

    def _state(self, worker: int, book: int) -> State:
        """How far a worker is: losses first, so that what was written before them is in `written`."""
        header = self._headers[worker].view(abi.RING_HEADER)
        lost = Losses(int(header["nic_drop"][0]), int(header["ring_full"][0]), self._full(worker, book))
        return State(lost, int(header["write"][0]), int(self._progress[worker].view("u8", DONE)[0]))

    def run(self) -> None:
        """Write until the order to end, or until there is nothing more to come. Raises OSError, ZcframeError."""
        for stream in self._streams:
            stream.begin()
        left, nap = self._streams, 0.0
        while left and (order := int(self._order[0])) != END:
            moved = [stream.turn(ended=order == DRAIN) for stream in left]
            self._follow_readers()
            nap = 0.0 if any(moved) else self._longer(nap, left)
            if nap:
                time.sleep(nap)
            left = [stream for stream in left if not stream.finished]
        for stream in left:
            stream.cut_short()
        for stream in self._streams:
            stream.close()

    def _longer(self, nap: float, streams: Sequence[Stream]) -> float:
        """Seconds of the nap behind one of `nap` seconds, 0: the first."""
        blocked = any(stream.blocked for stream in streams)
        least, most = (LIVE_NAP_S, LONGEST_LIVE_NAP_S) if self._live else (NAP_S, LONGEST_NAP_S)
        return min(max(2 * nap, least), LONGEST_NAP_S if blocked else most)

    def _follow_readers(self) -> None:
        """Move the flows of shares that nobody reads. Before the first frame, readers are waited for."""
        if self._owners is None:
            return
        self._flowing = self._flowing or any(stream.flowing for stream in self._streams)
        if self._flowing:
            self._owners.follow([number for number, stream in enumerate(self._streams) if stream.taken])


def leave_word(accounts: Mapping, text: str) -> None:
    """Leave the reason of an end where the supervisor finds it."""
    data = text.encode()[: FAULT_SIZE - 1]
    accounts.view("u1", 0, FAULT_SIZE)[: len(data)] = list(data)


def write(
    output: Output,
    rings: OutputRings,
    feeds: Sequence[Feed],
    orders_fd: int,
    parent: int,
    confine: Callable[[], None],
    *,
    live: bool,
) -> None:
    """Body of a writer's process, after the fork. confine: drops its privileges.

    Whatever it raises ends the process with exit code 1, and its text is left for the supervisor.
    """
    name_process(f"zc-out-{output.number}")
    accounts = rings.map_accounts(writable=True)
    try:
        writer = Writer(output, rings, feeds, orders_fd, accounts, live=live)
        confine()
        # A change of user clears the signal of the parent's death, so this comes after it.
        die_with(parent)
        writer.run()
    except (OSError, MemoryError) as error:
        leave_word(accounts, refusal(error))
    except ZcframeError as error:
        leave_word(accounts, str(error))
    except Exception as error:
        log.debug("%s failed", output.spec.text, exc_info=True)
        leave_word(accounts, " ".join(f"{type(error).__name__}: {error}".split()))
    else:
        return
    os._exit(1)


def entry_points() -> tuple[Job, ...]:
    """What every writer calls."""
    return (*merge.entry_points(), *account.entry_points(), *trail.entry_points())
