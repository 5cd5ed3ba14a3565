"""The watchdog of a worker: finds out that a plugin does not return from a packet."""

from __future__ import annotations

from dataclasses import dataclass

import psutil

from zcframe.framework.worker.post import Post

# A worker is stuck when it has used this much CPU time inside one plugin on one packet.
STUCK_CPU_S = 2.0


@dataclass
class Watchdog:
    """Where the worker was seen last, as (packet, plugin from 1), and the CPU seconds that it had used then."""

    seen: tuple[int, int] = (-1, 0)
    seen_cpu: float = 0.0
    stuck: bool = False

    def look(self, post: Post, pid: int) -> bool:
        """Look at the worker once more; True when this look finds it stuck."""
        if self.stuck:
            return False
        at = post.packet, post.stage
        if not at[1]:
            self.seen = at
            return False
        cpu = _cpu_seconds(pid)
        if cpu is None:
            return False
        if at != self.seen:
            self.seen, self.seen_cpu = at, cpu
        else:
            self.stuck = cpu - self.seen_cpu >= STUCK_CPU_S
        return self.stuck


def _cpu_seconds(pid: int) -> float | None:
    """CPU time of the process in user mode; None where nobody can tell it now."""
    try:
        times = psutil.Process(pid).cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    except (psutil.Error, OSError):
        return None
    return float(times.user)
