"""The system call bpf() of x86-64, apart from zcframe's own."""

from __future__ import annotations

import ctypes
import os

SYS_BPF = 321

_libc = ctypes.CDLL(None, use_errno=True)


def bpf(command: int, attributes: bytes) -> int:
    """What the call returns. Raises OSError."""
    memory = ctypes.create_string_buffer(attributes, 128)
    found = int(_libc.syscall(SYS_BPF, command, memory, 128))
    if found < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return found
