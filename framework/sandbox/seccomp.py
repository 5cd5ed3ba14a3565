"""The system calls that a process may make from now on, by the system's libseccomp.

libseccomp comes with Debian, Ubuntu and Fedora, where apt and systemd need it; its own binding for Python is no package
of PyPI. A call that no rule allows fails with EPERM: a plugin that tries one gets an exception that says so, and the
kernel's audit log a line.
"""

from __future__ import annotations

import ctypes
import errno
import functools
import os
from collections.abc import Iterable
from typing import Any, Final, NamedTuple

SONAME: Final = "libseccomp.so.2"
# seccomp.h
ALLOW: Final = 0x7FFF0000
REFUSE: Final = 0x00050000 | errno.EPERM
LOG: Final = 6
MASKED_EQUAL: Final = 7
UNKNOWN: Final = -1
INT: Final = (1 << 32) - 1


class Condition(NamedTuple):
    """`value` is what an argument, from 0, must be in the bits of `mask`; that of an int by default."""

    argument: int
    value: int
    mask: int = INT


class Rule(NamedTuple):
    """A system call, where all conditions hold, each for another argument."""

    call: str
    conditions: tuple[Condition, ...] = ()


class _Comparison(ctypes.Structure):
    """struct scmp_arg_cmp."""

    _fields_ = (
        ("argument", ctypes.c_uint),
        ("operator", ctypes.c_int),
        ("mask", ctypes.c_uint64),
        ("value", ctypes.c_uint64),
    )


@functools.cache
def library() -> ctypes.CDLL | None:
    """libseccomp, with what is called of it described; None where it is not installed."""
    try:
        found = ctypes.CDLL(SONAME)
    except OSError:
        return None
    handle, rules = ctypes.c_void_p, ctypes.POINTER(_Comparison)
    described: dict[str, tuple[Any, tuple[Any, ...]]] = {
        "seccomp_init": (handle, (ctypes.c_uint32,)),
        "seccomp_attr_set": (ctypes.c_int, (handle, ctypes.c_int, ctypes.c_uint32)),
        "seccomp_syscall_resolve_name": (ctypes.c_int, (ctypes.c_char_p,)),
        "seccomp_rule_add_array": (ctypes.c_int, (handle, ctypes.c_uint32, ctypes.c_int, ctypes.c_uint, rules)),
        "seccomp_load": (ctypes.c_int, (handle,)),
        "seccomp_release": (None, (handle,)),
    }
    for name, (returned, arguments) in described.items():
        function = getattr(found, name)
        function.restype, function.argtypes = returned, arguments
    return found


def missing() -> str:
    """Why system calls are not restricted here, and what to do about it; "" where they are."""
    if library() is None:
        return f"{SONAME} is missing: apt-get install libseccomp2 (Debian, Ubuntu), dnf install libseccomp (Fedora)"
    if not os.path.exists("/proc/sys/kernel/seccomp"):
        return "this kernel filters no system calls (CONFIG_SECCOMP_FILTER)"
    return ""


def _checked(number: int) -> None:
    """Raises OSError for what libseccomp returns: 0, or an errno below it."""
    if number < 0:
        raise OSError(-number, os.strerror(-number))


def _add(found: ctypes.CDLL, handle: int, rule: Rule, action: int) -> None:
    # The name of a call that this architecture does not have stands for none.
    number = found.seccomp_syscall_resolve_name(rule.call.encode())
    if number == UNKNOWN:  # to a libseccomp that is older than the call
        return
    conditions = [_Comparison(one.argument, MASKED_EQUAL, one.mask, one.value) for one in rule.conditions]
    compared = (_Comparison * len(conditions))(*conditions)
    _checked(found.seccomp_rule_add_array(handle, action, number, len(conditions), compared))


def _load(rules: Iterable[Rule], action: int, otherwise: int) -> None:
    found = library()
    if found is None:
        return
    handle = found.seccomp_init(otherwise)
    if not handle:
        raise MemoryError("no room for libseccomp")
    try:
        # Kernels before 4.14 write no log.
        found.seccomp_attr_set(handle, LOG, 1)
        for rule in rules:
            _add(found, handle, rule, action)
        _checked(found.seccomp_load(handle))
    finally:
        found.seccomp_release(handle)


def restrict(rules: Iterable[Rule]) -> None:
    """Refuse every call of this process that no rule allows, for good; nothing where libseccomp is missing.

    The process has no_new_privs, or CAP_SYS_ADMIN. Raises OSError where the kernel refuses the filter.
    """
    _load(rules, ALLOW, REFUSE)


def forbid(rules: Iterable[Rule]) -> None:
    """Refuse what these rules describe, to this process and its forks, for good; else as `restrict`."""
    _load(rules, REFUSE, ALLOW)
