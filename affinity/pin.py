"""Pin a process to its CPU, and give it back the CPUs it had. Nothing raises: unpinned is slower, not wrong."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass

import psutil

from .cpulist import format_cpu_list


@dataclass(frozen=True)
class Pin:
    """The outcome of pinning `pid` to `cpu`: `before` are the CPUs it had; `warning` says why it is not pinned."""

    pid: int
    cpu: int
    before: tuple[int, ...] = ()
    warning: str | None = None


def _trouble(pid: int, cpus: Iterable[int]) -> str | None:
    """Let the process run on exactly these CPUs. Returns why it does not; None on success."""
    wanted = sorted(cpus)
    try:
        process = psutil.Process(pid)
        process.cpu_affinity(wanted)
        got = sorted(process.cpu_affinity())
    except psutil.NoSuchProcess:
        return "the process is gone"
    except psutil.AccessDenied:
        return "no permission (processes of other users need CAP_SYS_NICE; a sandbox may forbid it altogether)"
    except (OSError, ValueError) as error:
        return str(error)
    # Where a cpuset shrank meanwhile, the kernel cuts the mask without an error.
    return None if got == wanted else f"the kernel allowed {format_cpu_list(got)}"


def _affinity(pid: int) -> tuple[int, ...]:
    try:
        return tuple(psutil.Process(pid).cpu_affinity())
    except (psutil.Error, OSError):
        return ()


def pin(pid: int, cpu: int) -> Pin:
    """Pin the main thread of `pid`, and all threads that it starts from now on, to `cpu`."""
    before = _affinity(pid)
    trouble = _trouble(pid, [cpu])
    if trouble is None:
        return Pin(pid, cpu, before)
    warning = f"cannot pin process {pid} to CPU {cpu}: {trouble}; it runs where the scheduler puts it"
    return Pin(pid, cpu, before, warning)


def unpin(done: Pin) -> str | None:
    """Give the process the CPUs that it had before; a warning where that fails. Nothing to do where it is gone."""
    if done.warning is not None or not done.before or not psutil.pid_exists(done.pid):
        return None
    trouble = _trouble(done.pid, done.before)
    if trouble is None or not psutil.pid_exists(done.pid):
        return None
    return f"cannot give process {done.pid} back its CPUs {format_cpu_list(done.before)}: {trouble}"


def pin_to(cpu: int) -> str | None:
    """Pin the calling process to `cpu`; a warning where that fails. For a worker, before it starts threads."""
    return pin(os.getpid(), cpu).warning
