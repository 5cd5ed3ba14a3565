"""Shared memory that compiled code reaches by address."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import mmap
import os
from functools import partial
from typing import Any, Final

import numpy as np

from zcframe.framework.errors import RingError

F_ADD_SEALS = 1033
F_SEAL_SHRINK = 0x2
F_SEAL_GROW = 0x4
F_SEAL_FUTURE_WRITE = 0x10
HUGE_PAGE = 2 << 20
HUGE_FLAGS = os.MFD_HUGETLB | os.MFD_HUGE_2MB
# Python 3.11 has no names for them.
MAP_FIXED: Final = 0x10
MAP_NORESERVE: Final = 0x4000
FAILED: Final = ctypes.c_void_p(-1).value

_libc: Final = ctypes.CDLL(None, use_errno=True)
_libc.mmap.restype = ctypes.c_void_p
_libc.mmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long)


def make_memory(name: str, size: int, *, reserve: bool = True, huge: bool = False) -> int:
    """A memfd of `size` bytes, zeroed; with `reserve` its pages exist at once, so that no later write can fail.

    huge: in huge pages of 2 MiB, of which the last one may be used in part. Returns the descriptor, close-on-exec,
    sealed against resizing. Raises RingError where memory does not suffice.
    """
    fd, size = -1, -(-size // HUGE_PAGE) * HUGE_PAGE if huge else size
    try:
        fd = os.memfd_create(name, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING | (HUGE_FLAGS if huge else 0))
        os.ftruncate(fd, size)
        if reserve:
            os.posix_fallocate(fd, 0, size)
        fcntl.fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW)
    except OSError as error:
        if fd >= 0:
            os.close(fd)
        raise _no_huge_pages(name, size) if huge else _no_memory(name, size, error) from error
    return fd


def _no_huge_pages(name: str, size: int) -> RingError:
    return RingError(
        f"no huge pages for {name}: {size // HUGE_PAGE} of 2 MiB wanted; reserve them for all queues"
        " (sysctl vm.nr_hugepages=N), or leave out --hugepages"
    )


def _no_memory(name: str, size: int, error: OSError) -> RingError:
    if error.errno in (errno.EMFILE, errno.ENFILE):
        return RingError(
            f"no descriptor for {name}: {os.strerror(error.errno)}; use fewer --queues, or raise the limit (ulimit -n)"
        )
    return RingError(
        f"no memory for {name}: {size / 2**20:.1f} MiB wanted, {errno.errorcode.get(error.errno or 0, '?')};"
        " use fewer --queues or a smaller --ring-slots"
    )


def seal_writes(fd: int) -> None:
    """Refuse new writable mappings of `fd`; mappings that exist stay as they are."""
    fcntl.fcntl(fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE)


def read_only(fd: int) -> int:
    """Another descriptor of the file, by which it can only be read: no mapping of it becomes writable later."""
    return os.open(f"/proc/self/fd/{fd}", os.O_RDONLY | os.O_CLOEXEC)


def map_at(address: int | None, size: int, protection: int, flags: int, fd: int = -1, offset: int = 0) -> int:
    """mmap(2), which Python calls without an address: returns where the memory is. Raises OSError."""
    found = _libc.mmap(address, size, protection, flags, fd, offset)
    if found == FAILED:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return int(found)


def _map_anywhere(fd: int, size: int, flags: int, protection: int, offset: int) -> tuple[mmap.mmap, int]:
    """A mapping, and where in Python's object it begins."""
    return mmap.mmap(fd, size, flags=flags, prot=protection, offset=offset), 0


def _map_aligned(
    fd: int, size: int, flags: int, protection: int, offset: int, behind: int = -1
) -> tuple[mmap.mmap, int]:
    """As `_map_anywhere`, but it begins at a multiple of HUGE_PAGE.

    Python's object is a room with one page to spare, of which the mapping takes the place: it still unmaps all of it.
    With a file `behind`, that is the room, and what of it lies behind the mapping stays.
    """
    if behind >= 0:
        room = mmap.mmap(behind, 0, mmap.MAP_SHARED, protection)
    else:
        room = mmap.mmap(-1, size + HUGE_PAGE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | MAP_NORESERVE, protection)
    address = int(np.frombuffer(room, np.uint8).ctypes.data)
    begin = -address % HUGE_PAGE
    map_at(address + begin, size, protection, flags | MAP_FIXED, fd, offset)
    return room, begin


class Mapping:
    """One MAP_SHARED mapping: `address` for compiled code, `view(dtype, offset, count)` for Python.

    offset: of the mapping in the file, in bytes. align: its address is a multiple of 2 MiB, so that the kernel can put
    huge pages there. behind: descriptor of a file of HUGE_PAGE, `size` and some more bytes, of which the last follow
    the mapping: `view` reaches them, too. Raises RingError where there is no room for it.
    """

    def __init__(
        self,
        fd: int,
        size: int,
        *,
        writable: bool,
        populate: bool = False,
        offset: int = 0,
        align: bool = False,
        behind: int = -1,
    ) -> None:
        protection = mmap.PROT_READ | (mmap.PROT_WRITE if writable else 0)
        flags = mmap.MAP_SHARED | (mmap.MAP_POPULATE if populate else 0)
        make = _map_aligned if align else _map_anywhere
        if behind >= 0:
            make = partial(_map_aligned, behind=behind)
        try:
            self._memory, self._begin = make(fd, size, flags, protection, offset)
        except OSError as error:
            if error.errno != errno.ENOMEM:
                raise
            raise _no_memory("a mapping", size, error) from error
        self.size = size
        self.writable = writable
        self._bytes: np.ndarray[Any, np.dtype[np.uint8]] | None = self.view(np.uint8, 0, size)
        self.address = int(self._bytes.ctypes.data)

    @property
    def place(self) -> range:
        """Its addresses."""
        return range(self.address, self.address + self.size)

    def view(self, dtype: Any, offset: int = 0, count: int = 1) -> np.ndarray[Any, Any]:
        """Array of `count` items of `dtype` at byte `offset`; live, read-only where the mapping is."""
        return np.frombuffer(self._memory, dtype=dtype, count=count, offset=self._begin + offset)

    @property
    def behind(self) -> int:
        """Where the file behind the mapping goes on after it, in bytes of that file."""
        return self._begin + self.size

    def advise(self, advice: int) -> None:
        """Tell the kernel how the memory will be used (mmap.MADV_*), where it takes such advice."""
        with contextlib.suppress(OSError):
            self._memory.madvise(advice, self._begin, self.size)

    def close(self) -> None:
        """Unmap. The caller has dropped its views before; a view that is left keeps the mapping alive."""
        self._bytes = None
        try:
            self._memory.close()
        except BufferError:
            return
