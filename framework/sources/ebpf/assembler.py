"""An assembler for those instructions of eBPF that our programs need. (RFC 9669)"""

from __future__ import annotations

import struct
from typing import Final

INSTRUCTION: Final = struct.Struct("=BBhi")
# Constants are signed; those of classic BPF are not.
UNSIGNED, SIGN = 0xFFFF_FFFF, 1 << 31

LOAD: Final = {1: 0x71, 2: 0x69, 4: 0x61, 8: 0x79}
STORE: Final = {1: 0x73, 2: 0x6B, 4: 0x63, 8: 0x7B}
# Of the classes ALU64 and JMP: the operand is `imm`; with SOURCE_REGISTER it is a register.
SOURCE_REGISTER: Final = 0x08
ALU: Final = {"add": 0x07, "mul": 0x27, "and": 0x57, "rsh": 0x77, "xor": 0xA7, "mov": 0xB7}
MUL32: Final = 0x24
# Classes of 32 bits: operations are numbered as those of classic BPF, which has no MOVE. Results have high bits 0.
ALU_32, JUMP_32 = 0x04, 0x06
MOVE: Final = 0xB0
# Classic loads out of the frame, by size. They take the context from register 6 and leave 1 to 5 unusable.
FRAME: Final = {1: 0x30, 2: 0x28, 4: 0x20}
FRAME_AT: Final = {1: 0x50, 2: 0x48, 4: 0x40}
ATOMIC_ADD: Final = 0xDB
# From or to network order: on a machine of that order it changes nothing.
BIG_ENDIAN: Final = 0xDC
# "ne32" looks at the low half alone: the other one of an int that C returns may be anything.
JUMP: Final = {"always": 0x05, "eq": 0x15, "gt": 0x25, "ge": 0x35, "ne": 0x55, "ne32": 0x56}
CALL: Final = 0x85
EXIT: Final = 0x95
LOAD_64: Final = 0x18
PSEUDO_MAP_FD: Final = 1
PSEUDO_KERNEL_CALL: Final = 2


class Assembler:
    """Instructions in order. Registers are numbers 0..10; a label stands for the instruction that follows it."""

    def __init__(self) -> None:
        self._words: list[tuple[int, int, int, int, str, int]] = []
        self._labels: dict[str, int] = {}

    def _emit(self, code: int, to: int = 0, source: int = 0, imm: int = 0, *, label: str = "", offset: int = 0) -> None:
        self._words.append((code, to, source, offset, label, imm))

    def label(self, name: str) -> None:
        self._labels[name] = len(self._words)

    def load(self, size: int, to: int, base: int, offset: int) -> None:
        """Register `to` = `size` bytes (1, 2, 4, 8) at register `base` + `offset`, as the machine loads them."""
        self._emit(LOAD[size], to, base, offset=offset)

    def store(self, size: int, base: int, offset: int, source: int) -> None:
        """`size` bytes (1, 2, 4, 8) at register `base` + `offset` = register `source`."""
        self._emit(STORE[size], base, source, offset=offset)

    def alu(self, name: str, to: int, imm: int) -> None:
        """64-bit arithmetic with a constant."""
        self._emit(ALU[name], to, imm=imm)

    def alu_register(self, name: str, to: int, source: int) -> None:
        self._emit(ALU[name] | SOURCE_REGISTER, to, source)

    def alu32(self, operation: int, to: int, imm: int) -> None:
        """32-bit arithmetic with a constant. operation: a code of classic BPF, or MOVE."""
        self._emit(operation | ALU_32, to, imm=imm)

    def alu32_register(self, operation: int, to: int, source: int) -> None:
        self._emit(operation | ALU_32 | SOURCE_REGISTER, to, source)

    def big_endian(self, size: int, to: int) -> None:
        """Register `to` = its low `size` bytes (2, 4), turned round where the machine's order is not the network's."""
        self._emit(BIG_ENDIAN, to, imm=8 * size)

    def multiply32(self, to: int, imm: int) -> None:
        """Register `to` = the low 32 bits of the product; the high ones become 0."""
        self._emit(MUL32, to, imm=imm)

    def jump(self, label: str) -> None:
        self._emit(JUMP["always"], label=label)

    def jump_if(self, name: str, left: int, imm: int, label: str) -> None:
        """Jump where `left` compares so, unsigned, with a constant."""
        self._emit(JUMP[name], left, imm=imm, label=label)

    def jump_if_register(self, name: str, left: int, right: int, label: str) -> None:
        self._emit(JUMP[name] | SOURCE_REGISTER, left, right, label=label)

    def jump32(self, operation: int, left: int, imm: int, label: str) -> None:
        """Jump where the low 32 bits compare so, unsigned. operation: a code of classic BPF."""
        self._emit(operation | JUMP_32, left, imm=imm, label=label)

    def jump32_register(self, operation: int, left: int, right: int, label: str) -> None:
        self._emit(operation | JUMP_32 | SOURCE_REGISTER, left, right, label=label)

    def load_frame(self, size: int, at: int) -> None:
        """Register 0 = `size` bytes (1, 2, 4) of the frame from `at` on, in network order; the frame has them."""
        self._emit(FRAME[size], imm=at)

    def load_frame_at(self, size: int, register: int, at: int) -> None:
        """The same from `at` + `register` on."""
        self._emit(FRAME_AT[size], source=register, imm=at)

    def add_in_memory(self, base: int, offset: int, source: int) -> None:
        """8 bytes at register `base` + `offset` += register `source`, whichever CPUs do it at once."""
        self._emit(ATOMIC_ADD, base, source, offset=offset)

    def load_map(self, to: int, fd: int) -> None:
        self._emit(LOAD_64, to, PSEUDO_MAP_FD, fd)
        self._emit(0)

    def call(self, function: int) -> None:
        self._emit(CALL, imm=function)

    def call_kernel(self, function: int) -> None:
        """Call a function of the kernel by its id in BTF."""
        self._emit(CALL, source=PSEUDO_KERNEL_CALL, imm=function)

    def leave(self) -> None:
        self._emit(EXIT)

    def assemble(self) -> bytes:
        """The code, 8 bytes an instruction, for BPF_PROG_LOAD. Raises struct.error where a jump is too long."""
        code = []
        for place, (operation, to, source, offset, label, imm) in enumerate(self._words):
            jump = self._labels[label] - place - 1 if label else offset
            code.append(INSTRUCTION.pack(operation, source << 4 | to, jump, (imm & UNSIGNED ^ SIGN) - SIGN))
        return b"".join(code)
