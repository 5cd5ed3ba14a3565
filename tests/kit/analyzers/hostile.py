"""A plugin that takes over its last worker, the NIC and its readers: each tries what it can do to others.

It runs where code that was taken over by a packet would, with all that the process inherited, and goes on as an honest
one does, so that a run shows whether others came to harm. Each attempt is one line in the log: what was tried, and
`done` or the refusal. No attempt changes anything where it succeeds, so that the same program is its own control: for a
run of root, since a worker of the supervisor's own user would trace it without walls, which stops both.
"""

from __future__ import annotations

import ctypes
import errno
import logging
import mmap
import multiprocessing
import os
import resource
import select
import socket
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import Any, NamedTuple

from zcframe import PASS, Array, plugin, u64
from zcframe.framework.log import descriptors, name_process
from zcframe.framework.sources.soft82576.in_place import InPlaceNic
from zcframe.framework.sources.soft82576.windows import readers
from zcframe.framework.supervisor.crew import Crew
from zcframe.framework.supervisor.member import Member
from zcframe.framework.worker.loop import Worker

log = logging.getLogger("zcframe.hostile")

libc = ctypes.CDLL(None, use_errno=True)
MADV_POPULATE_WRITE = 23
PTRACE_SEIZE = 0x4206
SYSCALLS = {
    "x86_64": {"bpf": 321, "memfd_create": 319, "io_uring_setup": 425, "userfaultfd": 323, "perf_event_open": 298},
    "aarch64": {"bpf": 280, "memfd_create": 279, "io_uring_setup": 425, "userfaultfd": 282, "perf_event_open": 241},
}[os.uname().machine]
PIDFD_OPEN = 434

# What stands behind the name of each attempt in the log.
DONE = "done"


class Reach(NamedTuple):
    """What the hostile worker has to aim at: itself, a neighbour, the crew, what was open when it was forked."""

    own: Member
    neighbour: Member
    crew: Crew
    open: dict[int, str]


Attempt = Callable[[], object]
_found: list[Reach] = []
_honest = Worker.run
_spawn = Crew.spawn


def _check(returned: int) -> int:
    if returned < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return returned


def _writable(address: int) -> None:
    """Raises OSError where this process cannot write there; nothing is changed."""
    page = address // mmap.PAGESIZE * mmap.PAGESIZE
    _check(libc.madvise(ctypes.c_void_p(page), ctypes.c_size_t(mmap.PAGESIZE), MADV_POPULATE_WRITE))


def _made_writable(address: int) -> None:
    page = ctypes.c_void_p(address // mmap.PAGESIZE * mmap.PAGESIZE)
    _check(libc.mprotect(page, ctypes.c_size_t(mmap.PAGESIZE), mmap.PROT_READ | mmap.PROT_WRITE))
    _writable(address)


def _held(fd: int) -> None:
    """Raises OSError where the descriptor is closed; poll() is what a worker may call in any case."""
    look = select.poll()
    look.register(fd, 0)
    if any(events & select.POLLNVAL for _, events in look.poll(0)):
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))


def _syscall(number: int, *arguments: int) -> int:
    return _check(libc.syscall(number, *map(ctypes.c_long, arguments)))


def _opened(path: str, flags: int) -> None:
    os.close(os.open(path, flags))


class _Part(ctypes.Structure):
    """struct iovec."""

    _fields_ = (("address", ctypes.c_void_p), ("size", ctypes.c_size_t))


def _reach_into(pid: int) -> None:
    """A byte of another process's code, which lies where ours does; who may read it may write memory, too."""
    own = ctypes.create_string_buffer(1)
    here = _Part(ctypes.addressof(own), 1)
    there = _Part(ctypes.cast(libc.getpid, ctypes.c_void_p).value, 1)
    _check(libc.process_vm_readv(pid, ctypes.byref(here), 1, ctypes.byref(there), 1, 0))


def _forked() -> None:
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)


def _executed() -> None:
    """A program that does not exist: whoever may execute gets to hear that."""
    with suppress(FileNotFoundError):
        os.execv("/nonexistent", ["nonexistent"])


def _addresses(reach: Reach) -> Iterator[tuple[str, int]]:
    """Memory that is not the worker's to write, by its address in whoever has it."""
    neighbour, state = reach.neighbour.post, reach.crew.version.state
    yield "progress of the neighbour", neighbour.progress.address
    yield "orders of the neighbour", neighbour.orders.address
    if neighbour.ring.domain != reach.own.post.ring.domain:
        yield "state of the neighbour", state.address(0, neighbour.ring.domain)
    yield "frames without IP of the neighbour", state.address(-1) + neighbour.number * state.layouts[-1].shard_size
    ring: Any = neighbour.ring
    if hasattr(ring, "_books"):
        yield "header of the neighbour's ring", ring._books.address
    if hasattr(ring, "umem"):
        yield "receive ring of the neighbour", ring.socket.rx.mapping.address
        yield "chunks of its own queue", reach.own.post.ring.umem.address  # type: ignore[attr-defined]
    for number, rings in enumerate(reach.crew.outputs):
        yield f"accounts of output {number}", rings.accounts.address


def _memory(reach: Reach, worker: Worker) -> Iterator[tuple[str, Attempt]]:
    for name, address in _addresses(reach):
        yield f"write {name}", lambda address=address: _writable(address)
    yield "make orders writable", lambda: _made_writable(worker.orders_mapping.address)
    yield "make the frames writable", lambda: _made_writable(worker.ring.block_address)
    for number, (_, _, accounts) in enumerate(worker._handed):
        yield f"make accounts of output {number} writable", lambda at=accounts.address: _made_writable(at)


def _descriptors(reach: Reach, worker: Worker) -> Iterator[tuple[str, Attempt]]:
    """Every one that was open at the fork, but the streams and those that a worker waits on."""
    kept = {0, 1, 2, worker.ring.wake_fd, worker.ring.poll_fd, *descriptors()}
    for fd, name in reach.open.items():
        if fd not in kept:
            yield f"hold {name} ({fd})", lambda fd=fd: _held(fd)


def _processes(reach: Reach) -> Iterator[tuple[str, Attempt]]:
    for name, pid in (("the neighbour", reach.neighbour.pid), ("the supervisor", os.getppid())):
        yield f"signal {name}", lambda pid=pid: os.kill(pid, 0)
        yield f"trace {name}", lambda pid=pid: _check(libc.ptrace(PTRACE_SEIZE, pid, None, None))
        yield f"reach into {name}", lambda pid=pid: _reach_into(pid)
        yield f"open the memory of {name}", lambda pid=pid: _opened(f"/proc/{pid}/mem", os.O_RDWR)
        yield f"open a descriptor of {name}", lambda pid=pid: _opened(f"/proc/{pid}/fd/0", os.O_RDONLY)
        yield f"hold {name}", lambda pid=pid: os.close(_syscall(PIDFD_OPEN, pid, 0))
        yield f"move {name}", lambda pid=pid: os.sched_setaffinity(pid, os.sched_getaffinity(pid))
        yield f"limit {name}", lambda pid=pid: resource.prlimit(pid, resource.RLIMIT_CPU)


def _machine() -> Iterator[tuple[str, Attempt]]:
    yield "read a file", lambda: _opened("/etc/passwd", os.O_RDONLY)
    yield "write a file", lambda: _opened("/tmp", os.O_WRONLY | os.O_TMPFILE)
    yield "write a file of root", lambda: _opened("/etc/passwd", os.O_WRONLY)
    yield "open its own memory", lambda: _opened("/proc/self/mem", os.O_RDWR)
    yield "fork", _forked
    yield "execute", _executed
    yield "become root", lambda: os.setuid(0)
    for family in ("INET", "UNIX", "NETLINK", "PACKET"):
        yield (
            f"socket {family}",
            lambda family=family: socket.socket(
                getattr(socket, f"AF_{family}"), socket.SOCK_RAW if family == "PACKET" else socket.SOCK_DGRAM
            ).close(),
        )
    yield "call bpf", lambda: _syscall(SYSCALLS["bpf"], 0, 0, 0)
    yield "memory of its own name", lambda: os.close(os.memfd_create("hostile"))
    yield "call io_uring_setup", lambda: _syscall(SYSCALLS["io_uring_setup"], 0, 0)
    yield "call userfaultfd", lambda: os.close(_syscall(SYSCALLS["userfaultfd"], 1))
    yield "call perf_event_open", lambda: _syscall(SYSCALLS["perf_event_open"], 0, 0, 0, 0, 0)
    yield "unshare", lambda: _check(libc.unshare(0))
    yield "executable memory", lambda: mmap.mmap(-1, 4096, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, 7).close()


def _own_socket(worker: Worker) -> Iterator[tuple[str, Attempt]]:
    """What its own socket could do to others: send frames, steal the kernel's counts, let other frames in."""
    fd = worker.ring.poll_fd
    if fd == worker.ring.wake_fd:
        return
    yield "send by its own socket", lambda: _check(libc.sendto(fd, bytes(60), 60, socket.MSG_DONTWAIT, None, 0))
    yield "write to its own socket", lambda: os.write(fd, b"")
    size, answer = ctypes.c_uint32(64), ctypes.create_string_buffer(64)
    yield (
        "take the counts of its own socket",
        lambda: _check(libc.getsockopt(fd, socket.SOL_SOCKET, 4, answer, ctypes.byref(size))),
    )
    one = ctypes.c_int(1)
    yield "set its own socket", lambda: _check(libc.setsockopt(fd, socket.SOL_SOCKET, 12, ctypes.byref(one), 4))


def _attempts(reach: Reach, worker: Worker) -> Iterator[tuple[str, Attempt]]:
    yield from _memory(reach, worker)
    yield from _descriptors(reach, worker)
    yield from _processes(reach)
    yield from _own_socket(worker)
    yield from _machine()


def _outcome(attempt: Attempt) -> str:
    try:
        attempt()
    except (OSError, ValueError) as error:
        return f"refused: {error}"
    return DONE


def _try(attempts: Iterable[tuple[str, Attempt]]) -> None:
    for name, attempt in attempts:
        log.warning("hostile: %s: %s", name, _outcome(attempt))


def _open_now() -> dict[int, str]:
    found = {}
    for name in os.listdir("/proc/self/fd"):
        with suppress(OSError):
            found[int(name)] = os.readlink(f"/proc/self/fd/{name}").partition(":[")[0]
    return found


def _noting_spawn(crew: Crew, member: Member) -> None:
    if member is crew.members[-1] and not _found:
        _found.append(Reach(member, crew.members[0], crew, _open_now()))
    _spawn(crew, member)


def _hostile_run(worker: Worker) -> None:
    reach = _found[0] if _found else None
    if reach is not None and multiprocessing.current_process().name == f"zc-rx-{reach.own.post.number}":
        _try(_attempts(reach, worker))
    _honest(worker)


def _hostile_jobs(channel: socket.socket, reader: Any) -> None:
    name_process("zc-read")
    _try(_machine())
    _honest_jobs(channel, reader)


def _hostile_nic(nic: InPlaceNic) -> None:
    name_process("zc-nic")
    _try(_machine())
    _honest_nic(nic)


_honest_jobs, _honest_nic = readers.read_jobs, InPlaceNic.run
readers.read_jobs, InPlaceNic.run = _hostile_jobs, _hostile_nic  # type: ignore[method-assign]
Worker.run, Crew.spawn = _hostile_run, _noting_spawn  # type: ignore[method-assign]


@plugin
class Hostile:
    """Counts packets, so that it has state."""

    packets = Array(u64, 1)

    @staticmethod
    def filter(pkt, state, params):  # type: ignore[no-untyped-def]
        state.packets[0] += 1
        return PASS
