#!/usr/bin/env python3
"""ring_reader.py INTERFACE QUEUE COUNT: print COUNT frames of a receive queue, read where the NIC put them.

Needs root, both kernel modules (docs/kernel.md) and Python's standard library. kernel/include/uapi/linux/pf_zerocopy.h
describes every structure here, and names the barriers.

Python has no barriers. On x86-64 it needs none: that processor keeps loads in order and stores in order, and poll()
looks at the ring once more behind a barrier of the kernel's. On any other processor, read the ring in C.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import platform
import select
import socket
import struct
import sys
from collections.abc import Iterator
from pathlib import Path

FAMILY = Path("/sys/module/pf_zerocopy/parameters/family")
ETH_P_ALL = 3
MAGIC, VERSION = 0x5A43524E, 1
PGOFF_RING, PGOFF_USER, PGOFF_BUFFER = 0x000000000, 0x100000000, 0x200000000
WANT_WAKE = 1

# The start of zc_ring_header; zc_desc; sockaddr_zc.
HEADER, DESC, ADDRESS = struct.Struct("=IHHIIIIHHIQ"), struct.Struct("=QIIIHHHHBBH"), struct.Struct("=HHIII")
# 32-bit words: `write` of zc_ring_header; `read` and `flags` of zc_user_page.
WRITE, READ, FLAGS = 128 // 4, 0, 128 // 4


class Reader:
    """The consumer's side of one ring, over three mappings: the kernel's ring, the user's page, the User Buffer."""

    def __init__(self, ring: mmap.mmap, user: mmap.mmap, blocks: mmap.mmap) -> None:
        _, _, _, self.desc_size, self.desc_offset, self.slots, *_ = header_of(ring)
        self.descriptors, self.blocks = memoryview(ring), memoryview(blocks)
        # A view of words loads and stores four bytes at once; struct.pack_into() would store byte after byte.
        self.ring_words, self.user_words = memoryview(ring).cast("I"), memoryview(user).cast("I")

    def ready(self) -> int:
        """How many frames wait. The counters run freely over 32 bits."""
        return (self.ring_words[WRITE] - self.user_words[READ]) & 0xFFFFFFFF

    def frames(self, count: int) -> Iterator[tuple[tuple[int, ...], memoryview]]:
        """(descriptor, bytes in place) of the next `count` frames, each until the next one is asked for."""
        for _ in range(count):
            read = self.user_words[READ]
            # Descriptors may be longer than this program knows: desc_size is their distance.
            slot = self.desc_offset + (read & (self.slots - 1)) * self.desc_size
            desc = DESC.unpack_from(self.descriptors, slot)
            offset, length = desc[1], desc[4]
            yield desc, self.blocks[offset : offset + length]
            self.user_words[READ] = (read + 1) & 0xFFFFFFFF  # the block is the card's again

    def sleep(self, fd: int) -> bool:
        """Until a frame is there; False where the device is gone."""
        poller = select.poll()
        poller.register(fd, select.POLLIN)
        self.user_words[FLAGS] = WANT_WAKE
        events = poller.poll()
        self.user_words[FLAGS] = 0
        return not any(event & (select.POLLERR | select.POLLHUP) for _, event in events)


def header_of(ring: mmap.mmap) -> tuple[int, ...]:
    """Magic, version, bytes of the header, of a descriptor, up to the first one, slots, and so on."""
    header = HEADER.unpack_from(ring)
    if header[:2] != (MAGIC, VERSION):
        sys.exit(f"a ring of version {header[1]}, this is {VERSION}")
    return header


def open_queue(interface: str, queue: int) -> socket.socket:
    """Take the queue: from here on the card fills our blocks."""
    family = int(FAMILY.read_text())
    sock = socket.socket(family, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    # Python's own bind() knows no addresses of this family.
    address = ADDRESS.pack(family, 0, socket.if_nametoindex(interface), queue, 0)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.bind(sock.fileno(), address, len(address)):
        raise OSError(ctypes.get_errno(), f"bind to queue {queue} of {interface}: {os.strerror(ctypes.get_errno())}")
    return sock


def map_queue(fd: int) -> Reader:
    """The first page says how large all else is."""
    header = header_of(mmap.mmap(fd, mmap.PAGESIZE, mmap.MAP_SHARED, mmap.PROT_READ, offset=PGOFF_RING))
    desc_size, desc_offset, slots, user_size, buffer_size = *header[3:6], *header[9:11]
    ring = mmap.mmap(fd, desc_offset + slots * desc_size, mmap.MAP_SHARED, mmap.PROT_READ, offset=PGOFF_RING)
    user = mmap.mmap(fd, user_size, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE, offset=PGOFF_USER)
    return Reader(ring, user, mmap.mmap(fd, buffer_size, mmap.MAP_SHARED, mmap.PROT_READ, offset=PGOFF_BUFFER))


def main(interface: str, queue: int, count: int) -> int:
    if not FAMILY.exists():
        sys.exit("PF_ZEROCOPY is not loaded")
    if platform.machine() != "x86_64":
        sys.exit(f"Python cannot read a ring safely on {platform.machine()}: ring_reader.c can")
    sock = open_queue(interface, queue)
    reader = map_queue(sock.fileno())
    print(f"reading queue {queue} of {interface}: {reader.slots} slots", flush=True)
    while count:
        ready = min(reader.ready(), count)
        for desc, frame in reader.frames(ready):
            timestamp, _, wire_len, rss_hash, length, *_, rss_type, _, _ = desc
            print(f"{timestamp} {length}/{wire_len} {rss_type} {rss_hash:08x} {frame.hex()}")
        count -= ready
        if count and not reader.sleep(sock.fileno()):
            return 1
    return 0


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(f"usage: {sys.argv[0]} INTERFACE QUEUE COUNT")
    sys.exit(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
