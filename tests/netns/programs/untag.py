"""Has an interface send the outer VLAN tag of each frame beside it, not in it, until stdin is closed: untag.py IFACE

A program of tcx (Linux >= 6.6) takes it off and puts it on again, which the kernel does so.
"""

from __future__ import annotations

import ctypes
import socket
import struct
import sys

from zcframe.framework.sources.ebpf.assembler import INSTRUCTION, Assembler

from .bpf import bpf

PROG_LOAD, LINK_CREATE = 5, 28
TYPE_SCHED_CLS = 3
TCX_EGRESS = 47
VLAN_PUSH, VLAN_POP, LOAD_BYTES = 18, 19, 26
NEXT = -1
ETHERTYPE_AT, TAG_SIZE = 12, 4
CONTEXT, KEPT, PROTOCOL, TAG, FRAME = 1, 6, 7, 8, 10
# Register TAG, from network order to the machine's, 16 bits.
TO_HOST = INSTRUCTION.pack(0xDC, TAG, 0, 16)


def retag() -> bytes:
    head, tail = Assembler(), Assembler()
    head.alu_register("mov", KEPT, CONTEXT)
    head.alu("mov", 2, ETHERTYPE_AT)
    head.alu_register("mov", 3, FRAME)
    head.alu("add", 3, -TAG_SIZE)
    head.alu("mov", 4, TAG_SIZE)
    head.call(LOAD_BYTES)
    head.load(2, PROTOCOL, FRAME, -4)
    head.load(2, TAG, FRAME, -2)
    for tag in (0x8100, 0x88A8):
        tail.jump_if("eq", PROTOCOL, socket.htons(tag), "tagged")
    tail.jump("out")
    tail.label("tagged")
    tail.alu_register("mov", 1, KEPT)
    tail.call(VLAN_POP)
    tail.alu_register("mov", 1, KEPT)
    tail.alu_register("mov", 2, PROTOCOL)
    tail.alu_register("mov", 3, TAG)
    tail.call(VLAN_PUSH)
    tail.label("out")
    tail.alu("mov", 0, NEXT)
    tail.leave()
    return head.assemble() + TO_HOST + tail.assemble()


def main(ifname: str) -> None:
    code = retag()
    memory, free = ctypes.create_string_buffer(code, len(code)), ctypes.create_string_buffer(b"GPL")
    log = ctypes.create_string_buffer(1 << 16)
    head = struct.pack("=IIQQ", TYPE_SCHED_CLS, len(code) // 8, ctypes.addressof(memory), ctypes.addressof(free))
    try:
        program = bpf(PROG_LOAD, head + struct.pack("=IIQ", 1, 1 << 16, ctypes.addressof(log)))
    except OSError:
        sys.exit(log.value.decode())
    bpf(LINK_CREATE, struct.pack("=4I", program, socket.if_nametoindex(ifname), TCX_EGRESS, 0))
    print("ready", flush=True)
    sys.stdin.read()


main(*sys.argv[1:])
