"""Starts a command that may not choose its CPUs: a seccomp filter answers sched_setaffinity with EPERM, as sandboxes do.

python sandbox.py COMMAND [ARGUMENT]...
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
import sys

PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS = 22, 38
MODE_FILTER = 2
LOAD_WORD, JUMP_EQUAL, RETURN = 0x20, 0x15, 0x06
ALLOW, ERRNO = 0x7FFF0000, 0x00050000

SCHED_SETAFFINITY = {"x86_64": 203, "aarch64": 122}


def _program(number: int) -> bytes:
    """cBPF over struct seccomp_data, whose first word is the number of the system call."""
    steps = [
        (LOAD_WORD, 0, 0, 0),
        (JUMP_EQUAL, 0, 1, number),
        (RETURN, 0, 0, ERRNO | errno.EPERM),
        (RETURN, 0, 0, ALLOW),
    ]
    return b"".join(struct.pack("HBBI", *step) for step in steps)


def forbid_pinning() -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    steps = ctypes.create_string_buffer(program := _program(SCHED_SETAFFINITY[platform.machine()]))
    described = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(steps)))
    for words in ((PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), (PR_SET_SECCOMP, MODE_FILTER, described, 0, 0)):
        if libc.prctl(*words):
            raise OSError(ctypes.get_errno(), "no seccomp filter can be set")


if __name__ == "__main__":
    forbid_pinning()
    os.execv(sys.argv[1], sys.argv[1:])
