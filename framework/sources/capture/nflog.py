"""NFLOG: what Linux's netfilter logs, one packet among attributes (tcpdump.org, LINKTYPE_NFLOG)."""

from __future__ import annotations

from typing import Final

from zcframe.framework.jit.address import load_be16, load_u8
from zcframe.framework.jit.compiler import inlined

from .ethertypes import AF_INET, AF_INET6_LINUX, ETHERTYPE_UNKNOWN, family_ethertype, known_or_none
from .order import load_16

HEADER: Final = 4
VERSION: Final = 0

# An attribute: its length with these 4 bytes, its kind, both in the byte order of the recording machine; its value.
ATTRIBUTE: Final = 4
KIND_BITS: Final = 0x7FFF
PACKET_HEADER: Final = 1
PAYLOAD: Final = 9
# Far above the number of kinds that there are.
MAX_ATTRIBUTES: Final = 64


@inlined
def nflog_packet(record, length, swapped):  # type: ignore[no-untyped-def]
    """(offset, length, ethertype) of the packet in it; the whole record, without an ethertype, where there is none."""
    if length < HEADER or load_u8(record + 1) != VERSION:
        return 0, length, ETHERTYPE_UNKNOWN
    family, protocol, at = load_u8(record), 0, HEADER
    for _ in range(MAX_ATTRIBUTES):
        if length - at < ATTRIBUTE:
            break
        size, kind = load_16(record + at, swapped), load_16(record + at + 2, swapped) & KIND_BITS
        if size < ATTRIBUTE:
            break
        if kind == PAYLOAD:
            known = family == AF_INET or family == AF_INET6_LINUX
            ethertype = family_ethertype(family) if known else known_or_none(protocol)
            return at + ATTRIBUTE, min(size, length - at) - ATTRIBUTE, ethertype
        if kind == PACKET_HEADER and min(size, length - at) >= ATTRIBUTE + 2:
            protocol = load_be16(record + at + ATTRIBUTE)
        at += size + 3 & ~3
    return 0, length, ETHERTYPE_UNKNOWN
