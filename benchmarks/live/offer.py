"""Have frames of 60 bytes come in on the other end of a veth: python -m benchmarks.live.offer IFACE SECONDS

The kernel runs a program of XDP in its test mode, whose frames are real (Documentation/bpf/bpf_prog_run.rst). It writes
16 random bits into the source address and port of a UDP frame, so that there are 65,536 flows, and sends it by IFACE.
Prints how many frames that were and the seconds that it took, as JSON.
"""

from __future__ import annotations

import ctypes
import json
import os
import socket
import struct
import sys
import time

SYS_BPF = 321
PROG_LOAD, PROG_TEST_RUN = 5, 10
TYPE_XDP, LIVE_FRAMES, BATCH = 6, 2, 64
GET_RANDOM, REDIRECT = 7, 23
FRAMES_PER_CALL = 1 << 17
ETHERNET = b"\x02" * 12 + b"\x08\x00"
IP = struct.pack("!BBHHHBBHII", 0x45, 0, 46, 0, 0, 64, 17, 0, 0x0A000001, 0x0A800001)
FRAME = (ETHERNET + IP + struct.pack("!HHHH", 1234, 53, 26, 0)).ljust(60, b"\0")
SOURCE_LOW, SOURCE_PORT = 28, 34

libc = ctypes.CDLL(None, use_errno=True)


def _bpf(command: int, attributes: bytes) -> int:
    memory = ctypes.create_string_buffer(attributes, 128)
    found = int(libc.syscall(SYS_BPF, command, memory, 128))
    if found < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return found


def _program(target: int) -> bytes:
    """r6 = context; r0 = random; store its low bits into the frame if it is as long as ours; redirect to `target`."""
    steps = (
        (0xBF, 0x16, 0, 0),  # r6 = r1
        (0x85, 0, 0, GET_RANDOM),
        (0x61, 0x62, 0, 0),  # r2 = data
        (0x61, 0x63, 4, 0),  # r3 = data_end
        (0xBF, 0x24, 0, 0),  # r4 = r2
        (0x07, 0x04, 0, len(FRAME)),  # r4 += 60
        (0x2D, 0x34, 2, 0),  # if r4 > r3 skip both stores
        (0x6B, 0x02, SOURCE_LOW, 0),
        (0x6B, 0x02, SOURCE_PORT, 0),
        (0xB7, 0x01, 0, target),
        (0xB7, 0x02, 0, 0),
        (0x85, 0, 0, REDIRECT),
        (0x95, 0, 0, 0),
    )
    return b"".join(struct.pack("<BBhi", *step) for step in steps)


def _load(iface: str) -> int:
    code = _program(socket.if_nametoindex(iface))
    memory, free = ctypes.create_string_buffer(code, len(code)), ctypes.create_string_buffer(b"GPL")
    where = ctypes.addressof(memory), ctypes.addressof(free)
    return _bpf(PROG_LOAD, struct.pack("<IIQQ", TYPE_XDP, len(code) // 8, *where))


def offer(iface: str, seconds: float) -> dict[str, float]:
    """Send by `iface` for so long, as fast as one CPU can; returns frames and seconds."""
    program, frame = _load(iface), ctypes.create_string_buffer(FRAME, len(FRAME))
    run = struct.pack("<IIIIQQ", program, 0, len(FRAME), 0, ctypes.addressof(frame), 0)
    run += struct.pack("<IIIIQQIII", FRAMES_PER_CALL, 0, 0, 0, 0, 0, LIVE_FRAMES, 0, BATCH)
    frames, start = 0, time.monotonic()
    while time.monotonic() < start + seconds:
        _bpf(PROG_TEST_RUN, run)
        frames += FRAMES_PER_CALL
    return {"frames": frames, "seconds": time.monotonic() - start}


if __name__ == "__main__":
    print(json.dumps(offer(sys.argv[1], float(sys.argv[2]))))
