"""Pins as the kernel sees them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from zcframe.affinity import Pin, pin, pin_to, unpin

NOBODY = 65534


@pytest.fixture
def sleeper() -> Iterator[int]:
    """Pid of a process that does nothing."""
    with subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"]) as process:
        yield process.pid
        process.kill()


def last_cpu() -> int:
    return max(os.sched_getaffinity(0))


def test_pin_and_unpin(sleeper: int) -> None:
    before = os.sched_getaffinity(sleeper)
    done = pin(sleeper, last_cpu())
    assert done == Pin(sleeper, last_cpu(), tuple(sorted(before)))
    assert os.sched_getaffinity(sleeper) == {last_cpu()}
    assert unpin(done) is None
    assert os.sched_getaffinity(sleeper) == before


def in_child(work: str) -> list[str]:
    """Lines that a fresh interpreter prints."""
    done = subprocess.run([sys.executable, "-c", work], capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def test_a_process_pins_itself() -> None:
    work = f"import os; from zcframe.affinity import pin_to; print(pin_to({last_cpu()}), os.sched_getaffinity(0))"
    assert in_child(work) == [f"None {{{last_cpu()}}}"]


def test_children_and_threads_inherit_it() -> None:
    work = (
        "import os, threading; from zcframe.affinity import pin_to\n"
        f"pin_to({last_cpu()})\n"
        "thread = threading.Thread(target=lambda: print(os.sched_getaffinity(0))); thread.start(); thread.join()\n"
        "os.system('nproc')"
    )
    assert in_child(work) == [str({last_cpu()}), "1"]


def test_a_cpu_that_is_not_there(sleeper: int) -> None:
    before = os.sched_getaffinity(sleeper)
    done = pin(sleeper, 8000)
    assert done.warning and done.warning.startswith(f"cannot pin process {sleeper} to CPU 8000: ")
    assert os.sched_getaffinity(sleeper) == before
    assert unpin(done) is None


def test_a_process_that_is_gone(sleeper: int) -> None:
    done = pin(sleeper, last_cpu())
    os.kill(sleeper, signal.SIGKILL)
    os.waitpid(sleeper, 0)
    assert unpin(done) is None
    again = pin(sleeper, last_cpu())
    assert again.warning and "the process is gone; it runs where the scheduler puts it" in again.warning


def _pin_as_nobody(pid: int, cpu: int) -> str:
    """What a process without privileges is told, by way of a fork."""
    receive, send = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([])
            os.setuid(NOBODY)
            os.write(send, str(pin(pid, cpu).warning).encode())
        finally:
            os._exit(0)
    os.close(send)
    os.waitpid(child, 0)
    with os.fdopen(receive, "rb") as pipe:
        return pipe.read().decode()


def test_no_permission(sleeper: int) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root, to become somebody else")
    before = os.sched_getaffinity(sleeper)
    told = _pin_as_nobody(sleeper, last_cpu())
    assert told.startswith(f"cannot pin process {sleeper} to CPU {last_cpu()}: no permission")
    assert os.sched_getaffinity(sleeper) == before


def test_no_permission_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """A sandbox that forbids the system call even for oneself."""

    def refuse(pid: int, mask: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    before = os.sched_getaffinity(0)
    monkeypatch.setattr("psutil._pslinux.cext.proc_cpu_affinity_set", refuse)
    told = pin_to(last_cpu())
    assert told and told.startswith(f"cannot pin process {os.getpid()} to CPU {last_cpu()}: no permission")
    assert os.sched_getaffinity(0) == before


def test_a_kernel_that_cuts_the_mask(monkeypatch: pytest.MonkeyPatch) -> None:
    """A cpuset that excludes the CPU meanwhile: the call succeeds, the process runs elsewhere."""
    monkeypatch.setattr("psutil.Process.cpu_affinity", lambda process, cpus=None: [3, 5])
    told = pin_to(4)
    assert told and "to CPU 4: the kernel allowed 3,5;" in told
