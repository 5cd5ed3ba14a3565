"""Rings of bytes that are mapped twice in a row, so that what lies in one is contiguous wherever it begins."""

from __future__ import annotations

import ctypes
import mmap
from typing import Final

from zcframe.framework.errors import RingError, refusal

from .mapping import MAP_FIXED, MAP_NORESERVE, map_at

PROT_NONE: Final = 0

_libc: Final = ctypes.CDLL(None, use_errno=True)
_libc.munmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t)


def _map(address: int | None, size: int, protection: int, flags: int, fd: int, offset: int) -> int:
    try:
        return map_at(address, size, protection, flags, fd, offset)
    except OSError as error:
        raise RingError(f"a ring cannot be mapped: {refusal(error)}") from error


class Mirror:
    """`count` rings of `size` bytes each, whole pages, from `offset` of a file on; ring i begins at `at(i)`.

    Byte p of a ring is also byte p + size. Raises RingError where there is no room.
    """

    def __init__(self, fd: int, offset: int, size: int, count: int, *, writable: bool) -> None:
        self._size, self._whole = size, 2 * size * count
        flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | MAP_NORESERVE
        self._address = _map(None, self._whole, PROT_NONE, flags, -1, 0)
        protection = mmap.PROT_READ | (mmap.PROT_WRITE if writable else 0)
        for half in range(2 * count):
            at = self._address + half * size
            _map(at, size, protection, mmap.MAP_SHARED | MAP_FIXED | mmap.MAP_POPULATE, fd, offset + half // 2 * size)

    def at(self, ring: int) -> int:
        """Address of a ring."""
        return self._address + 2 * ring * self._size

    def close(self) -> None:
        """Unmap all of it; may be called again."""
        if self._whole:
            _libc.munmap(self._address, self._whole)
            self._whole = 0
