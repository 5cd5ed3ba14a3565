"""Pins a process to a CPU, and gives it its former CPUs back. Nothing raises: an unpinned one is only slower."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass

import psutil

from .cpulist import format_cpu_list


@dataclass(frozen=True)
class Pin:
    """The result of pinning `pid` to `cpu`. before: the CPUs that it had; warning: why it is not pinned."""

    pid: int
    cpu: int
    before: tuple[int, ...] = ()
    warning: str | None = None


def _trouble(pid: int, cpus: Iterable[int]) -> str | None:
    """Let the process run on exactly these CPUs. Returns the reason where that fails."""
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
    # A cpuset that became smaller meanwhile cuts the mask without an error.
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
    """Give the process its former CPUs. Returns a warning where that fails; a process that is gone needs nothing."""
    if done.warning is not None or not done.before or not psutil.pid_exists(done.pid):
        return None
    trouble = _trouble(done.pid, done.before)
    if trouble is None or not psutil.pid_exists(done.pid):
        return None
    return f"cannot give process {done.pid} back its CPUs {format_cpu_list(done.before)}: {trouble}"


def pin_to(cpu: int) -> str | None:
    """Pin the calling process to `cpu`, before it starts threads. Returns a warning where that fails."""
    return pin(os.getpid(), cpu).warning
