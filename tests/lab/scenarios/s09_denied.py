"""Users without capabilities, other namespaces, RLIMIT_MEMLOCK."""

from __future__ import annotations

from ..bench import IFACE, Bench, expect
from ..choice import EVERYWHERE

TITLE = "unprivileged: EPERM everywhere, RLIMIT_MEMLOCK, read-only ring"
# It meets what kernels changed.
ROLES = EVERYWHERE


def run(bench: Bench) -> str:
    bench.load()
    code, text = bench.guest.attempt(f"denied {IFACE}")
    expect("denied", (code, text), (0, "good"))
    bench.unload()
    return "socket, bind, namespace, memlock, worker"
