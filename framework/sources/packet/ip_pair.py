"""A program of classic BPF that gives both directions between two addresses one number.

It runs for the group, not for a socket: the kernel takes its result modulo the number of sockets. Fragments,
which have no ports, then come to one worker with all else that two hosts say to each other.

The number mixes the sum and the xor of all words of both addresses: neither changes when the addresses change places.
Frames without IP, and frames that are cut before the addresses, get 0.
"""

from __future__ import annotations

from typing import Final

from zcframe.framework.nic.link.hardware import ARPHRD_ETHER, ARPHRD_LOOPBACK

from .classic_bpf import (
    A_TO_X,
    ADD,
    ADD_X,
    HALF_AT_X,
    HARDWARE,
    IF_EQUAL,
    JUMP,
    LOAD,
    LOAD_HALF,
    LOAD_SAVED,
    LOAD_WORD,
    LOAD_X,
    LOAD_X_SAVED,
    MULTIPLY,
    NETWORK,
    OUTGOING,
    PACKET_TYPE,
    PROTOCOL,
    RETURN,
    RETURN_A,
    SAVE,
    SAVE_X,
    SHIFT_RIGHT,
    WORD_AT_X,
    X_TO_A,
    XOR_X,
    plain,
)
from .socket import Instruction

ETHERNET_HEADER: Final = 14
IPV4: Final = 0x0800
IPV6: Final = 0x86DD
TAGS: Final = (0x8100, 0x88A8)
# Where the words of both addresses lie in the header.
IPV4_WORDS: Final = (12, 16)
IPV6_WORDS: Final = (8, 12, 16, 20, 24, 28, 32, 36)

# Places in m.
SUM: Final = 0
XOR: Final = 1
HEADER: Final = 2
TYPE: Final = 3

# Odd, without a pattern: neighbouring addresses spread.
SUM_FACTOR: Final = 0x9E3779B1
XOR_FACTOR: Final = 0x85EBCA77


def _find_header() -> list[Instruction]:
    """Set x to the beginning of the header behind Ethernet's, or any other link's, and a to its ethertype.

    The kernel shows a received frame from there on, and an outgoing one from its first header on: which one that is, if
    any, depends on the interface.
    """
    return [
        *(plain(LOAD_WORD, PACKET_TYPE), (IF_EQUAL, 0, 8, OUTGOING)),
        *(plain(LOAD_WORD, HARDWARE), (IF_EQUAL, 1, 0, ARPHRD_ETHER), (IF_EQUAL, 0, 3, ARPHRD_LOOPBACK)),
        *(plain(LOAD_X, ETHERNET_HEADER), plain(LOAD_HALF, ETHERNET_HEADER - 2), plain(JUMP, 4)),
        *(plain(LOAD_X, NETWORK), plain(JUMP, 1)),
        plain(LOAD_X, 0),
        plain(LOAD_WORD, PROTOCOL),
    ]


def _skip_tag() -> list[Instruction]:
    """Move x behind the VLAN tag at x, where the ethertype in a says that there is one."""
    return [
        (IF_EQUAL, 1, 0, TAGS[0]),
        (IF_EQUAL, 0, 6, TAGS[1]),
        plain(HALF_AT_X, 2),
        plain(SAVE, TYPE),
        plain(X_TO_A),
        plain(ADD, 4),
        plain(A_TO_X),
        plain(LOAD_SAVED, TYPE),
    ]


def _take_in(offset: int) -> list[Instruction]:
    """Add a word of the header to the sum and to the xor."""
    return [
        plain(LOAD_X_SAVED, HEADER),
        plain(WORD_AT_X, offset),
        plain(A_TO_X),
        *(plain(LOAD_SAVED, SUM), plain(ADD_X), plain(SAVE, SUM)),
        *(plain(LOAD_SAVED, XOR), plain(XOR_X), plain(SAVE, XOR)),
    ]


def _mix() -> list[Instruction]:
    return [
        *(plain(LOAD_SAVED, XOR), plain(MULTIPLY, XOR_FACTOR), plain(A_TO_X)),
        *(plain(LOAD_SAVED, SUM), plain(MULTIPLY, SUM_FACTOR), plain(XOR_X)),
        # The low bits of a product depend on the low bits alone.
        *(plain(SHIFT_RIGHT, 16), plain(RETURN_A)),
    ]


def ip_pair_program() -> list[Instruction]:
    """The program, for PACKET_FANOUT_CBPF."""
    ipv4 = [one for offset in IPV4_WORDS for one in _take_in(offset)]
    ipv6 = [one for offset in IPV6_WORDS for one in _take_in(offset)]
    return [
        *(plain(LOAD, 0), plain(SAVE, SUM), plain(SAVE, XOR)),
        *_find_header(),
        *_skip_tag(),
        *_skip_tag(),
        plain(SAVE_X, HEADER),
        (IF_EQUAL, 0, len(ipv6) + 1, IPV6),
        *ipv6,
        plain(JUMP, len(ipv4) + 2),
        (IF_EQUAL, 1, 0, IPV4),
        plain(RETURN, 0),
        *ipv4,
        *_mix(),
    ]
