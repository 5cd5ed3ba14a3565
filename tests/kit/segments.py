"""Frames of packets that a model knows as tests.kit.flowbook.Sent."""

from __future__ import annotations

import struct

from tests.kit.flowbook import Sent

ETHER = bytes.fromhex("0200000000020200000000010800")


def frame_of(one: Sent) -> bytes:
    """An Ethernet frame with IPv4, and TCP or UDP; checksums are 0. Captured as far as `data` goes."""
    wire = len(one.data) if one.wire < 0 else one.wire
    if one.proto == 6:
        l4 = struct.pack(">HHIIBBHHH", one.src[1], one.dst[1], one.seq, 0, 0x50, one.flags, 1024, 0, 0)
    else:
        l4 = struct.pack(">HHHH", one.src[1], one.dst[1], 8 + wire, 0)
    length = 20 + len(l4) + wire
    ip = struct.pack(">BBHHHBBH4s4s", 0x45, 0, length, 0, 0, 64, one.proto, 0, one.src[0][-4:], one.dst[0][-4:])
    return ETHER + ip + l4 + one.data
