"""What it costs a writer to put a frame into a tap, against a bare write() loop in C, on a tap that somebody reads."""

from __future__ import annotations

import contextlib
import ctypes
import os
import socket
import struct
import time
from collections.abc import Callable, Iterator
from typing import Any, Final

import numpy as np

from zcframe.framework import abi
from zcframe.framework.chain.handover import END, FRAMES, LINE, MARK
from zcframe.framework.chain.workspace import GENERATION, PROGRESS_SIZE
from zcframe.framework.nic.link.tap import open_queue, set_up_tap
from zcframe.framework.outputs.kinds.tap import TapSink
from zcframe.framework.outputs.writer.account import COUNT, Account, account_size
from zcframe.framework.outputs.writer.gaps import Gaps
from zcframe.framework.outputs.writer.merge import Merge
from zcframe.framework.outputs.writer.merge import Row as Ring
from zcframe.framework.outputs.writer.stream import Stream
from zcframe.framework.ring import Mapping, make_memory

from .bench import Bench, NotMeasured
from .rounds import Spread, in_turns
from .table import Row

COUNT_OF_FRAMES: Final = 4096
SIZES: Final = (64, 1514)
BAR: Final = 1.2
PASSES: Final = 4
CLONE_NEWNET: Final = 0x40000000
ETH_P_ALL: Final = 3
NAME: Final = "zcbench"


@contextlib.contextmanager
def private_network() -> Iterator[None]:
    """A network namespace of this process's own. Raises NotMeasured."""
    libc = ctypes.CDLL(None, use_errno=True)
    with open("/proc/thread-self/ns/net") as before:
        if libc.unshare(CLONE_NEWNET):
            raise NotMeasured(f"no network namespace of its own: {os.strerror(ctypes.get_errno())}; run as root")
        try:
            yield
        finally:
            libc.setns(before.fileno(), CLONE_NEWNET)


@contextlib.contextmanager
def read_tap() -> Iterator[tuple[int, int]]:
    """(descriptor, index) of a tap on which a packet socket listens; what finds no room in the socket is dropped."""
    fd = open_queue(NAME, several=False)
    try:
        index = socket.if_nametoindex(NAME)
        set_up_tap(NAME, index, 1500)
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL)) as reader:
            reader.bind((NAME, ETH_P_ALL))
            yield fd, index
    finally:
        os.close(fd)


def records(size: int) -> bytes:
    """Records of pcap, as a worker leaves them."""
    frame = b"\x02" * 12 + b"\x08\0\x45\0" + (size - 14).to_bytes(2, "big") + bytes(size - 18)
    return b"".join(struct.pack("=IIII", 17 * 10**8, i, size, size) + frame for i in range(COUNT_OF_FRAMES))


class Filled:
    """A worker's ring that holds these records, with nothing that changes, and the stream that writes them."""

    def __init__(self, records: bytes, sink: TapSink) -> None:
        self.data: Any = np.frombuffer(records, np.uint8)
        # Its book, its progress and the header of the ring that it reads.
        self._books, self._progress = np.zeros(64, np.int64), np.zeros(PROGRESS_SIZE // 8, np.int64)
        self._header = np.zeros(1, abi.RING_HEADER)
        for line in (0, LINE // 8):
            self._books[line + END // 8], self._books[line + FRAMES // 8] = len(records), COUNT_OF_FRAMES
            self._books[line + MARK // 8] = 1
        memory = make_memory("zc-bench-account", account_size(1))
        self.account = Account(Mapping(memory, account_size(1), writable=True), 0, 1)
        os.close(memory)
        self._merge = Merge([self._row()], ng=False, live=True)
        self._stream = Stream(self._merge, [0], self.account, sink, list, Gaps([]))
        self._stream.begin()

    def _row(self) -> Ring:
        fields = dict.fromkeys(Ring._fields, 0)
        fields |= {"data": self.data.ctypes.data, "mask": (1 << 40) - 1, "book": self._books.ctypes.data}
        fields |= {"marks": self._books.ctypes.data, "generation": self._progress.ctypes.data + GENERATION}
        fields |= {"progress": self._progress.ctypes.data, "write": self._header.ctypes.data + abi.HEADER_WRITE}
        return Ring(**fields)

    def write(self) -> None:
        """Write all of it once."""
        self._merge.begin(np.zeros(1, np.int64), 0, 0)
        while self._stream.turn(ended=False):
            pass


def _seconds(run: Callable[[], object]) -> float:
    """Of CPU: a machine that others share takes its time."""
    start = time.thread_time()
    for _ in range(PASSES):
        run()
    return time.thread_time() - start


def bare_loop(bench: Bench, fd: int, data: Any, size: int) -> Callable[[], int]:
    library = ctypes.CDLL(str(bench.compile("tap.c", "-fPIC", "-shared")))
    library.run.restype = ctypes.c_uint64
    library.run.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_uint64]
    frames = np.full((COUNT_OF_FRAMES, 2), size, np.int64)
    frames[:, 0] = data.ctypes.data + 16 + np.arange(COUNT_OF_FRAMES) * (16 + size)
    return lambda: int(library.run(fd, frames.ctypes.data, COUNT_OF_FRAMES))


def _row(bench: Bench, size: int) -> Row:
    with read_tap() as (fd, index):
        ours = Filled(records(size), TapSink(NAME, index, fd))
        theirs = bare_loop(bench, fd, ours.data, size)
        ours.write()
        written = int(ours.account.read()[COUNT.written])
        if (written, theirs()) != (COUNT_OF_FRAMES, COUNT_OF_FRAMES):
            raise NotMeasured(f"the tap took {written} of {COUNT_OF_FRAMES} frames")
        spent = in_turns(4 * bench.rounds, lambda: _seconds(ours.write), lambda: _seconds(theirs))
    mine, other = (Spread(values).times(1e9 / PASSES / COUNT_OF_FRAMES) for values in spent)
    name = f"a frame of {size} B into a tap, CPU, against write() in C"
    return Row(name, "ns", mine, other, BAR, True, cost=True)


def tap_rows(bench: Bench) -> list[Row]:
    """ns a frame, of the writer's whole turn: merge, account, write."""
    try:
        with private_network():
            return [_row(bench, size) for size in SIZES]
    except OSError as error:
        raise NotMeasured(f"no tap: {error.strerror}") from error
