"""What a child process gives up before it touches a packet: the identity of root, groups, and every capability.

A worker holds a mapped ring, and memory of the run. A fault in one of its plugins can then harm these, and nothing
else. The software NIC parses files that strangers made; it keeps at most what it needs to open them.

In a container or a user namespace some of this is refused. Each step is taken by itself, and what is refused is told:
no_new_privs and the loss of all capabilities need no right at all.
"""

from __future__ import annotations

import ctypes
import errno
import os
import pwd
import stat
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Final

from zcframe.framework.capabilities import CAPABILITIES
from zcframe.framework.child import fork_child, prctl

NOBODY: Final = 65534
PR_CAPBSET_DROP: Final = 24
PR_SET_NO_NEW_PRIVS: Final = 38
PR_CAP_AMBIENT: Final = 47
PR_CAP_AMBIENT_CLEAR_ALL: Final = 4
CAP_VERSION_3: Final = 0x20080522  # linux/capability.h
MOST_CAPABILITIES: Final = 64
WORD: Final = 0xFFFFFFFF
OPEN_FILES: Final = "/proc/self/fd"

# What opens a file whatever its mode, the narrower first.
READING: Final = ("CAP_DAC_READ_SEARCH", "CAP_DAC_OVERRIDE")


class _Header(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _Word(ctypes.Structure):
    _fields_ = (("effective", ctypes.c_uint32), ("permitted", ctypes.c_uint32), ("inheritable", ctypes.c_uint32))


_Words = _Word * 2


def _effective() -> int:
    """The capabilities that this process may use, as bits; 0 where the kernel does not tell."""
    words = _Words()
    ctypes.CDLL(None).capget(ctypes.byref(_Header(CAP_VERSION_3, 0)), words)
    return int(words[0].effective) | int(words[1].effective) << 32


def _has(name: str) -> bool:
    return bool(_effective() >> CAPABILITIES[name] & 1)


def _set_capabilities(effective: int, permitted: int) -> None:
    """Raises OSError; to have fewer is nobody's to refuse but a sandbox's."""
    words = _Words(*(_Word(effective >> at & WORD, permitted >> at & WORD, 0) for at in (0, 32)))
    if ctypes.CDLL(None, use_errno=True).capset(ctypes.byref(_Header(CAP_VERSION_3, 0)), words):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def _empty_bounding_set() -> None:
    """Where CAP_SETPCAP allows it. Without, the set stays, and gives nothing: no_new_privs stands before it."""
    for number in range(MOST_CAPABILITIES):
        if prctl(PR_CAPBSET_DROP, number):
            return


def _reason(error: OSError, capability: str) -> str:
    """Why the kernel refused another identity."""
    if error.errno == errno.EPERM:
        return "this user namespace denies it" if _has(capability) else f"{capability} is missing"
    if error.errno == errno.EINVAL:
        return f"{NOBODY}, nobody, is not mapped in this user namespace"
    return str(error.strerror)


def _change(what: str, change: Callable[[], None], capability: str) -> list[str]:
    """Change a part of the identity; what stays, and why, where that is refused."""
    try:
        change()
    except OSError as error:
        return [f"{what} ({_reason(error, capability)})"]
    return []


def _change_user() -> list[str]:
    # Without CAP_KILL the supervisor could not end a worker of another user that is stuck in a plugin.
    lacking = [name for name in ("CAP_SETUID", "CAP_KILL") if not _has(name)]
    if lacking:
        return [f"user id 0 ({' and '.join(lacking)} {'are' if len(lacking) > 1 else 'is'} missing)"]
    return _change("user id 0", lambda: os.setresuid(NOBODY, NOBODY, NOBODY), "CAP_SETUID")


def _become_nobody() -> list[str]:
    kept = []
    if os.getgroups():
        kept += _change("supplementary groups", lambda: os.setgroups([]), "CAP_SETGID")
    kept += _change("group id 0", lambda: os.setresgid(NOBODY, NOBODY, NOBODY), "CAP_SETGID")
    return kept + _change_user()


def _give_up(keep: int) -> list[str]:
    """Lose all capabilities but the bits of `keep`, and every way to new ones."""
    kept = []
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL)
    try:
        _set_capabilities(keep, keep)
    except OSError as error:
        kept.append(f"capabilities ({error.strerror})")
    if number := prctl(PR_SET_NO_NEW_PRIVS, 1):
        kept.append(f"the right to gain privileges ({os.strerror(number)})")
    return kept


def _close_programs() -> None:
    """Close what bpf() gave: by the map of an XDP program, nobody could steer the interface's traffic elsewhere."""
    with suppress(OSError):
        for name in os.listdir(OPEN_FILES):
            with suppress(OSError):
                if os.readlink(f"{OPEN_FILES}/{name}").startswith("anon_inode:bpf"):
                    os.close(int(name))


def drop_privileges() -> list[str]:
    """Become the user nobody, where this is root, without a capability and for good; what could not be dropped."""
    _close_programs()
    _empty_bounding_set()
    kept = _become_nobody() if 0 in os.getresuid() else []
    return kept + _give_up(0)


def _readable(path: str) -> bool:
    """Whether a file can be opened now; one that is missing, or no file, is no question of rights."""
    try:
        if stat.S_ISREG(os.stat(path).st_mode):
            os.close(os.open(path, os.O_RDONLY | os.O_CLOEXEC))
    except PermissionError:
        return False
    except OSError:
        return True
    return True


def _needed(paths: Iterable[str]) -> int:
    """The bits without which some of these files cannot be opened, 0 where the user id is enough."""
    held, paths = _effective(), list(paths)
    choices = [0, *(1 << CAPABILITIES[name] & held for name in READING)]
    for bits in choices:
        _set_capabilities(bits, held)
        if all(map(_readable, paths)):
            return bits
    return choices[-1]


def drop_to_reading(paths: Iterable[str]) -> None:
    """Keep the user id, by which files are opened, and no capability but one without which these files are closed."""
    keep = 0
    with suppress(OSError):
        _empty_bounding_set()
        keep = _needed(paths)
    _give_up(keep)


def drop_to_writing(user: str = "") -> None:
    """Keep the user id, by which files are made, and of all capabilities the one that makes them anywhere.

    user: become this one, with its groups, and keep no capability. Raises OSError where that is refused.
    """
    _close_programs()
    keep = 1 << CAPABILITIES["CAP_DAC_OVERRIDE"] & _effective()
    _empty_bounding_set()
    if user:
        entry = pwd.getpwnam(user)
        os.initgroups(user, entry.pw_gid)
        os.setresgid(entry.pw_gid, entry.pw_gid, entry.pw_gid)
        os.setresuid(entry.pw_uid, entry.pw_uid, entry.pw_uid)
    _give_up(0 if user else keep)


def kept_by_workers() -> tuple[str, ...]:
    """What a worker could not drop here, found by a child that tries; none where this is an ordinary user."""
    if 0 not in os.getresuid():
        return ()
    reader, writer = os.pipe2(os.O_CLOEXEC)
    try:
        pid = fork_child("zc-trial", lambda: _tell(writer))
    except OSError:
        # The workers will meet the same refusal, and say so.
        os.close(writer)
        os.close(reader)
        return ()
    os.close(writer)
    with os.fdopen(reader) as told:
        lines = told.read().splitlines()
    os.waitpid(pid, 0)
    return tuple(lines)


def _tell(fd: int) -> None:
    os.write(fd, "\n".join(drop_privileges()).encode())


def kept_line(kept: Iterable[str]) -> str:
    """What workers keep, as one line; "" where that is nothing."""
    kept = list(kept)
    if not kept:
        return ""
    capable = any(text.startswith("capabilities") for text in kept)
    return f"workers keep {', '.join(kept)}" + ("" if capable else "; they have no capabilities")
