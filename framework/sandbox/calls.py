"""System calls that a process of the run really makes, each no further than it needs it."""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from zcframe.framework import log as funnel

from .descriptors import STDERR, STDOUT
from .seccomp import Condition, Rule

# Time, sleep and locks; memory of its own; signals that the kernel hands to it; its end.
PLAIN: Final = (
    "clock_gettime",
    "clock_gettime64",
    "clock_getres",
    "gettimeofday",
    "time",
    "clock_nanosleep",
    "clock_nanosleep_time64",
    "nanosleep",
    "poll",
    "ppoll",
    "ppoll_time64",
    "restart_syscall",
    "sched_yield",
    "getcpu",
    "futex",
    "futex_time64",
    "brk",
    "munmap",
    "mremap",
    "madvise",
    "rt_sigaction",
    "rt_sigprocmask",
    "rt_sigreturn",
    "sigaltstack",
    "getpid",
    "gettid",
    "getppid",
    "getrandom",
    "close",
    "exit",
    "exit_group",
)
ANONYMOUS: Final = (Condition(2, 0, mmap.PROT_EXEC), Condition(3, mmap.MAP_ANONYMOUS, mmap.MAP_ANONYMOUS))


class Reach(NamedTuple):
    """Descriptors of one worker. wake: its eventfd; poll: what frames come by, which may be the same one."""

    wake: int
    poll: int


def _on(call: str, fds: Iterable[int]) -> Iterator[Rule]:
    """The call, with one of these descriptors as its first argument."""
    return (Rule(call, (Condition(0, fd),)) for fd in dict.fromkeys(fds) if fd >= 0)


def _common() -> Iterator[Rule]:
    """What every process of the run needs: calls that harm nobody, its log, its last words."""
    yield from map(Rule, PLAIN)
    for call in ("mmap", "mmap2"):
        yield Rule(call, ANONYMOUS)
    # A handler of the interpreter raises the signal of a fault once more, for itself.
    yield Rule("tgkill", (Condition(0, os.getpid()),))
    sender, lost = funnel.descriptors() or (-1, -1)
    yield from _on("sendto", [sender])
    yield from _on("write", [STDOUT, STDERR, lost])


def worker_rules(reach: Reach) -> Iterator[Rule]:
    """Those of a worker. Without a name to send to, a receive on an XSK wakes its driver, and nothing is sent."""
    yield from _common()
    yield from _on("read", [reach.wake])
    yield from _on("recvfrom", [reach.poll])


def reader_rules(channel: int, wakes: Iterable[int]) -> Iterator[Rule]:
    """Those of a reader of files: they come open, by its channel; it wakes workers."""
    yield from _common()
    yield Rule("pread64")
    for call in ("recvmsg", "sendto"):
        yield from _on(call, [channel])
    yield from _on("write", wakes)


# What no process needs that reads files, forks, and compiles: other programs and processes, networks, the kernel.
HARMFUL: Final = tuple(
    map(
        Rule,
        (
            "execve",
            "execveat",
            "ptrace",
            "process_vm_readv",
            "process_vm_writev",
            "process_madvise",
            "pidfd_open",
            "pidfd_getfd",
            "kcmp",
            "setpriority",
            "socket",
            "connect",
            "bind",
            "listen",
            "bpf",
            "perf_event_open",
            "userfaultfd",
            "io_uring_setup",
            "unshare",
            "setns",
            "chroot",
            "pivot_root",
            "mount",
            "umount2",
            "move_mount",
            "open_tree",
            "fsopen",
            "open_by_handle_at",
            "add_key",
            "keyctl",
            "request_key",
            "symlink",
            "symlinkat",
            "link",
            "linkat",
            "mknod",
            "mknodat",
            "chmod",
            "fchmod",
            "fchmodat",
            "chown",
            "fchown",
            "fchownat",
            "lchown",
            "setxattr",
            "truncate",
        ),
    )
)


def _opening(call: str, flags: int) -> Iterator[Rule]:
    """The call, where it opens a file to write; flags: the number of that argument."""
    return (Rule(call, (Condition(flags, how, os.O_ACCMODE),)) for how in (os.O_WRONLY, os.O_RDWR))


# What changes files, beside what is harmful in any case.
WRITING: Final = (
    *_opening("open", 1),
    *_opening("openat", 2),
    *map(
        Rule, ("openat2", "creat", "mkdir", "mkdirat", "rmdir", "unlink", "unlinkat", "rename", "renameat", "renameat2")
    ),
)
