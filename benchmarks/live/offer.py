"""Have frames of 60 bytes come in on the other end of a veth: python -m benchmarks.live.offer IFACE SECONDS PPS

The kernel runs a program of XDP in its test mode, whose frames are real (Documentation/bpf/bpf_prog_run.rst). It looks
at the clock until a frame's time has come: nothing that sleeps keeps such a pace, and frames that it dropped instead
would go back to where the receiver's go, and have both wait for one lock. It makes the frame one of 65,536 flows, and
sends it by IFACE. Prints how many frames that were and the seconds that it took, as JSON.
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
MAP_CREATE, PROG_LOAD, PROG_TEST_RUN = 0, 5, 10
TYPE_ARRAY, TYPE_XDP, LIVE_FRAMES, BATCH = 2, 6, 2, 64
MAP_LOOKUP, KTIME, GET_RANDOM, REDIRECT = 1, 5, 7, 23
XDP_DROP = 1
# Each call begins and ends with some 20 ms in which nothing is sent.
CALLS_A_SECOND = 2
ETHERNET = b"\x02" * 12 + b"\x08\x00"
IP = struct.pack("!BBHHHBBHII", 0x45, 0, 46, 0, 0, 64, 17, 0, 0x0A000001, 0x0A800001)
FRAME = (ETHERNET + IP + struct.pack("!HHHH", 1234, 53, 26, 0)).ljust(60, b"\0")
SOURCE_LOW, SOURCE_PORT = 28, 34
# Looks at the clock for one frame: the verifier wants an end, and follows each.
LOOKS = 400
# Who was kept from sending does not catch up with more than so much at once.
BEHIND_NS = 20_000

libc = ctypes.CDLL(None, use_errno=True)


def _bpf(command: int, attributes: bytes) -> int:
    memory = ctypes.create_string_buffer(attributes, 128)
    found = int(libc.syscall(SYS_BPF, command, memory, 128))
    if found < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return found


def _program(target: int, pace: int, interval_ns: int) -> bytes:
    """The program. pace: a map, whose one value says when the next frame may go.

    A flow's number is the halves of a random number, bit by bit both: a quarter of the bits are set, so that few of
    the flows have most of the frames, as on a real link.
    """
    steps = (
        (0xBF, 0x16, 0, 0),  # r6 = context
        (0x62, 0x0A, -4, 0),
        (0x18, 0x11, 0, pace),
        (0x00, 0x00, 0, 0),
        (0xBF, 0xA2, 0, 0),
        (0x07, 0x02, 0, -4),
        (0x85, 0, 0, MAP_LOOKUP),  # r0 = the value at key 0
        (0x55, 0x00, 2, 0),
        (0xB7, 0x00, 0, XDP_DROP),  # not there, says the verifier
        (0x95, 0, 0, 0),
        (0xBF, 0x07, 0, 0),
        (0x79, 0x78, 0, 0),  # r8 = when the frame may go
        (0xB7, 0x09, 0, LOOKS),
        (0x85, 0, 0, KTIME),  # r0 = now
        (0x3D, 0x80, 2, 0),  # now >= r8: on
        (0x07, 0x09, 0, -1),
        (0x55, 0x09, -4, 0),  # look again
        (0x07, 0x00, 0, -BEHIND_NS),
        (0x3D, 0x08, 1, 0),
        (0xBF, 0x08, 0, 0),  # r8 = max(r8, now - BEHIND_NS)
        (0x07, 0x08, 0, interval_ns),
        (0x7B, 0x87, 0, 0),  # for the next frame
        (0x85, 0, 0, GET_RANDOM),
        (0xBF, 0x01, 0, 0),
        (0x77, 0x01, 0, 16),
        (0x5F, 0x10, 0, 0),  # r0 = its halves, anded
        (0x61, 0x62, 0, 0),  # r2 = data
        (0x61, 0x63, 4, 0),  # r3 = data_end
        (0xBF, 0x24, 0, 0),
        (0x07, 0x04, 0, len(FRAME)),
        (0x2D, 0x34, 2, 0),  # shorter than ours: as it is
        (0x6B, 0x02, SOURCE_LOW, 0),
        (0x6B, 0x02, SOURCE_PORT, 0),
        (0xB7, 0x01, 0, target),
        (0xB7, 0x02, 0, 0),
        (0x85, 0, 0, REDIRECT),
        (0x95, 0, 0, 0),
    )
    return b"".join(struct.pack("<BBhi", *step) for step in steps)


def _load(iface: str, pps: int) -> int:
    pace = _bpf(MAP_CREATE, struct.pack("<IIII", TYPE_ARRAY, 4, 8, 1))
    code = _program(socket.if_nametoindex(iface), pace, 1_000_000_000 // pps)
    memory, free = ctypes.create_string_buffer(code, len(code)), ctypes.create_string_buffer(b"GPL")
    where = ctypes.addressof(memory), ctypes.addressof(free)
    return _bpf(PROG_LOAD, struct.pack("<IIQQ", TYPE_XDP, len(code) // 8, *where))


def offer(iface: str, seconds: float, pps: int) -> dict[str, float]:
    """Send by `iface` for so long, `pps` a second at most; returns frames and seconds."""
    program, frame, count = _load(iface, pps), ctypes.create_string_buffer(FRAME, len(FRAME)), pps // CALLS_A_SECOND
    run = struct.pack("<IIIIQQ", program, 0, len(FRAME), 0, ctypes.addressof(frame), 0)
    run += struct.pack("<IIIIQQIII", count, 0, 0, 0, 0, 0, LIVE_FRAMES, 0, BATCH)
    frames, start = 0, time.monotonic()
    while time.monotonic() < start + seconds:
        _bpf(PROG_TEST_RUN, run)
        frames += count
    return {"frames": frames, "seconds": time.monotonic() - start}


if __name__ == "__main__":
    print(json.dumps(offer(sys.argv[1], float(sys.argv[2]), int(sys.argv[3]))))
