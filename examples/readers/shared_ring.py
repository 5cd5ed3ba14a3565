#!/usr/bin/env python3
"""shared_ring.py SOCKET: count the frames and bytes of a `zcframe run --out ring:NAME`, in bursts, with numpy.

Needs numpy, and x86-64, whose processors keep loads in order: on any other, read the ring in C (shared_ring.c). What
`wait` returns lies in the writer's memory: take what you need; `release` says whether it was overwritten meanwhile.
"""

from __future__ import annotations

import contextlib
import mmap
import select
import socket
import sys

import numpy as np

# zc_desc and parts of zc_ring_header of kernel/include/uapi/linux/pf_zerocopy.h.
DESC = np.dtype("u8,u4,u4,u4,u2,u2,u2,u2,u1,u1,u2")
DESC.names = (
    "timestamp",
    "offset",
    "wire_len",
    "rss_hash",
    "len",
    "tci",
    "tpid",
    "status",
    "rss_type",
    "access",
    "port",
)
DESC_OFFSET, SLOTS, STATE, ARRIVED, POSITION, GONE = 12, 16, 44, 192, 192, 3


class Ring:
    """A ring as one of its readers: `lost` counts frames that the writer overwrote before they were read."""

    def __init__(self, path: str) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.socket.connect(path)
        self.socket.send(b"read shared_ring.py")
        word, fds, _, _ = socket.recv_fds(self.socket, 128, 3)
        if not fds:
            sys.exit(f"{path}: {word.decode()}")
        ring, blocks = (mmap.mmap(fd, 0, prot=mmap.PROT_READ) for fd in fds[:2])
        page = mmap.mmap(fds[2], 0)
        self._state = np.frombuffer(ring, "u4", 1, STATE)
        self._arrived = np.frombuffer(ring, "u8", 1, ARRIVED)
        self._own = np.frombuffer(page, "u8", 2, POSITION)
        first, self.slots = (int(np.frombuffer(ring, "u4", 1, at)[0]) for at in (DESC_OFFSET, SLOTS))
        self.descs = np.frombuffer(ring, DESC, self.slots, first)
        self.blocks = np.frombuffer(blocks, "u1")

    @property
    def lost(self) -> int:
        return int(self._own[1])

    def wait(self) -> np.ndarray | None:
        """Descriptors of frames that came, in place, one at least; None when the run has ended."""
        while True:
            ended, position, arrived = self._state[0] == GONE, int(self._own[0]), int(self._arrived[0])
            slot = position % self.slots
            if count := min(arrived - position, self.slots - slot, self.slots // 8):
                return self.descs[slot : slot + count]
            if ended or select.select([self.socket], [], [], 0.001)[0]:
                with contextlib.suppress(OSError):  # the run may have ended
                    self.socket.send(b"bye")
                return None

    def release(self, count: int) -> bool:
        """Go on behind so many frames; False where they may have been overwritten before: they count as lost."""
        position, arrived = int(self._own[0]), int(self._arrived[0])
        whole = arrived - position <= self.slots - self.slots // 4
        if not whole:
            count = arrived - self.slots // 2 - position
            self._own[1] += np.uint64(count)
        self._own[0] = position + count
        return whole


def main(path: str) -> None:
    ring, frames, octets = Ring(path), 0, 0
    while (descs := ring.wait()) is not None:
        count, length = len(descs), int(descs["wire_len"].sum())
        if ring.release(count):
            frames, octets = frames + count, octets + length
    print(f"{frames} frames, {octets} bytes, {ring.lost} lost")


if __name__ == "__main__":
    main(*sys.argv[1:])
