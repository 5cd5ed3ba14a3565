"""Headers that recording programs put in front of a frame of another link type."""

from __future__ import annotations

from typing import Final

from zcframe.framework.jit.address import load_be32, load_u8
from zcframe.framework.jit.compiler import inlined

from .linktype import (
    AVS,
    ETHERNET,
    FIBRE_CHANNEL,
    FRAME_RELAY,
    FRAME_RELAY_WITH_DIR,
    FRAMING_TABLE,
    HDLC,
    HDLC_WITH_DIR,
    IEEE802_11,
    LLC,
    NETANALYZER,
    PKTAP,
    PPI,
    PPP,
    PPP_PPPD,
    PRISM,
    RADIOTAP,
    UNSUPPORTED,
)
from .order import LITTLE, load_16, load_32

DIRECTION: Final = 1
PPP_CONTROL: Final = 0x03

NETANALYZER_HEADER: Final = 4
FIBRE_CHANNEL_HEADER: Final = 16
PRISM_HEADER: Final = 144
AVS_HEADER: Final = 8
AVS_MAGIC: Final = 0x80211000
PPI_HEADER: Final = 8
# Up to the link type; then come names and numbers of processes.
PKTAP_HEADER: Final = 12
PKTAP_PACKET: Final = 1

# radiotap.org: version, padding, length, then words of presence bits, each but the last with its highest bit set.
RADIOTAP_HEADER: Final = 8
RADIOTAP_HAS_TIME: Final = 1
RADIOTAP_HAS_FLAGS: Final = 2
RADIOTAP_MORE: Final = 0x80000000
RADIOTAP_WORDS: Final = 8
RADIOTAP_PADDED: Final = 0x20


@inlined
def framing_number(link_type):  # type: ignore[no-untyped-def]
    return FRAMING_TABLE[link_type] if link_type < len(FRAMING_TABLE) else UNSUPPORTED


@inlined
def radiotap_is_padded(record, size):  # type: ignore[no-untyped-def]
    """Whether the flags of a radiotap header say that the 802.11 header is followed by padding."""
    present = load_32(record + 4, LITTLE)
    at, word = RADIOTAP_HEADER, present
    for _ in range(RADIOTAP_WORDS):
        if word & RADIOTAP_MORE == 0 or size - at < 4:
            break
        word = load_32(record + at, LITTLE)
        at += 4
    if present & RADIOTAP_HAS_TIME:
        at = (at + 7 & ~7) + 8
    return present & RADIOTAP_HAS_FLAGS != 0 and at < size and load_u8(record + at) & RADIOTAP_PADDED != 0


@inlined
def unwrap_radio(record, length, framing):  # type: ignore[no-untyped-def]
    """(bytes, framing, whether the 802.11 header is padded)."""
    if framing == RADIOTAP:
        size = load_16(record + 2, LITTLE) if length >= RADIOTAP_HEADER else 0
        if size < RADIOTAP_HEADER or size > length or load_u8(record) != 0:
            return 0, UNSUPPORTED, False
        return size, IEEE802_11, radiotap_is_padded(record, size)
    if framing == PPI:
        size = load_16(record + 2, LITTLE) if length >= PPI_HEADER else 0
        sound = size >= PPI_HEADER and size <= length
        return (size, framing_number(load_32(record + 4, LITTLE)), False) if sound else (0, UNSUPPORTED, False)
    is_avs = length >= AVS_HEADER and load_be32(record) & 0xFFFFF000 == AVS_MAGIC
    size = load_be32(record + 4) if is_avs else 0 if framing == AVS else PRISM_HEADER
    return (size, IEEE802_11, False) if size >= AVS_HEADER and size <= length else (0, UNSUPPORTED, False)


@inlined
def unwrap_pktap(record, length):  # type: ignore[no-untyped-def]
    """Header of Apple's pktap, little-endian: length, kind of the next header, link type."""
    if length < PKTAP_HEADER:
        return 0, UNSUPPORTED, False
    size = load_32(record, LITTLE)
    sound = size >= PKTAP_HEADER and size <= length and load_32(record + 4, LITTLE) == PKTAP_PACKET
    return (size, framing_number(load_32(record + 8, LITTLE)), False) if sound else (0, UNSUPPORTED, False)


@inlined
def unwrap_fixed(record, length, framing):  # type: ignore[no-untyped-def]
    size, inner = DIRECTION, PPP
    if framing == HDLC_WITH_DIR:
        inner = HDLC
    elif framing == FRAME_RELAY_WITH_DIR:
        inner = FRAME_RELAY
    elif framing == FIBRE_CHANNEL:
        size, inner = FIBRE_CHANNEL_HEADER, LLC
    elif framing == NETANALYZER:
        size, inner = NETANALYZER_HEADER, ETHERNET
    elif framing == PPP_PPPD and length >= 2 and load_u8(record + 1) == PPP_CONTROL:
        size = DIRECTION + 1
    return (size, inner, False) if size <= length else (0, UNSUPPORTED, False)


@inlined
def unwrap(record, length, framing):  # type: ignore[no-untyped-def]
    """(bytes of the wrapper, framing of what is in it, whether its 802.11 header is padded); UNSUPPORTED if unsound."""
    if framing == PKTAP:
        return unwrap_pktap(record, length)
    if framing == RADIOTAP or framing == PPI or framing == AVS or framing == PRISM:
        return unwrap_radio(record, length, framing)
    return unwrap_fixed(record, length, framing)
