"""Community ID: one name of a flow for all tools (https://github.com/corelight/community-id-spec, version 1)."""

from __future__ import annotations

import base64
import struct
from typing import Any


def community_id(pkt: Any, seed: int = 0) -> tuple[int, int, int]:
    """The Community ID of a packet's flow, for `filter`: 64, 64 and 32 bits of SHA-1; zeros without IP.

    TCP, UDP, SCTP, ICMP and ICMPv6 count by ports, or type and code; other protocols, and packets without those bytes,
    as later fragments, by addresses alone. seed: 16 bits that all who compare have in common.
    """
    # Compiled code has it from sha1.py; the packet of a filter that is interpreted brings its own.
    if not hasattr(pkt, "_community_id"):
        raise TypeError("community_id(pkt) is for a packet: call it in filter")
    first, second, third = pkt._community_id(seed)
    return first, second, third


def community_id_text(a: int, b: int, c: int) -> str:
    """The ID as it is written, of the three words that a plugin stored: "1:", then base64 of 20 bytes."""
    word, half = (1 << 64) - 1, (1 << 32) - 1
    digest = struct.pack(">QQI", int(a) & word, int(b) & word, int(c) & half)
    return "1:" + base64.b64encode(digest).decode()
