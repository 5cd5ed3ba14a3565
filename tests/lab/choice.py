"""On which kernels a scenario runs: on all in `make lab`, on fewer of them in a run of all tests."""

from __future__ import annotations

from types import ModuleType

from .kernels import Kernel

# By what they are to this machine's Debian: the newest and the oldest of its own, and the newest of the next release's.
NEWEST, OLDEST, NEXT = "newest", "oldest", "next"
EVERYWHERE = (NEWEST, OLDEST, NEXT)


def by_role(kernels: dict[str, Kernel]) -> dict[str, Kernel]:
    """Role -> kernel, of kernels that come newest first; one that is the only one of its own is the newest."""
    own = [kernel for kernel in kernels.values() if kernel.headers.root is None]
    others = [kernel for kernel in kernels.values() if kernel.headers.root is not None]
    return {role: found[0] for role, found in ((NEWEST, own), (OLDEST, own[:0:-1]), (NEXT, others)) if found}


def why_not(scenario: ModuleType, role: str) -> str:
    """Why a run of all tests leaves it out on a kernel: its `ROLES` are those on which something differs for it."""
    roles: tuple[str, ...] = getattr(scenario, "ROLES", (NEWEST, OLDEST))
    return "" if role in roles else f"make lab runs it here; a run of all tests on: {', '.join(roles)}"
