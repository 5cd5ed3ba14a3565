"""A process that is led from store to store, and may be killed between any two.

What another process sees of it is what it stores in shared memory, so that to stop at each such store is as good as to stop
at each instruction. All shared memory of the process is made read-only: it runs at full speed up to a store, faults, is
let through for this one instruction, and stands still again. Where that is not known to work it goes in single steps.
"""

from __future__ import annotations

import contextlib
import ctypes
import mmap
import os
import platform
import signal
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar, Self

PTRACE_TRACEME, PTRACE_CONT, PTRACE_SINGLESTEP = 0, 7, 9
PTRACE_GETREGS, PTRACE_SETREGS, PTRACE_GETSIGINFO = 12, 13, 0x4202
CRASHES = {signal.SIGSEGV, signal.SIGBUS, signal.SIGILL, signal.SIGFPE, signal.SIGABRT}

libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
libc.ptrace.restype = ctypes.c_long


# Offset of si_addr, and size, of siginfo_t.
FAULT_ADDRESS, SIGINFO = 16, 128


class Registers(ctypes.Structure):
    """user_regs_struct of x86-64."""

    _fields_ = tuple(
        (name, ctypes.c_uint64)
        for name in (
            *("r15", "r14", "r13", "r12", "rbp", "rbx", "r11", "r10", "r9", "r8", "rax", "rcx", "rdx", "rsi", "rdi"),
            *("orig_rax", "rip", "cs", "eflags", "rsp", "ss", "fs_base", "gs_base", "ds", "es", "fs", "gs"),
        )
    )


SYS_MPROTECT = 10


def _syscall_instruction() -> int:
    """Address of one in libc, which a fork has at the same place."""
    start = ctypes.cast(libc.syscall, ctypes.c_void_p).value
    assert start is not None
    return start + ctypes.string_at(start, 64).index(b"\x0f\x05")


def shared_memory(pid: int) -> list[tuple[int, int]]:
    """(begin, end) of each writable shared mapping of a process."""
    rows = [row.split() for row in Path(f"/proc/{pid}/maps").read_text().splitlines()]
    spans = [row[0].split("-") for row in rows if row[1].startswith("rw") and row[1].endswith("s")]
    return [(int(begin, 16), int(end, 16)) for begin, end in spans]


def trace_me() -> None:
    """In the child: from here on its parent leads it."""
    libc.ptrace(PTRACE_TRACEME, 0, None, None)
    os.kill(os.getpid(), signal.SIGSTOP)


def may_trace() -> bool:
    """Containers may forbid it, and not every machine can step."""
    with Traced.ahead_of(lambda: None) as traced:
        return bool(libc.ptrace(PTRACE_SINGLESTEP, traced.pid, None, None) == 0)


class Traced:
    """Child `pid`, which stands still as soon as it has called `trace_me`.

    guards: whether shared memory is guarded; else every instruction counts as a store. signal: the one that it stopped
    at last.
    """

    guards: ClassVar[bool] = platform.machine() == "x86_64"

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.signal = 0
        self._guarded: list[tuple[int, int]] = []
        assert self._stopped() == signal.SIGSTOP

    @classmethod
    def ahead_of(cls, run: Callable[[], object]) -> Self:
        """A fork ahead of `run()`; when that has returned, it stops by a signal."""
        pid = os.fork()
        if pid == 0:
            try:
                trace_me()
                run()
                os.kill(os.getpid(), signal.SIGSTOP)
            finally:
                os._exit(1)
        return cls(pid)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def _ask(self, request: int, data: object = None) -> None:
        assert libc.ptrace(request, self.pid, None, data) == 0, os.strerror(ctypes.get_errno())

    def _stopped(self) -> int:
        """The signal that it stopped at. A crash is one, too, and would come again and again."""
        _, status = os.waitpid(self.pid, os.WUNTRACED)
        assert os.WIFSTOPPED(status), status
        self.signal = number = os.WSTOPSIG(status)
        assert number not in CRASHES or self._hit() is not None, signal.strsignal(number)
        return number

    def go_on(self) -> int:
        """Up to its next signal, which is returned."""
        self._ask(PTRACE_CONT)
        return self._stopped()

    def step(self) -> bool:
        """One instruction; False where a signal came in its place."""
        self._ask(PTRACE_SINGLESTEP)
        return self._stopped() == signal.SIGTRAP

    def to_store(self) -> bool:
        """On to the next store in shared memory, which is then done; False where a signal came in its place.

        More stops than stores are possible: where there is no guard, each instruction is one.
        """
        if not self.guards:
            return self.step()
        if not self._guarded:
            self._guarded = shared_memory(self.pid)
            for span in self._guarded:
                self._protect(span, mmap.PROT_READ)
        return self.go_on() == signal.SIGSEGV and self._let_through()

    def _let_through(self) -> bool:
        """The instruction that was stopped, with all that it stores."""
        opened = []
        stepped = False
        while not stepped:
            span = self._hit()
            if span is None:
                break
            opened.append(span)
            self._protect(span, mmap.PROT_READ | mmap.PROT_WRITE)
            stepped = self.step()
        for span in opened:
            self._protect(span, mmap.PROT_READ)
        return stepped

    def _hit(self) -> tuple[int, int] | None:
        """The guarded mapping whose guard it ran into, if that is why it stopped."""
        info = ctypes.create_string_buffer(SIGINFO)
        self._ask(PTRACE_GETSIGINFO, info)
        if int.from_bytes(info[:4], "little") != signal.SIGSEGV:
            return None
        address = int.from_bytes(info[FAULT_ADDRESS : FAULT_ADDRESS + 8], "little")
        return next((span for span in self._guarded if span[0] <= address < span[1]), None)

    def _protect(self, span: tuple[int, int], protection: int) -> None:
        """Have it call mprotect where it stands."""
        before, there = Registers(), Registers()
        self._ask(PTRACE_GETREGS, ctypes.byref(before))
        ctypes.pointer(there)[0] = before
        there.rip, there.rax = _syscall_instruction(), SYS_MPROTECT
        there.rdi, there.rsi, there.rdx = span[0], span[1] - span[0], protection
        self._ask(PTRACE_SETREGS, ctypes.byref(there))
        assert self.step()
        self._ask(PTRACE_GETREGS, ctypes.byref(there))
        assert there.rax == 0, f"mprotect: {os.strerror(2**64 - there.rax)}"
        self._ask(PTRACE_SETREGS, ctypes.byref(before))

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError, ChildProcessError):
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
