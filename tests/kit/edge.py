"""Frames that end where the memory ends: one byte read past the end would kill the test."""

from __future__ import annotations

import ctypes
import functools
import mmap

import numpy as np

PAGE = mmap.PAGESIZE
PROT_NONE = 0


# It lives as long as the address is in use.
_memory = mmap.mmap(-1, 2 * PAGE)


@functools.cache
def edge() -> int:
    """Address of the first byte that cannot be read; the page before it can."""
    address = int(np.frombuffer(_memory, np.uint8).ctypes.data) + PAGE
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.mprotect(ctypes.c_void_p(address), ctypes.c_size_t(PAGE), PROT_NONE) == 0
    return address


def at_the_edge(frame: bytes) -> int:
    """Address of a copy of the frame, at most a page long, in front of that byte; until the next call."""
    address = edge() - len(frame)
    ctypes.memmove(address, frame, len(frame))
    return address
