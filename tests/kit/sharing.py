"""The share of a frame: by zcframe's compiled rules, and by the documented numbers in plain Python."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numba
import numpy as np

from zcframe.framework import abi
from zcframe.framework.packet.decode import decode
from zcframe.framework.packet.value import make_packet
from zcframe.framework.share import Shares, share_table
from zcframe.framework.share.choose import share_by

# A frame to a share.
Chooser = Callable[[bytes], int]


@functools.cache
def _compiled(rule: str) -> Any:
    share_of = share_by(rule)

    @numba.njit
    def choose(desc, data, length, queue, table):  # type: ignore[no-untyped-def]
        offsets, facts = decode(desc, data, length)
        return share_of(make_packet(desc, data, offsets, facts), queue, table)

    return choose


def chooser(rule: str, shares: str = "3", *, queue: int = 0, alive: set[int] | None = None) -> Chooser:
    """What `rule` does among these shares."""
    table = share_table(Shares.parse(rule, shares), alive)
    choose = _compiled(rule)

    def share_of(frame: bytes) -> int:
        memory = np.frombuffer(frame + bytes(1), np.uint8)
        desc = np.zeros(1, abi.DESC)
        desc["len"] = desc["wire_len"] = len(frame)
        return int(choose(desc.ctypes.data, memory.ctypes.data, len(frame), queue, table.ctypes.data))

    return share_of


# --- docs/sharing.md in Python

KEY = (0x243F6A8885A308D3, 0x13198A2E03707344, 0xA4093822299F31D0, 0x082EFA98EC4E6C89)


def fold(a: int, b: int) -> int:
    return a * b >> 64 ^ a * b & (1 << 64) - 1


def end(address: bytes, port: int) -> int:
    """Of 16 bytes: IPv4 as ::ffff:a.b.c.d."""
    return fold(int.from_bytes(address[:8]) ^ port << 48 ^ KEY[0], int.from_bytes(address[8:]) ^ KEY[1])


def documented_bucket(src: bytes, dst: bytes, sport: int = 0, dport: int = 0, proto: int = 0) -> int:
    """Of ip-pair and inner without ports and protocol, else of 5-tuple."""
    return fold(end(src, sport) ^ end(dst, dport) ^ KEY[2], proto ^ KEY[3]) >> 52
