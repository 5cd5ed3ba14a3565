"""Shared memory that a fork inherits, and how it loses it.

A mapping is not unmapped but replaced, by memory that nobody can touch: objects of Python that were inherited with it
may still unmap its place, and must find nothing else there. The descriptor behind it is closed as well, so that the
process has no way back.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from zcframe.framework.ring.mapping import MAP_FIXED, MAP_NORESERVE, map_at

MAPS: Final = Path("/proc/self/maps")
PROT_NONE: Final = 0
EMPTY: Final = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED
# Shared mappings of files on disk are tables of the C library, and memory of libffi: nobody's but this process's.
OURS: Final = (b"/memfd:zc-", b"/dev/zero", b"/dev/shm/", b"/anon_hugepage")


def _is_run_memory(path: bytes) -> bool:
    """Whether a mapping of this name is memory of the run: ours, or that of a socket or of bpf, which have no path."""
    return path.startswith(OURS) or not path.startswith(b"/")


def _mapped(line: bytes) -> range | None:
    """Addresses of a line of /proc/self/maps, where it is a shared mapping of the run."""
    place, access, _, _, _, *name = line.split(maxsplit=5)
    if access[3:] != b"s" or not _is_run_memory(name[0].strip() if name else b""):
        return None
    return range(*(int(address, 16) for address in place.split(b"-")))


def shared_memory() -> list[range]:
    """Addresses of all memory that this process shares with others of the run, in order. Raises OSError."""
    return [found for line in MAPS.read_bytes().splitlines() if (found := _mapped(line))]


def _whole_pages(part: range) -> range:
    return range(part.start // mmap.PAGESIZE * mmap.PAGESIZE, -(-part.stop // mmap.PAGESIZE) * mmap.PAGESIZE)


def _without(whole: range, kept: Iterable[range]) -> Iterator[range]:
    """The parts of a range that no range of `kept` covers. kept: in order, none of them overlap."""
    start = whole.start
    for part in kept:
        if part.stop <= start or part.start >= whole.stop:
            continue
        if part.start > start:
            yield range(start, part.start)
        start = part.stop
    if start < whole.stop:
        yield range(start, whole.stop)


def cut_off(inherited: Iterable[range], kept: Iterable[range]) -> None:
    """Lose what was inherited and is not kept; of a page that is kept in part nothing is lost. Raises OSError."""
    kept = sorted(map(_whole_pages, kept), key=lambda part: part.start)
    for whole in inherited:
        for part in _without(whole, kept):
            map_at(part.start, len(part), PROT_NONE, EMPTY)
