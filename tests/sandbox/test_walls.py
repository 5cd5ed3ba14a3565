"""The walls one by one, in forks that look at themselves: memory, descriptors, system calls."""

from __future__ import annotations

import faulthandler
import json
import mmap
import os
import resource
import socket
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

import pytest

from zcframe.framework.privileges import drop_privileges
from zcframe.framework.ring import Mapping, make_memory, read_only
from zcframe.framework.sandbox import Walls, missing, seccomp
from zcframe.framework.sandbox.descriptors import close_all_but
from zcframe.framework.sandbox.memory import cut_off, shared_memory
from zcframe.framework.sandbox.seccomp import Condition, Rule, forbid, restrict


def in_fork(body: Callable[[int], Any]) -> Any:
    """What `body` returns in a fork, as JSON carries it; "killed N" where a signal ended the fork.

    `body` is called with the descriptor by which that is told.
    """
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        faulthandler.disable()
        with suppress(BaseException):
            os.write(writer, json.dumps(body(writer)).encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as told:
        text = told.read()
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return f"killed {-code}" if code < 0 else json.loads(text)


def refused(call: Callable[[], Any]) -> int:
    """The errno of its refusal, 0 where it is not refused."""
    try:
        call()
    except OSError as error:
        return error.errno or -1
    return 0


def test_memory_that_is_not_kept_is_gone_and_the_rest_is_shared_still() -> None:
    fd = make_memory("zc-test", 4 * mmap.PAGESIZE)
    memory = Mapping(fd, 4 * mmap.PAGESIZE, writable=True)
    page = memory.address + mmap.PAGESIZE
    kept = range(page + 100, page + 200)

    def touch(at: int) -> Callable[[int], int]:
        def body(told: int) -> int:
            cut_off(shared_memory(), [kept])
            memory.view("u1", at)[0] = 7
            return 0

        return body

    found = [in_fork(touch(number * mmap.PAGESIZE)) for number in range(4)]
    assert found == ["killed 11", 0, "killed 11", "killed 11"]
    assert memory.view("u1", 0, 4 * mmap.PAGESIZE)[:: mmap.PAGESIZE].tolist() == [0, 7, 0, 0]
    memory.close()
    os.close(fd)


def test_memory_that_is_no_run_s_is_left_alone() -> None:
    """Private memory, and files: the fork still runs."""

    def body(told: int) -> int:
        cut_off(shared_memory(), ())
        return len(shared_memory())

    assert in_fork(body) == 0


def test_only_these_descriptors_stay() -> None:
    ours, theirs = socket.socketpair()

    def body(told: int) -> list[bool]:
        close_all_but((theirs.fileno(), told))
        return [refused(partial(os.fstat, fd)) == 0 for fd in (ours.fileno(), theirs.fileno(), 0, told)]

    assert in_fork(body) == [False, True, False, True]
    ours.close()
    theirs.close()


def test_what_is_mapped_by_a_read_only_descriptor_stays_so() -> None:
    fd = make_memory("zc-test", mmap.PAGESIZE)
    other = read_only(fd)
    with pytest.raises(PermissionError):
        Mapping(other, mmap.PAGESIZE, writable=True)
    Mapping(other, mmap.PAGESIZE, writable=False).close()
    os.close(other)
    os.close(fd)


@pytest.mark.needs("seccomp")
def test_calls_that_no_rule_allows_are_refused() -> None:
    def body(told: int) -> list[int]:
        drop_privileges()
        plain = ("exit_group", "rt_sigaction", "rt_sigprocmask", "futex", "munmap", "brk", "close")
        restrict([*map(Rule, plain), Rule("write", (Condition(0, told),))])
        calls = (lambda: os.write(told, b" "), lambda: os.write(2, b""), lambda: os.open("/", 0), os.fork)
        return [refused(call) for call in calls]

    assert in_fork(body) == [0, 1, 1, 1]


@pytest.mark.needs("seccomp")
def test_calls_that_are_forbidden_are_refused_and_no_other() -> None:
    def body(told: int) -> list[int]:
        drop_privileges()
        forbid([Rule("socket"), Rule("openat", (Condition(2, os.O_WRONLY, os.O_ACCMODE),)), Rule("no_such_call")])
        calls = (
            lambda: socket.socket(),
            lambda: os.open("/dev/null", os.O_WRONLY),
            lambda: os.open("/dev/null", os.O_RDONLY),
            lambda: os.open("/dev/null", os.O_RDWR),
        )
        return [refused(call) for call in calls]

    assert in_fork(body) == [1, 1, 0, 0]


def test_without_libseccomp_the_other_walls_stand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seccomp, "library", lambda: None)
    assert missing().startswith("libseccomp.so.2 is missing: apt-get install")
    fd = make_memory("zc-test", mmap.PAGESIZE)

    def body(told: int) -> list[Any]:
        Walls().close((), fds=(told,))
        core, files = resource.getrlimit(resource.RLIMIT_CORE), len(shared_memory())
        return [refused(lambda: os.fstat(fd)), core, files, refused(os.getppid)]

    assert in_fork(body) == [9, [0, 0], 0, 0]
    os.close(fd)


def test_no_walls_where_none_are_wanted() -> None:
    fd = make_memory("zc-test", mmap.PAGESIZE)

    def body(told: int) -> int:
        Walls(up=False).close(())
        return refused(lambda: os.fstat(fd))

    assert in_fork(body) == 0
    os.close(fd)
