"""Pages of shared memory: of 4 KiB or huge, as asked, and proof of which they became."""

from __future__ import annotations

import ctypes
import mmap
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from .bench import NotMeasured

MADV_HUGEPAGE, MADV_NOHUGEPAGE, MADV_COLLAPSE = 14, 15, 25
PROT_NONE, MAP_FIXED, MAP_FAILED = 0, 0x10, ctypes.c_void_p(-1).value
HUGE_PAGE = 2 << 20
# A mapping counts as huge where at least so much of what is there of it lies in huge pages.
MOSTLY = 0.9

libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
libc.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]

Memory = np.ndarray[Any, np.dtype[np.uint8]]


def shared_memory(size: int) -> Memory:
    """Zeroed shared memory, as zcframe's state is, of whole huge pages; it stays until the process ends.

    A huge page needs address and place in the mapping to agree, so that the mapping itself begins with one.
    """
    whole = -(-size // HUGE_PAGE) * HUGE_PAGE
    room = _mapped(None, whole + HUGE_PAGE, PROT_NONE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    begin = -(-room // HUGE_PAGE) * HUGE_PAGE
    _mapped(begin, whole, mmap.PROT_READ | mmap.PROT_WRITE, mmap.MAP_SHARED | mmap.MAP_ANONYMOUS | MAP_FIXED)
    return np.frombuffer((ctypes.c_uint8 * whole).from_address(begin), np.uint8)


def _mapped(address: int | None, size: int, protection: int, flags: int) -> int:
    found = libc.mmap(address, size, protection, flags, -1, 0)
    if found == MAP_FAILED:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return int(found)


def _advise(address: int, size: int, advice: int) -> int:
    """0 or the errno."""
    page = os.sysconf("SC_PAGESIZE")
    begin = address // page * page
    return 0 if libc.madvise(begin, address + size - begin, advice) == 0 else ctypes.get_errno()


def _fields(address: int, size: int) -> Iterator[tuple[str, int]]:
    """(name, KiB) of all that the kernel tells of the mappings there."""
    inside = False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        if found := re.match(r"([0-9a-f]+)-([0-9a-f]+) ", line):
            inside = int(found[1], 16) < address + size and address < int(found[2], 16)
        elif inside and line.endswith(" kB"):
            name, value = line.split()[:2]
            yield name.rstrip(":"), int(value)


def huge_share(address: int, size: int) -> float:
    """Share of the memory there that lies in huge pages; 0 where there is none."""
    told = list(_fields(address, size))
    reserved = sum(kib for name, kib in told if name in ("Shared_Hugetlb", "Private_Hugetlb"))
    huge = sum(kib for name, kib in told if name in ("ShmemPmdMapped", "FilePmdMapped", "AnonHugePages"))
    resident = sum(kib for name, kib in told if name == "Rss")
    return (huge + reserved) / (resident + reserved) if resident + reserved else 0.0


def keep_small(address: int, size: int) -> None:
    """Have the memory there in pages of 4 KiB from now on. Raises NotMeasured where it lies in huge ones already."""
    _advise(address, size, MADV_NOHUGEPAGE)
    reserved = any(name == "KernelPageSize" and kib * 1024 == HUGE_PAGE for name, kib in _fields(address, size))
    if reserved or huge_share(address, size):
        raise NotMeasured("the memory came in huge pages, and stays there")


def make_huge(address: int, size: int) -> None:
    """Put the memory there, which has been written, into huge pages. Raises NotMeasured where the kernel will not."""
    _advise(address, size, MADV_HUGEPAGE)
    if address % HUGE_PAGE:
        raise NotMeasured("the state's mapping does not begin with a huge page")
    end = address + size // HUGE_PAGE * HUGE_PAGE
    # A piece at a time: where one cannot be, the others still can.
    failures = {_advise(piece, HUGE_PAGE, MADV_COLLAPSE) for piece in range(address, end, HUGE_PAGE)} - {0}
    share = huge_share(address, size)
    if share < MOSTLY:
        why = f": {os.strerror(failures.pop())}" if failures else ""
        raise NotMeasured(f"{share:.0%} of the state came into huge pages{why}")
