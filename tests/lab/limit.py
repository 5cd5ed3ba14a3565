"""How long the lab waits: until a guest hangs, not until a slow host has its turn."""

from __future__ import annotations

import time
from pathlib import Path

# Seconds, of which none counts in which QEMU waited for a processor. They only end a hang: what takes a second on a
# quiet host may take ten on a slow one.
LIMIT = 300.0
BOOT = 600.0
# However much QEMU waits, by the clock.
MOST = 4


def _threads(pid: int) -> list[tuple[str, str, float, float]]:
    """(name, state, seconds it ran, seconds it was ready to run and did not), for each thread."""
    rows = []
    for task in sorted(Path(f"/proc/{pid}/task").iterdir()):
        try:
            ran, waited, _ = map(int, (task / "schedstat").read_text().split())
            name, state = (task / "comm").read_text().strip(), (task / "stat").read_text().rpartition(") ")[2][0]
        except OSError:
            # It ended meanwhile, or this kernel keeps no such account.
            continue
        rows.append((name, state, ran / 1e9, waited / 1e9))
    return rows


def describe_threads(pid: int) -> list[str]:
    """A line a thread."""
    return [f"{name} {state}: ran {ran:.1f} s, waited {waited:.1f} s" for name, state, ran, waited in _threads(pid)]


def delay(pid: int) -> float:
    """Seconds for which the thread that waited longest for a processor has waited, since the process began."""
    return max((waited for *_, waited in _threads(pid)), default=0.0)


class Limit:
    """So many seconds for a process; those in which it was held up by the host come on top."""

    def __init__(self, pid: int, seconds: float) -> None:
        self.seconds = seconds
        self._pid, self._start, self._delay = pid, time.monotonic(), delay(pid)

    def waited(self) -> float:
        """Seconds by the clock."""
        return time.monotonic() - self._start

    def left(self) -> float:
        held_up = delay(self._pid) - self._delay
        return max(0.0, min(self.seconds + held_up, self.seconds * MOST) - self.waited())

    def over(self) -> bool:
        return self.left() == 0
