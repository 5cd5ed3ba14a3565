"""The account of a stream: how far its rings are read, what became of the frames, and how long the file is.

    generation u64 | intent u64
    two copies, used in turn: that of generation g is copy g & 1
            copy: the words of Count | position in the ring of each worker | records written of each kind, for rows
    reads   a line a worker: the position again, for the worker

The writer fills the other copy, sets `intent` to the generation to come, writes the frames, then stores `generation`:
this is the only commit. A successor that finds an intent that is not yet the generation knows which write its
predecessor was in: a file is cut back to the length that is on record; what was written to a FIFO is not known.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numba.core import types

from zcframe.framework import abi
from zcframe.framework.chain.records.tally import MAX_KINDS
from zcframe.framework.jit.address import load_u64, release_u64, store_u64
from zcframe.framework.jit.compiler import Job, compiled
from zcframe.framework.jit.words import Words, numbered
from zcframe.framework.ring import Mapping, whole_pages

from .merge import ROW

# Column of a merge's table.
POSITION: Final = ROW.position
# The writer's last words, in front of all accounts.
FAULT_SIZE: Final = abi.PAGE_SIZE
MAX_WORKERS: Final = 256
INTENT: Final = 8
COPIES: Final = 64


class Count(NamedTuple):
    """Words of a copy. Frames, where nothing else is said."""

    number: int  # of the file in progress, from 0
    opened: int  # when that file was begun, ns since the epoch
    length: int  # bytes of it
    written: int
    octets: int  # bytes written, of all files
    absent: int  # discarded while nobody read
    failed: int  # discarded since the output had failed
    uncertain: int  # of writes in which a writer was killed
    late: int  # written behind a younger frame of another worker
    last: int  # time of the youngest frame written
    readers: int  # that came
    closed: int  # whether the file in progress has its last bytes
    unread: int  # left in a pipe by the reader that it was written for
    refused: int  # too long or too short for where they were to go
    down: int  # for an interface that was down
    returned: int  # of these, those that came back after they had been written


COUNT: Final = numbered(Count)
WORDS: Final = len(COUNT)
COPY_SIZE: Final = (WORDS + MAX_WORKERS + MAX_KINDS) * 8
READS: Final = COPIES + 2 * COPY_SIZE


def account_size(workers: int) -> int:
    return whole_pages(READS + workers * abi.CACHE_LINE)


@compiled
def store(address, value):  # type: ignore[no-untyped-def]
    """Store a word behind all that was stored before."""
    release_u64(address, value)


@compiled
def enter(base, words, rows, workers, added):  # type: ignore[no-untyped-def]
    """Fill the other copy with what holds after a write, then announce it.

    base: address of the account. words: of a copy. rows: of the merge, whose positions hold then. workers: the worker
    of each row. added: int64[words], what they grow by; of the words of Count, `last` is the new one.
    """
    generation = load_u64(base)
    old = base + COPIES + (generation & 1) * COPY_SIZE
    new = base + COPIES + (generation + 1 & 1) * COPY_SIZE
    for word in range(words):
        store_u64(new + word * 8, load_u64(old + word * 8) + added[word])
    store_u64(new + COUNT.last * 8, added[COUNT.last])
    for r in range(rows.shape[0]):
        store_u64(new + (WORDS + workers[r]) * 8, rows[r, POSITION])
    release_u64(base + INTENT, generation + 1)


@compiled
def settle(base, workers):  # type: ignore[no-untyped-def]
    """Commit the copy that was filled, then tell workers how far their rings are read. workers: how many."""
    generation = load_u64(base) + 1
    release_u64(base, generation)
    positions = base + COPIES + (generation & 1) * COPY_SIZE + WORDS * 8
    for worker in range(workers):
        release_u64(base + READS + worker * abi.CACHE_LINE, load_u64(positions + worker * 8))


def entry_points() -> tuple[Job, ...]:
    """What every writer calls."""
    word, words, table = types.int64, types.Array(types.int64, 1, "C"), types.Array(types.int64, 2, "C")
    jobs = (store, (word, word)), (enter, (word, word, table, words, words)), (settle, (word, word))
    return tuple(Job("zcframe", function, arguments) for function, arguments in jobs)


class Account:
    """One stream's account in a mapping of the accounts, at `offset`. Only the writer's mapping is writable.

    words: of a copy. kinds: which of them are of kinds of record.
    """

    def __init__(self, mapping: Mapping, offset: int, workers: int, kinds: int = 0) -> None:
        self._base, self._workers = mapping.address + offset, workers
        self.words, self.kinds = WORDS + workers + kinds, slice(WORDS + workers, WORDS + workers + kinds)
        self._head = mapping.view("i8", offset, 2)
        self._copies = [mapping.view("i8", offset + COPIES + i * COPY_SIZE, self.words) for i in (0, 1)]

    @property
    def interrupted(self) -> bool:
        """Whether a writer announced a write and did not come to its end."""
        return int(self._head[1]) > int(self._head[0])

    def read(self) -> Words:
        """int64[words]: the current copy, of one moment."""
        while True:
            generation = int(self._head[0])
            copy = self._copies[generation & 1].copy()
            if int(self._head[0]) == generation:
                return copy

    def draft(self) -> Words:
        """The copy of the next generation, as the current one is; to be changed, then committed."""
        new = self.interrupted_draft()
        new[:] = self._copies[int(self._head[0]) & 1]
        return new

    def interrupted_draft(self) -> Words:
        """The copy that a predecessor was about to commit."""
        return self._copies[int(self._head[0]) + 1 & 1]

    def enter(self, rows: np.ndarray[tuple[int, int], np.dtype[np.int64]], workers: Words, added: Words) -> None:
        """Note what holds after a write that is about to begin; see `enter`."""
        enter(self._base, self.words, rows, workers, added)

    def withdraw(self) -> None:
        """Nothing is announced."""
        store(self._base + INTENT, int(self._head[0]))

    def commit(self) -> None:
        """The draft is what holds; workers get to know it."""
        settle(self._base, self._workers)

    def publish(self) -> None:
        """Tell workers how far their rings are read; a predecessor may not have come to it."""
        self.draft()
        self.commit()
