"""Functions of the C library, for compiled code. Linked by name, so that compiled code can be kept on disk."""

from __future__ import annotations

import numpy as np
from numba import types

from .address import load_u32, load_u64
from .compiler import inlined

_clock = types.ExternalFunction("clock_gettime", types.int32(types.int32, types.int64))
_read = types.ExternalFunction("pread", types.int64(types.int32, types.int64, types.int64, types.int64))
_write = types.ExternalFunction("write", types.int64(types.int32, types.int64, types.int64))
_errno = types.ExternalFunction("__errno_location", types.int64())
_poll = types.ExternalFunction("poll", types.int32(types.int64, types.uint64, types.int32))
_sleep = types.ExternalFunction("usleep", types.int32(types.uint32))
_yield = types.ExternalFunction("sched_yield", types.int32())

CLOCK_REALTIME = 0
CLOCK_MONOTONIC = 1


@inlined
def read_at(fd, address, size, offset):  # type: ignore[no-untyped-def]
    """Read up to `size` bytes of a file, from `offset` on, to `address`: how many; 0 at its end, -1 for an error."""
    return _read(np.int32(fd), address, size, offset)


@inlined
def write_to(fd, address, size):  # type: ignore[no-untyped-def]
    """Write `size` bytes from `address`: how many were taken, -1 for an error."""
    return _write(np.int32(fd), address, size)


@inlined
def last_error():  # type: ignore[no-untyped-def]
    """errno of the call before, which has failed."""
    return load_u32(_errno())


@inlined
def _now(clock, scratch):  # type: ignore[no-untyped-def]
    _clock(np.int32(clock), scratch)
    return load_u64(scratch) * 1_000_000_000 + load_u64(scratch + 8)


@inlined
def realtime_ns(scratch):  # type: ignore[no-untyped-def]
    """Nanoseconds since 1970. scratch: address of 16 bytes, which are written over."""
    return _now(CLOCK_REALTIME, scratch)


@inlined
def monotonic_ns(scratch):  # type: ignore[no-untyped-def]
    """CLOCK_MONOTONIC in nanoseconds. scratch: address of 16 bytes, which are written over."""
    return _now(CLOCK_MONOTONIC, scratch)


@inlined
def sleep_us(microseconds):  # type: ignore[no-untyped-def]
    """Sleep for less than a second; a signal ends it."""
    _sleep(np.uint32(microseconds))


@inlined
def poll(fds, count, milliseconds):  # type: ignore[no-untyped-def]
    """Wait for events of so many descriptors; how many have some, -1 for a signal. fds: address of struct pollfd."""
    return _poll(fds, np.uint64(count), np.int32(milliseconds))


@inlined
def yield_cpu():  # type: ignore[no-untyped-def]
    """Let another process of this CPU run, if there is one."""
    _yield()
