"""A compiled tcpdump expression: a program of classic BPF, and the codes of its instructions."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final, NamedTuple

# linux/bpf_common.h. Of a code: its class, and by class where its parts stand.
LD, LDX, ST, STX, ALU, JMP, RET, MISC = range(8)
CLASS: Final = 0x07
SIZE: Final = 0x18
MODE: Final = 0xE0
OPERATION: Final = 0xF0
RETURNED: Final = 0x18

# Bytes that a load takes, by SIZE.
SIZES: Final = {0x00: 4, 0x08: 2, 0x10: 1}
IMM, ABS, IND, MEM, LEN, MSH = (mode << 5 for mode in range(6))
ADD, SUB, MUL, DIV, OR, AND, LSH, RSH, NEG, MOD, XOR = (operation << 4 for operation in range(11))
JA, JEQ, JGT, JGE, JSET = (operation << 4 for operation in range(5))
# The operand is X in place of k; A is returned in place of k; A is copied from X, else X from A.
FROM_X: Final = 0x08
RET_A: Final = 0x10
TXA: Final = 0x80

# Loads from here on ask Linux for what is not in the frame (linux/filter.h): the tag that was taken off.
ANCILLARY: Final = 0xFFFFF000
VLAN_TAG: Final = ANCILLARY + 44
VLAN_TAG_PRESENT: Final = ANCILLARY + 48


class Instruction(NamedTuple):
    """One instruction: struct sock_filter. jt, jf: how many instructions a jump leaves out."""

    code: int
    jt: int
    jf: int
    k: int

    @property
    def kind(self) -> int:
        return self.code & CLASS

    @property
    def keeps(self) -> bool:
        """Whether its k is a word of the scratch memory."""
        return self.kind in (ST, STX) or (self.kind in (LD, LDX) and self.code & MODE == MEM)

    @property
    def asks(self) -> bool:
        """Whether it loads something that is not in the frame."""
        return self.kind == LD and self.code & MODE == ABS and self.k >= ANCILLARY


@dataclass(frozen=True)
class Program:
    """What libpcap made of `expression` for Ethernet frames; listing: a line an instruction, as `tcpdump -d` has it."""

    expression: str
    instructions: tuple[Instruction, ...]
    listing: tuple[str, ...] = ()

    @property
    def octets(self) -> bytes:
        """The instructions as the kernel takes them, 8 bytes each: they are all that a verdict depends on."""
        return b"".join(struct.pack("=HBBI", *instruction) for instruction in self.instructions)

    @property
    def words(self) -> set[int]:
        """The words of scratch memory that it uses."""
        return {instruction.k for instruction in self.instructions if instruction.keeps}

    @property
    def asks_for_tag(self) -> bool:
        """Whether it takes the VLAN tag from beside the frame, and not from the frame."""
        return any(instruction.asks for instruction in self.instructions)
