"""Counts of this thread by the kernel's perf events, where there are such: instructions, of user space only."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import platform
import struct
from typing import Final

# perf_event_open(2), by machine; ctypes has no name for it.
SYSCALLS: Final = {"x86_64": 298, "aarch64": 241}
HARDWARE: Final = 0
SOFTWARE: Final = 1
INSTRUCTIONS: Final = 1
TASK_CLOCK: Final = 1
ATTR_SIZE: Final = 128
FLAGS_AT: Final = 40
WITHOUT_KERNEL: Final = 1 << 5 | 1 << 6


def _refusal(number: int) -> str:
    if number in (errno.ENOENT, errno.EOPNOTSUPP, errno.ENODEV):
        return "this machine has no such counter, as most virtual ones"
    if number in (errno.EACCES, errno.EPERM):
        return "the kernel does not allow it: sysctl kernel.perf_event_paranoid=2, or less"
    return os.strerror(number)


class Counter:
    """A running count of one event. `read()` is its value; refusal: why there is none, "" where there is one."""

    def __init__(self, kind: int = HARDWARE, event: int = INSTRUCTIONS) -> None:
        attr = bytearray(ATTR_SIZE)
        struct.pack_into("<IIQ", attr, 0, kind, ATTR_SIZE, event)
        struct.pack_into("<Q", attr, FLAGS_AT, WITHOUT_KERNEL)
        number = SYSCALLS.get(platform.machine())
        self.refusal = "" if number else f"not known on {platform.machine()}"
        self._fd = -1
        if number:
            given = (ctypes.c_char * ATTR_SIZE).from_buffer(attr)
            self._fd = ctypes.CDLL(None, use_errno=True).syscall(number, given, 0, -1, -1, 0)
            self.refusal = _refusal(ctypes.get_errno()) if self._fd < 0 else ""

    def read(self) -> int:
        """The count so far; 0 where there is none."""
        return struct.unpack("<Q", os.read(self._fd, 8))[0] if self._fd >= 0 else 0

    def close(self) -> None:
        with contextlib.suppress(OSError):
            os.close(self._fd)
