"""Checks of memory that may be pinned, of huge pages, and of where state lies."""

from __future__ import annotations

import re
from typing import Final

from zcframe.framework.abi import BLOCK_SIZE
from zcframe.framework.ring.large import GIVING, RESERVED, SHARED_MODE, free_huge_pages, shared_mode

from .check import Check
from .host import Host

# The default size of a run: 8 rings of 4096 blocks. The xdp source takes four chunks a slot.
QUEUES: Final = 8
SLOTS: Final = 4096
PINNED: Final = QUEUES * SLOTS * BLOCK_SIZE
CHUNKS_A_SLOT: Final = 4
HUGE_PAGE: Final = 2 << 20
HUGE_PAGES: Final = PINNED // HUGE_PAGE
HUGE_FREE: Final = f"{RESERVED}/free_hugepages"


def memlock(host: Host) -> Check:
    found = re.search(r"^Max locked memory\s+(\S+)", host.text("proc/self/limits"), re.MULTILINE)
    limit = found[1] if found else ""
    if limit == "unlimited" or not host.missing("CAP_IPC_LOCK"):
        return Check("memlock", "ok", "memory may be pinned without limit")
    if not limit.isdecimal():
        return Check("memlock", "none", "its limit is not told here")
    wanted = PINNED * CHUNKS_A_SLOT
    if int(limit) >= wanted:
        return Check("memlock", "ok", f"{int(limit) >> 20} MiB may be pinned")
    text = (
        f"{int(limit) >> 20} MiB may be pinned; {QUEUES} queues need {PINNED >> 20} by zerocopy, {wanted >> 20} by xdp"
    )
    return Check("memlock", "warn", text, f"ulimit -l {wanted >> 10}")


def hugepages(host: Host) -> Check:
    free = host.number(HUGE_FREE)
    if free is None:
        return Check("hugepages", "none", "this kernel has none of 2 MiB")
    if free >= HUGE_PAGES:
        return Check("hugepages", "ok", f"{free} of 2 MiB are free: --hugepages finds its memory")
    text = f"{free} of 2 MiB are free; --hugepages needs them, {HUGE_PAGES} for {QUEUES} queues"
    return Check("hugepages", "none", text, f"sysctl vm.nr_hugepages={HUGE_PAGES}")


def state(host: Host) -> Check:
    """What pages a run takes for the state of its plugins."""
    free, mode = free_huge_pages(host.root), shared_mode(host.root)
    if mode in GIVING:
        return Check("state", "ok", f"plugins' state finds huge pages (shmem_enabled is {mode})")
    if free > 0:
        return Check("state", "ok", f"plugins' state finds huge pages where {free * HUGE_PAGE >> 20} MiB suffice")
    remedy = f"echo advise >/{SHARED_MODE}, or sysctl vm.nr_hugepages=N"
    return Check("state", "none", "plugins' state lies in pages of 4 KiB; huge ones make large tables faster", remedy)


CHECKS: Final = (memlock, hugepages, state)
