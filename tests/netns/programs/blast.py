"""Has frames of 60 bytes come in on an interface as fast as the kernel can; arguments: IFACE COUNT

The kernel runs a program of XDP on each, in its test mode, which hands what passes up as if the card had brought it
(Documentation/bpf/bpf_prog_run.rst). The program lets everything pass.
"""

from __future__ import annotations

import ctypes
import socket
import struct
import sys

from .bpf import bpf

PROG_LOAD, PROG_TEST_RUN = 5, 10
TYPE_XDP, LIVE_FRAMES, BATCH = 6, 2, 64
XDP_PASS = 2
FRAME = b"\x02" * 12 + b"\x08\x00" + struct.pack("!BBHHHBBHII", 0x45, 0, 46, 0, 0, 64, 17, 0, 0x0A000001, 0x0A000002)
FRAME = (FRAME + struct.pack("!HHHH", 1234, 53, 26, 0)).ljust(60, b"\0")


def main(iface: str, count: str) -> None:
    code = ctypes.create_string_buffer(struct.pack("<BBhiBBhi", 0xB7, 0, 0, XDP_PASS, 0x95, 0, 0, 0))
    free = ctypes.create_string_buffer(b"GPL")
    program = bpf(PROG_LOAD, struct.pack("<IIQQ", TYPE_XDP, 2, ctypes.addressof(code), ctypes.addressof(free)))
    frame = ctypes.create_string_buffer(FRAME, len(FRAME))
    where = ctypes.create_string_buffer(struct.pack("<6I", 0, len(FRAME), 0, socket.if_nametoindex(iface), 0, 0), 24)
    run = struct.pack("<IIIIQQ", program, 0, len(FRAME), 0, ctypes.addressof(frame), 0)
    run += struct.pack("<IIIIQQ", int(count), 0, 24, 0, ctypes.addressof(where), 0)
    bpf(PROG_TEST_RUN, run + struct.pack("<III", LIVE_FRAMES, 0, BATCH))


main(*sys.argv[1:])
