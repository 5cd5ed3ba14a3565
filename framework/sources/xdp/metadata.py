"""The card's own findings about a frame: our program writes them in front of it, where the worker reads them.

RECORD_SIZE bytes that end where the frame begins:

    0    time of arrival, nanoseconds, u64
    8    hash u32 | what was hashed, as the kernel's enum xdp_rss_hash_type has it, u32
    16   type of the VLAN tag that was taken off, in network order, u16 | the tag, u16
    20   MAGIC | TIME, HASH, VLAN, CLOCK: which of them hold, u32

The kernel copies them along with the frame, or leaves both where they are. A program on another interface that handed
the frame on may have written something else in between: then there is no MAGIC in this place, and nothing holds.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from zcframe.framework import abi
from zcframe.framework.jit.address import load_be16, load_u8, load_u16, load_u32, load_u64
from zcframe.framework.jit.compiler import inlined
from zcframe.framework.rss.fields import FIELD_TCP, FIELD_UDP

# Bits of what a driver can report, as the kernel numbers them.
TIME, HASH, VLAN = 1, 2, 4
ALL: Final = TIME | HASH | VLAN
# Nobody is asked: the time is that of the kernel's clock, when our program saw the frame.
CLOCK = 8
# The kernel's function for each, and the version that brought it.
FUNCTIONS: Final = {
    TIME: "bpf_xdp_metadata_rx_timestamp",  # 6.3
    HASH: "bpf_xdp_metadata_rx_hash",  # 6.3
    VLAN: "bpf_xdp_metadata_rx_vlan_tag",  # 6.8
}

RECORD_SIZE: Final = 24
AT_TIME: Final = 0
AT_HASH: Final = 8
AT_HASHED: Final = 12
AT_PROTOCOL: Final = 16
AT_TAG: Final = 18
AT_FLAGS: Final = 20
# Where each function is to write.
PLACES: Final = {TIME: (AT_TIME,), HASH: (AT_HASH, AT_HASHED), VLAN: (AT_PROTOCOL, AT_TAG)}
MAGIC: Final = 0x7A63_6D00

# enum xdp_rss_hash_type: bits, of which drivers name some sums.
IPV4, IPV6, EXTENDED, PORTS, TCP, UDP = 1, 2, 4, 8, 16, 32
KINDS: Final = 1 << 9
# Nanoseconds. A card's clock that is further from ours was never set to the time of day.
DAY: Final = 86_400_000_000_000


def abi_types(fields: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """abi.RSS_* of each of the kernel's types, 0 where none is the same: uint8, shape (KINDS,).

    fields: mask of FIELD_*: a card that says it hashed ports which the run does not hash means something else.
    """
    types = np.zeros(KINDS, np.uint8)
    types[IPV4], types[IPV6], types[IPV6 | EXTENDED] = abi.RSS_IPV4, abi.RSS_IPV6, abi.RSS_IPV6_EX
    if fields & FIELD_TCP:
        types[IPV4 | PORTS | TCP], types[IPV6 | PORTS | TCP] = abi.RSS_TCP_IPV4, abi.RSS_TCP_IPV6
        types[IPV6 | EXTENDED | PORTS | TCP] = abi.RSS_TCP_IPV6_EX
    if fields & FIELD_UDP:
        types[IPV4 | PORTS | UDP], types[IPV6 | PORTS | UDP] = abi.RSS_UDP_IPV4, abi.RSS_UDP_IPV6
        types[IPV6 | EXTENDED | PORTS | UDP] = abi.RSS_UDP_IPV6_EX
    return types


@inlined
def reported_of(frame, wanted):  # type: ignore[no-untyped-def]
    """The bits of `wanted` that hold for the frame at this address."""
    flags = load_u32(frame - RECORD_SIZE + AT_FLAGS)
    return flags & wanted if flags & ~(ALL | CLOCK) == MAGIC else 0


@inlined
def reported_time(frame, reported, now):  # type: ignore[no-untyped-def]
    """Time of arrival in nanoseconds since 1970; 0: none, or an impossible one."""
    if reported & (TIME | CLOCK) == 0:
        return 0
    time = load_u64(frame - RECORD_SIZE + AT_TIME)
    return time if now - DAY < time < now + DAY else 0


@inlined
def reported_hash(frame, reported, types):  # type: ignore[no-untyped-def]
    """abi.RSS_* << 32 | hash; 0: none, or none of a type that is one of ours. types: address of `abi_types`."""
    if reported & HASH == 0:
        return 0
    hashed = load_u32(frame - RECORD_SIZE + AT_HASHED)
    kind = load_u8(types + hashed) if hashed < KINDS else 0
    return kind << 32 | load_u32(frame - RECORD_SIZE + AT_HASH) if kind != 0 else 0


@inlined
def reported_tag(frame, reported):  # type: ignore[no-untyped-def]
    """(ethertype, tag) of the VLAN tag that was taken off; (0, 0): none."""
    tpid = load_be16(frame - RECORD_SIZE + AT_PROTOCOL) if reported & VLAN != 0 else 0
    return tpid, load_u16(frame - RECORD_SIZE + AT_TAG) if tpid != 0 else 0
