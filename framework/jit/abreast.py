"""Compiling side by side: child processes put what is missing into the cache."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

from numba.core.registry import cpu_target

from zcframe.framework.child import fork_child

from .compiler import CACHE, Task

PROCESS_NAME = "zc-compiler"


def _take(queue: int, jobs: Sequence[Task]) -> Iterator[Task]:
    """Jobs, as long as there are some: each number in the pipe is read by one process only."""
    while number := os.read(queue, 1):
        yield jobs[number[0]]


def _compile(queue: int, jobs: Sequence[Task]) -> None:
    """Body of a child process. What fails here is left to the parent, which fails in it again, and can tell."""
    for job in _take(queue, jobs):
        with contextlib.suppress(Exception):
            job.run()


@contextmanager
def _queued(jobs: Sequence[Task]) -> Iterator[int]:
    """The reading end of a pipe with the number of each job, a byte each."""
    queue, end = os.pipe()
    try:
        os.write(end, bytes(range(len(jobs))))
        os.close(end)
        yield queue
    finally:
        os.close(queue)


def _end(pid: int) -> None:
    """Wait for a child process; kill it first, unless it ends of its own accord because all jobs are done."""
    with contextlib.suppress(ProcessLookupError, ChildProcessError):
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def compile_abreast(jobs: Sequence[Task]) -> None:
    """Compile at most 256 functions, by as many processes as there are CPUs, this one among them.

    What others compiled is in the cache after that. Raises what numba raises for a function that it does not take.
    """
    # What every function needs is set up once.
    cpu_target.target_context.refresh()
    others = min(len(jobs), len(os.sched_getaffinity(0))) - 1 if CACHE is not None else 0
    with _queued(jobs) as queue, ExitStack() as children:
        pids = []
        for _ in range(others):
            try:
                pids.append(fork_child(PROCESS_NAME, lambda: _compile(queue, jobs)))
            except (OSError, MemoryError):
                break  # then there are fewer
            children.callback(_end, pids[-1])
        for job in _take(queue, jobs):
            job.run()
        for pid in pids:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, 0)
        children.pop_all()
