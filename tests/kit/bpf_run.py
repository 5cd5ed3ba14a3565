"""BPF_PROG_TEST_RUN: the kernel runs a program on a frame that it is handed, without an interface."""

from __future__ import annotations

import ctypes
import os
import struct

from zcframe.framework.sources.ebpf.bpf import SYSCALL

PROG_TEST_RUN = 10
MOST = 65536

_libc = ctypes.CDLL(None, use_errno=True)
_out = ctypes.create_string_buffer(MOST)


def retval(program: int, frame: bytes) -> int:
    """What the program returns for a frame on queue 0. Raises OSError."""
    data = ctypes.create_string_buffer(frame, len(frame))
    attributes = struct.pack(
        "=IIIIQQIIIIQQIII", program, 0, len(frame), MOST, ctypes.addressof(data), ctypes.addressof(_out), *[0] * 9
    )
    memory = ctypes.create_string_buffer(attributes, len(attributes))
    if _libc.syscall(SYSCALL[os.uname().machine], PROG_TEST_RUN, memory, len(attributes)) < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return int(struct.unpack_from("=I", memory.raw, 4)[0])
