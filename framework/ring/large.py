"""Memory in huge pages of 2 MiB, where the machine has some to spare; in small ones where it has not.

Reserved huge pages (hugetlbfs) are taken where enough of them are free, and all at once: no later access can fail for
want of one. Otherwise the kernel is asked for transparent ones, where it may give such to shared memory, and falls back
to small pages by itself.
"""

from __future__ import annotations

import mmap
from pathlib import Path
from typing import Final, NamedTuple

from zcframe.framework import sysfs
from zcframe.framework.errors import RingError

from .mapping import HUGE_PAGE, Mapping, make_memory

RESERVED: Final = "sys/kernel/mm/hugepages/hugepages-2048kB"
SHARED_MODE: Final = "sys/kernel/mm/transparent_hugepage/shmem_enabled"
# What a file that is a memfd gets huge pages by; of these, "advise" alone waits to be asked.
GIVING: Final = ("always", "within_size", "advise", "force")

HUGETLB, TRANSPARENT, SMALL = "hugetlb", "transparent", "small"


def _text(root: Path, path: str) -> str:
    try:
        return (root / path).read_text()
    except OSError:
        return ""


def free_huge_pages(root: Path = sysfs.ROOT) -> int:
    """Reserved pages of 2 MiB that nobody has, or is about to have."""
    free, promised = (_text(root, f"{RESERVED}/{name}_hugepages").strip() or "0" for name in ("free", "resv"))
    return int(free) - int(promised)


def shared_mode(root: Path = sysfs.ROOT) -> str:
    """When shared memory gets transparent huge pages: "always", "within_size", "advise", "never", "deny", "force"."""
    return _text(root, SHARED_MODE).partition("[")[2].partition("]")[0]


class LargeMemory(NamedTuple):
    """A memfd, its size in bytes, and its pages: HUGETLB, TRANSPARENT or SMALL."""

    fd: int
    size: int
    pages: str

    def map(self, *, writable: bool, populate: bool = False, behind: int = -1) -> Mapping:
        """Map all of it, from an address on where a huge page can be. Raises RingError where there is no room.

        behind: as of Mapping.
        """
        align = self.size >= HUGE_PAGE
        mapping = Mapping(self.fd, self.size, writable=writable, populate=populate, align=align, behind=behind)
        if self.pages == TRANSPARENT:
            mapping.advise(mmap.MADV_HUGEPAGE)
        return mapping


def make_large_memory(name: str, size: int, *, reserve: bool = True) -> LargeMemory:
    """As `make_memory`, in the largest pages that are there; the size is rounded up to whole ones."""
    whole = -(-size // HUGE_PAGE) * HUGE_PAGE
    if size >= HUGE_PAGE and whole // HUGE_PAGE <= free_huge_pages():
        try:
            return LargeMemory(make_memory(name, whole, huge=True), whole, HUGETLB)
        except RingError:
            pass  # somebody was faster, or a cgroup has its limit
    if size >= HUGE_PAGE and shared_mode() in GIVING:
        return LargeMemory(make_memory(name, whole, reserve=reserve), whole, TRANSPARENT)
    return LargeMemory(make_memory(name, size, reserve=reserve), size, SMALL)
