"""What a program wants done while it waits for a run: a bar drawn, a function called with snapshots."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeAlias

from .handle import Run
from .progress import Bar
from .result import Snapshot

# What it returns has no effect, but False: that ends the run.
OnSnapshot: TypeAlias = Callable[[Snapshot], object]


class Watch:
    """Called again and again while the run goes on."""

    def __init__(self, on_snapshot: OnSnapshot | None, every: float, bar: Bar | None) -> None:
        self._on_snapshot, self._every, self._bar = on_snapshot, every, bar
        self._due = time.monotonic() + every
        self._told_end = False

    def __call__(self, run: Run) -> None:
        if self._bar is not None:
            self._bar.show(run)
        if self._on_snapshot is not None and run.started and not run.ended and time.monotonic() >= self._due:
            found = run.snapshot()
            self._due = time.monotonic() + self._every
            if not found.final and self._on_snapshot(found) is False and not self._told_end:
                self._told_end = True
                run.stop()


@contextmanager
def watching(on_snapshot: OnSnapshot | None, every: float, *, progress: bool) -> Iterator[Watch | None]:
    """What `Run.wait` is to call; None where nobody watches. Raises ImportError where the bar cannot be drawn."""
    bar = Bar() if progress else None
    try:
        yield Watch(on_snapshot, every, bar) if bar is not None or on_snapshot is not None else None
    finally:
        if bar is not None:
            bar.close()
