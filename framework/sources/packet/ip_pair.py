"""A program of classic BPF that gives both directions between two addresses one number.

It runs for the group, not for a socket: the kernel takes what it returns modulo the number of sockets. Fragments,
which have no ports, then come to one worker with all else that two hosts say to each other.

The number mixes the sum and the xor of all words of both addresses: neither changes when the addresses change places.
What is no IP, and what is cut before the addresses, is 0.
"""

from __future__ import annotations

from typing import Final

from .socket import Instruction

# linux/filter.h: what the kernel knows of a frame lies at negative offsets.
ANCILLARY: Final = 0x1_0000_0000 - 0x1000
PROTOCOL: Final = ANCILLARY + 0
PACKET_TYPE: Final = ANCILLARY + 4
OUTGOING: Final = 4

ETHERNET_HEADER: Final = 14
IPV4: Final = 0x0800
IPV6: Final = 0x86DD
TAGS: Final = (0x8100, 0x88A8)
# Where the words of both addresses lie in the header.
IPV4_WORDS: Final = (12, 16)
IPV6_WORDS: Final = (8, 12, 16, 20, 24, 28, 32, 36)

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

# Places in m.
SUM: Final = 0
XOR: Final = 1
HEADER: Final = 2
TYPE: Final = 3

# Odd, without a pattern: neighbouring addresses spread.
SUM_FACTOR: Final = 0x9E3779B1
XOR_FACTOR: Final = 0x85EBCA77


def _plain(code: int, k: int = 0) -> Instruction:
    return code, 0, 0, k


def _find_header() -> list[Instruction]:
    """x: where the header behind Ethernet's begins; a: its ethertype.

    What the kernel shows of a frame that came begins there, of one that goes out with its Ethernet header.
    """
    return [
        _plain(LOAD_WORD, PACKET_TYPE),
        (IF_EQUAL, 0, 3, OUTGOING),
        _plain(LOAD_X, ETHERNET_HEADER),
        _plain(LOAD_HALF, ETHERNET_HEADER - 2),
        _plain(JUMP, 2),
        _plain(LOAD_X, 0),
        _plain(LOAD_WORD, PROTOCOL),
    ]


def _skip_tag() -> list[Instruction]:
    """Go behind the VLAN tag at x, where ethertype a says that there is one."""
    return [
        (IF_EQUAL, 1, 0, TAGS[0]),
        (IF_EQUAL, 0, 6, TAGS[1]),
        _plain(HALF_AT_X, 2),
        _plain(SAVE, TYPE),
        _plain(X_TO_A),
        _plain(ADD, 4),
        _plain(A_TO_X),
        _plain(LOAD_SAVED, TYPE),
    ]


def _take_in(offset: int) -> list[Instruction]:
    """Add a word of the header to the sum and to the xor."""
    return [
        _plain(LOAD_X_SAVED, HEADER),
        _plain(WORD_AT_X, offset),
        _plain(A_TO_X),
        *(_plain(LOAD_SAVED, SUM), _plain(ADD_X), _plain(SAVE, SUM)),
        *(_plain(LOAD_SAVED, XOR), _plain(XOR_X), _plain(SAVE, XOR)),
    ]


def _mix() -> list[Instruction]:
    return [
        *(_plain(LOAD_SAVED, XOR), _plain(MULTIPLY, XOR_FACTOR), _plain(A_TO_X)),
        *(_plain(LOAD_SAVED, SUM), _plain(MULTIPLY, SUM_FACTOR), _plain(XOR_X)),
        # The low bits of a product depend on the low bits alone.
        *(_plain(SHIFT_RIGHT, 16), _plain(RETURN_A)),
    ]


def ip_pair_program() -> list[Instruction]:
    """The program, for PACKET_FANOUT_CBPF."""
    ipv4 = [one for offset in IPV4_WORDS for one in _take_in(offset)]
    ipv6 = [one for offset in IPV6_WORDS for one in _take_in(offset)]
    return [
        *(_plain(LOAD, 0), _plain(SAVE, SUM), _plain(SAVE, XOR)),
        *_find_header(),
        *_skip_tag(),
        *_skip_tag(),
        _plain(SAVE_X, HEADER),
        (IF_EQUAL, 0, len(ipv6) + 1, IPV6),
        *ipv6,
        _plain(JUMP, len(ipv4) + 2),
        (IF_EQUAL, 1, 0, IPV4),
        _plain(RETURN, 0),
        *ipv4,
        *_mix(),
    ]
