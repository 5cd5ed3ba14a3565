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

from zcframe.framework.sources.ebpf.assembler import Assembler
from zcframe.framework.sources.ebpf.bpf import load_program

SYS_BPF = 321
MAP_CREATE, PROG_TEST_RUN = 0, 10
TYPE_ARRAY, LIVE_FRAMES, BATCH = 2, 2, 64
MAP_LOOKUP, KTIME, GET_RANDOM, REDIRECT = 1, 5, 7, 23
XDP_DROP = 1
MD_DATA, MD_DATA_END = 0, 4
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

# Registers: what a function returns, its arguments, the frame's end; those that functions leave alone; the stack.
RESULT, FIRST, SECOND, THIRD, END = 0, 1, 2, 3, 4
CONTEXT, PACE, DUE, LEFT, STACK = 6, 7, 8, 9, 10

libc = ctypes.CDLL(None, use_errno=True)


def _bpf(command: int, attributes: bytes) -> int:
    memory = ctypes.create_string_buffer(attributes, 128)
    found = int(libc.syscall(SYS_BPF, command, memory, 128))
    if found < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return found


def _find_pace(code: Assembler, pace: int) -> None:
    """PACE = address of the map's one value: when the next frame may go."""
    code.alu("mov", SECOND, 0)
    code.store(4, STACK, -4, SECOND)
    code.load_map(FIRST, pace)
    code.alu_register("mov", SECOND, STACK)
    code.alu("add", SECOND, -4)
    code.call(MAP_LOOKUP)
    code.jump_if("ne", RESULT, 0, "found")
    code.alu("mov", RESULT, XDP_DROP)
    code.leave()
    code.label("found")
    code.alu_register("mov", PACE, RESULT)


def _wait(code: Assembler, interval_ns: int) -> None:
    """Until the frame's time has come; then note that of the next one."""
    code.load(8, DUE, PACE, 0)
    code.alu("mov", LEFT, LOOKS)
    code.label("look")
    code.call(KTIME)
    code.jump_if_register("ge", RESULT, DUE, "due")
    code.alu("add", LEFT, -1)
    code.jump_if("ne", LEFT, 0, "look")
    code.label("due")
    code.alu("add", RESULT, -BEHIND_NS)
    code.jump_if_register("ge", DUE, RESULT, "in time")
    code.alu_register("mov", DUE, RESULT)
    code.label("in time")
    code.alu("add", DUE, interval_ns)
    code.store(8, PACE, 0, DUE)


def _make_flow(code: Assembler) -> None:
    """A flow's number is the halves of a random number, anded.

    A quarter of its bits are set, so that few of the flows have most of the frames, as on a real link.
    """
    code.call(GET_RANDOM)
    code.alu_register("mov", FIRST, RESULT)
    code.alu("rsh", FIRST, 16)
    code.alu_register("and", RESULT, FIRST)
    code.load(4, SECOND, CONTEXT, MD_DATA)
    code.load(4, THIRD, CONTEXT, MD_DATA_END)
    code.alu_register("mov", END, SECOND)
    code.alu("add", END, len(FRAME))
    # Never, but the verifier cannot know.
    code.jump_if_register("gt", END, THIRD, "made")
    code.store(2, SECOND, SOURCE_LOW, RESULT)
    code.store(2, SECOND, SOURCE_PORT, RESULT)
    code.label("made")


def _program(target: int, pace: int, interval_ns: int) -> bytes:
    """Waits, makes the frame one of a flow, and sends it by interface `target`. pace: a map of one u64."""
    code = Assembler()
    code.alu_register("mov", CONTEXT, FIRST)
    _find_pace(code, pace)
    _wait(code, interval_ns)
    _make_flow(code)
    code.alu("mov", FIRST, target)
    code.alu("mov", SECOND, 0)
    code.call(REDIRECT)
    code.leave()
    return code.assemble()


def _load(iface: str, pps: int) -> int:
    pace = _bpf(MAP_CREATE, struct.pack("<IIII", TYPE_ARRAY, 4, 8, 1))
    return load_program(_program(socket.if_nametoindex(iface), pace, 1_000_000_000 // pps))


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
