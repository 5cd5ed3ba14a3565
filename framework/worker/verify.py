"""`--verify-rss`: every frame's hash and queue, computed again and compared with what the card says.

The worker verifies what lies in the ring before the chain may take it. Results lie in shared memory, and outlive it.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np
from numba.core import types

from zcframe.framework import abi
from zcframe.framework.chain.build import FRAMEWORK
from zcframe.framework.chain.workspace import CTX, DONE
from zcframe.framework.jit.address import acquire_u32, load_u8, load_u16, load_u32, load_u64
from zcframe.framework.jit.compiler import Job, compiled, inlined
from zcframe.framework.jit.words import numbered
from zcframe.framework.ring import Mapping, Undo, make_memory
from zcframe.framework.rss.spread import ANYWHERE, Spread
from zcframe.framework.rss.toeplitz import hash_untagged, toeplitz_tables
from zcframe.framework.stats import RssCheck


class Results(NamedTuple):
    """What a worker has verified so far, int64 words in shared memory."""

    upto: int  # packets verified, counted as `done` is
    wrong_hash: int
    wrong_queue: int
    first: int  # of the wrong ones, counted from 1; 0: none
    found: int  # its rss_type << 32 | hash, as the card says
    computed: int


RESULT: Final = numbered(Results)


@inlined
def queue_of(hashed, table):  # type: ignore[no-untyped-def]
    """The queue of what `rss_hash` returned. table: int64, a power of two and one more, for frames without a hash."""
    entries = table.size - 1
    return table[hashed & (entries - 1)] if hashed != 0 else table[entries]


@compiled
def verify(ctx, tables, fields, table, queue, hashes, results):  # type: ignore[no-untyped-def]
    """Verify what lies in the ring; returns how many frames the chain may take now.

    ctx: words of ChainContext. tables, fields: as for `rss_hash`. table: as for `queue_of`, ANYWHERE for a queue
    that is not known. hashes: whether descriptors hold the card's hashes. results: words of Results.
    """
    done = load_u64(ctx[CTX.progress] + DONE)
    ready = (acquire_u32(ctx[CTX.header] + abi.HEADER_WRITE) - done) & 0xFFFFFFFF  # C, matches B
    for packet in range(max(done, results[RESULT.upto]), done + ready):
        desc = ctx[CTX.descriptors] + (packet & ctx[CTX.mask]) * abi.DESC_SIZE
        frame = ctx[CTX.blocks] + load_u32(desc + abi.DESC_OFFSET)
        length, tpid = load_u16(desc + abi.DESC_LEN), load_u16(desc + abi.DESC_VLAN_TPID)
        wanted = hash_untagged(frame, min(length, abi.BLOCK_SIZE), tpid, tables, fields)
        found = load_u8(desc + abi.DESC_RSS_TYPE) << 32 | load_u32(desc + abi.DESC_RSS_HASH)
        chosen = queue_of(wanted, table)
        astray = chosen != ANYWHERE and chosen != queue
        other = hashes and found != wanted
        if (other or astray) and results[RESULT.first] == 0:
            results[RESULT.first] = packet + 1
            results[RESULT.found], results[RESULT.computed] = found, wanted
        results[RESULT.wrong_hash] += other
        results[RESULT.wrong_queue] += astray
        results[RESULT.upto] = packet + 1
    return ready


class RssVerifier:
    """One worker's verification, made by the supervisor. Raises RingError where memory does not suffice.

    spread: the card's settings to verify against; queue: the worker's queue; number: the worker's number.
    memory: of the results, in which the worker writes.
    """

    def __init__(self, spread: Spread, queue: int, number: int) -> None:
        self._queue, self._spread = queue, spread
        self._tables = toeplitz_tables(spread.key)
        self._table = np.array([*spread.table, spread.unhashed], np.int64)
        with Undo() as undo:
            fd = undo.fd(make_memory(f"zc-verify-{number}", abi.PAGE_SIZE))
            self.memory = undo.closing(Mapping(fd, abi.PAGE_SIZE, writable=True))
            self._undo = undo.pop_all()

    @property
    def _results(self) -> np.ndarray[Any, np.dtype[np.int64]]:
        return self.memory.view("i8", 0, len(Results._fields))

    def __call__(self, ctx: np.ndarray[Any, np.dtype[np.int64]]) -> int:
        """Call `verify`, in the worker."""
        tables, spread = self._tables.ctypes.data, self._spread
        return int(verify(ctx, tables, spread.fields, self._table, self._queue, spread.hashes, self._results))

    def result(self) -> RssCheck:
        """Results so far, for the supervisor."""
        results = Results(*self._results.tolist())
        example = self._example(results.first - 1, results.found, results.computed) if results.first else ""
        return RssCheck(results.upto, results.wrong_hash, results.wrong_queue, example)

    def _example(self, packet: int, found: int, computed: int) -> str:
        said = f"the card says hash {found & 0xFFFFFFFF:#010x}, type {found >> 32}"
        if not self._spread.hashes or found == computed:
            said = f"by the card's settings it belongs to queue {self._spread.queue_of(computed)}"
        ours = f"Toeplitz {computed & 0xFFFFFFFF:#010x}, type {computed >> 32}"
        return f"packet {packet} of queue {self._queue}: {said}; {ours}"

    def close(self) -> None:
        """Give the memory back."""
        self._undo.close()


def entry_point() -> Job:
    """What every worker calls."""
    integers, word = types.Array(types.int64, 1, "C"), types.int64
    return Job(FRAMEWORK, verify, (integers, word, word, integers, word, types.boolean, integers))
