"""Memory of one output: rings that workers fill, and the accounts of the writer.

Each worker has a memory of its own with its books and rings (framework/chain/handover.py); the writer maps it
read-only. The writer's accounts (account.py) are one memory, which workers map read-only. The supervisor makes both,
and reads them: books and accounts outlive workers and writers.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Final

from zcframe.framework import abi
from zcframe.framework.chain.handover import BOOK, HandOverContext
from zcframe.framework.outputs.taken import RowsTaken
from zcframe.framework.ring import Mapping, Mirror, Undo, make_memory, read_only, whole_pages
from zcframe.framework.share import BUCKETS

from .account import FAULT_SIZE, READS, account_size

# Bytes that all rings of an output may take, where nobody says otherwise.
BUFFER: Final = 64 << 20
LEAST: Final = 128 * 1024
# In the accounts' memory: the share of each bucket, then the accounts.
TABLE: Final = FAULT_SIZE
FIRST: Final = TABLE + BUCKETS
# A ring that is waited for is best one that stays in a cache; one that is not has to outlast a slow disk.
MOST_WAITED_FOR: Final = 1 << 20
MOST: Final = 8 << 20
# Further than any ring will ever be filled.
ALL: Final = 1 << 62


def ring_bytes(buffer: int, rings: int, *, waits: bool) -> int:
    """Bytes of each of so many rings, a power of two, where all together may take `buffer` bytes; 0: as is best."""
    most = MOST_WAITED_FOR if waits else MOST
    share = max(buffer // rings if buffer else min(BUFFER // rings, most), LEAST)
    return 1 << share.bit_length() - 1


class OutputRings:
    """Memory of one output. workers, streams: how many there are; buffer: bytes that all rings may take, 0: as is best.

    waits, snaplen: as in HandOverContext. table: uint8, the share of each bucket.
    apart: each worker hands on to one stream only, worker % streams; else each may hand on to any stream.
    rows: for an output for rows, which has one stream.
    Raises RingError where memory does not suffice.
    """

    def __init__(
        self,
        name: str,
        workers: int,
        streams: int,
        buffer: int = 0,
        *,
        apart: bool = False,
        waits: bool,
        snaplen: int,
        table: bytes = b"",
        rows: RowsTaken | None = None,
    ) -> None:
        self.workers, self.streams, self.apart = workers, streams, apart
        self._waits, self._snaplen, self._rows = waits, snaplen, rows
        self.books = 1 if apart else streams
        # What nobody reads is only counted.
        read = rows is None or rows.asked
        self.size = ring_bytes(buffer, workers * self.books, waits=waits) if read else abi.PAGE_SIZE
        self._data = whole_pages(self.books * BOOK)
        self.account_size = account_size(workers)
        with Undo() as undo:
            size = self._data + self.books * self.size
            self._fds = [undo.fd(make_memory(f"zc-out-{name}-{worker}", size)) for worker in range(workers)]
            self._accounts_size = FIRST + streams * self.account_size
            self._accounts_fd = undo.fd(make_memory(f"zc-account-{name}", self._accounts_size))
            os.pwrite(self._accounts_fd, table, TABLE)
            self._read_only_fd = undo.fd(read_only(self._accounts_fd))
            self.seen_books = [undo.closing(Mapping(fd, self._data, writable=False)) for fd in self._fds]
            self.accounts = undo.closing(self.map_accounts(writable=False))
            self._undo = undo.pop_all()

    @property
    def kinds(self) -> int:
        """How many kinds of record are counted."""
        return self._rows.kinds if self._rows is not None else 0

    @property
    def memory(self) -> int:
        """Bytes that it takes."""
        return self.workers * (self._data + self.books * self.size) + self._accounts_size

    def map_accounts(self, *, writable: bool) -> Mapping:
        """What is mapped to be read can never be made writable, by a worker that was taken over."""
        return Mapping(self._accounts_fd if writable else self._read_only_fd, self._accounts_size, writable=writable)

    def account_offset(self, stream: int) -> int:
        """Where a stream's account begins in the accounts' memory."""
        return FIRST + stream * self.account_size

    def stream_of(self, worker: int, book: int) -> int:
        return worker % self.streams if self.apart else book

    def rings_of(self, stream: int) -> Iterator[tuple[int, int]]:
        """(worker, book) of every ring that feeds a stream, in the order of the workers."""
        for worker in range(self.workers):
            if not self.apart:
                yield worker, stream
            elif worker % self.streams == stream:
                yield worker, 0

    def attach(self, worker: int) -> tuple[HandOverContext, tuple[Mapping, Mirror, Mapping]]:
        """In a worker: map what is its own. The words for its chain, and the mappings, which must live as long."""
        books = Mapping(self._fds[worker], self._data, writable=True, populate=True)
        rings = Mirror(self._fds[worker], self._data, self.size, self.books, writable=True)
        accounts = self.map_accounts(writable=False)
        reads = accounts.address + self.account_offset(self.stream_of(worker, 0)) + READS + worker * abi.CACHE_LINE
        words = HandOverContext(
            books=books.address,
            data=rings.at(0),
            reads=reads,
            mask=self.size - 1,
            stride=2 * self.size,
            reads_stride=self.account_size,
            shares=self.books,
            waits=int(self._waits),
            snaplen=self._snaplen,
            ident=worker,
            table=accounts.address + TABLE,
            stream=self.stream_of(worker, 0),
        )
        if self._rows is not None:
            words = self._rows.words(words)
        return words, (books, rings, accounts)

    def let_go(self) -> None:
        """In a fork that has mapped what is its own: nobody can map anything else of it from here on."""
        for fd in (*self._fds, self._accounts_fd, self._read_only_fd):
            os.close(fd)
        self._fds.clear()

    def open_sluice(self) -> None:
        """Nobody writes any more: workers go on as if all that they hand on were read at once."""
        accounts = self.map_accounts(writable=True)
        for stream in range(self.streams):
            words = accounts.view("u8", self.account_offset(stream) + READS, self.workers * abi.CACHE_LINE // 8)
            words[:: abi.CACHE_LINE // 8] = ALL
        del words
        accounts.close()

    def map_rings(self, worker: int) -> tuple[Mapping, Mirror]:
        """In the writer: a worker's books and rings, read-only."""
        fd = self._fds[worker]
        return Mapping(fd, self._data, writable=False), Mirror(fd, self._data, self.size, self.books, writable=False)

    def close(self) -> None:
        self._undo.close()
