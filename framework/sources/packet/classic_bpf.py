"""Instructions of classic BPF, which the kernel runs on frames for a socket or for a group of them."""

from __future__ import annotations

from typing import Final

from .socket import Instruction

# linux/filter.h: what the kernel knows of a frame lies at negative offsets.
ANCILLARY: Final = 0x1_0000_0000 - 0x1000
PROTOCOL: Final = ANCILLARY + 0
PACKET_TYPE: Final = ANCILLARY + 4
HARDWARE: Final = ANCILLARY + 28
OUTGOING: Final = 4
# From here on the frame's network header, and what is behind it, in the memory that a frame always has.
NETWORK: Final = 0x1_0000_0000 - 0x10_0000

# Codes of linux/bpf_common.h. a: accumulator, x: index register, m: scratch memory.
LOAD: Final = 0x00  # a = k
LOAD_WORD: Final = 0x20  # a = the 4 bytes at k
LOAD_HALF: Final = 0x28  # a = the 2 bytes at k
WORD_AT_X: Final = 0x40  # a = the 4 bytes at x + k
HALF_AT_X: Final = 0x48
LOAD_SAVED: Final = 0x60  # a = m[k]
SAVE: Final = 0x02
LOAD_X: Final = 0x01
LOAD_X_SAVED: Final = 0x61
SAVE_X: Final = 0x03
ADD: Final = 0x04
ADD_X: Final = 0x0C
MULTIPLY: Final = 0x24
SHIFT_RIGHT: Final = 0x74
XOR_X: Final = 0xAC
A_TO_X: Final = 0x07
X_TO_A: Final = 0x87
JUMP: Final = 0x05
IF_EQUAL: Final = 0x15
RETURN: Final = 0x06
RETURN_A: Final = 0x16


def plain(code: int, k: int = 0) -> Instruction:
    """An instruction that does not branch."""
    return code, 0, 0, k
