"""Readable view of kernel/include/uapi/linux/pf_zerocopy.h, the authority for the layout.

`tests/unit/test_abi.py` compiles the header and compares every offset, size and constant with this file.
All structures are in machine byte order. Offsets used by compiled code are module constants: numba bakes them in.
"""

from __future__ import annotations

from typing import Final

import numpy as np

MAGIC: Final = 0x5A43524E
VERSION: Final = 1

CACHE_LINE: Final = 64
PAGE_SIZE: Final = 4096
BLOCK_SIZE: Final = 2048
MIN_SLOTS: Final = 64
MAX_SLOTS: Final = 65536
MAX_TX_SLOTS: Final = 4096
MAX_QUEUES: Final = 16
RETA_SIZE: Final = 128
RSS_KEY_SIZE: Final = 40
IFNAME_SIZE: Final = 16

DIR_RX: Final = 0
DIR_TX: Final = 1

STATE_SETUP: Final = 0
STATE_RUNNING: Final = 1
STATE_STOPPED: Final = 2
STATE_GONE: Final = 3

RING_NEED_KICK: Final = 1
RING_AT_LEAST: Final = 2

USER_WANT_WAKE: Final = 1

ACCESS_UNINITIALIZED: Final = 0
ACCESS_READABLE: Final = 1
ACCESS_WRITABLE: Final = 2

STATUS_TRUNCATED: Final = 1
STATUS_VLAN: Final = 2
STATUS_HW_TIME: Final = 4
STATUS_CSUM_BAD: Final = 8
STATUS_NO_TIME: Final = 16
STATUS_UNSENT: Final = 32

RSS_NONE: Final = 0
RSS_TCP_IPV4: Final = 1
RSS_IPV4: Final = 2
RSS_TCP_IPV6: Final = 3
RSS_IPV6_EX: Final = 4
RSS_IPV6: Final = 5
RSS_TCP_IPV6_EX: Final = 6
RSS_UDP_IPV4: Final = 7
RSS_UDP_IPV6: Final = 8
RSS_UDP_IPV6_EX: Final = 9

TX_DESC_OFFSET: Final = 256

PGOFF_RING: Final = 0x0_0000_0000
PGOFF_USER: Final = 0x1_0000_0000
PGOFF_BUFFER: Final = 0x2_0000_0000

SOL_ZEROCOPY: Final = 287
OPT_RING: Final = 1
OPT_BUFFER: Final = 2
OPT_WAKE: Final = 3
OPT_STATS: Final = 4
CMSG_DESC: Final = 1

DESC: Final = np.dtype(
    [
        ("timestamp", "u8"),
        ("offset", "u4"),
        ("wire_len", "u4"),
        ("rss_hash", "u4"),
        ("len", "u2"),
        ("vlan_tci", "u2"),
        ("vlan_tpid", "u2"),
        ("status", "u2"),
        ("rss_type", "u1"),
        ("flag_access", "u1"),
        ("port", "u2"),
    ]
)

TX_DESC: Final = np.dtype([("offset", "u4"), ("len", "u2"), ("flags", "u2"), ("cookie", "u8")])

RING_HEADER: Final = np.dtype(
    [
        ("magic", "u4"),
        ("version", "u2"),
        ("header_size", "u2"),
        ("desc_size", "u4"),
        ("desc_offset", "u4"),
        ("slots", "u4"),
        ("block_size", "u4"),
        ("queue", "u2"),
        ("direction", "u2"),
        ("user_size", "u4"),
        ("buffer_size", "u8"),
        ("epoch", "u4"),
        ("state", "u4"),
        ("flags", "u4"),
        ("ifname", "S16"),
        ("reserved0", "V60"),
        ("write", "u4"),
        ("reserved1", "V60"),
        ("arrived", "u8"),
        ("arrived_bytes", "u8"),
        ("nic_drop", "u8"),
        ("ring_full", "u8"),
        ("truncated", "u8"),
        ("wakeups", "u8"),
        ("reserved2", "V16"),
    ]
)

USER_PAGE: Final = np.dtype(
    [
        ("read", "u4"),
        ("reserved0", "V60"),
        ("write", "u4"),
        ("reserved1", "V60"),
        ("flags", "u4"),
        ("reserved2", "V60"),
    ]
)

SOCKADDR: Final = np.dtype(
    [
        ("szc_family", "u2"),
        ("szc_direction", "u2"),
        ("szc_ifindex", "u4"),
        ("szc_queue", "u4"),
        ("szc_flags", "u4"),
    ]
)

RING_REQ: Final = np.dtype([("slots", "u4"), ("reserved", "u4")])

BUFFER_REQ: Final = np.dtype([("addr", "u8"), ("size", "u8")])

WAKE_REQ: Final = np.dtype([("frames", "u4"), ("usecs", "u4"), ("busy_poll_us", "u4"), ("reserved", "u4")])

STATS: Final = np.dtype(
    [
        ("arrived", "u8"),
        ("arrived_bytes", "u8"),
        ("published", "u8"),
        ("nic_drop", "u8"),
        ("ring_full", "u8"),
        ("truncated", "u8"),
        ("wakeups", "u8"),
        ("flags", "u8"),
    ]
)


def offset_of(record: np.dtype[np.void], field: str) -> int:
    """Byte at which a field begins."""
    fields = record.fields
    assert fields is not None
    return int(fields[field][1])


DESC_SIZE: Final = DESC.itemsize
DESC_TIMESTAMP: Final = offset_of(DESC, "timestamp")
DESC_OFFSET: Final = offset_of(DESC, "offset")
DESC_WIRE_LEN: Final = offset_of(DESC, "wire_len")
DESC_RSS_HASH: Final = offset_of(DESC, "rss_hash")
DESC_LEN: Final = offset_of(DESC, "len")
DESC_VLAN_TCI: Final = offset_of(DESC, "vlan_tci")
DESC_VLAN_TPID: Final = offset_of(DESC, "vlan_tpid")
DESC_STATUS: Final = offset_of(DESC, "status")
DESC_RSS_TYPE: Final = offset_of(DESC, "rss_type")
DESC_FLAG_ACCESS: Final = offset_of(DESC, "flag_access")
DESC_PORT: Final = offset_of(DESC, "port")

HEADER_BLOCK_SIZE: Final = offset_of(RING_HEADER, "block_size")
HEADER_STATE: Final = offset_of(RING_HEADER, "state")
HEADER_FLAGS: Final = offset_of(RING_HEADER, "flags")
HEADER_WRITE: Final = offset_of(RING_HEADER, "write")
HEADER_ARRIVED: Final = offset_of(RING_HEADER, "arrived")
HEADER_ARRIVED_BYTES: Final = offset_of(RING_HEADER, "arrived_bytes")
HEADER_NIC_DROP: Final = offset_of(RING_HEADER, "nic_drop")
HEADER_RING_FULL: Final = offset_of(RING_HEADER, "ring_full")
HEADER_TRUNCATED: Final = offset_of(RING_HEADER, "truncated")
HEADER_WAKEUPS: Final = offset_of(RING_HEADER, "wakeups")

USER_READ: Final = offset_of(USER_PAGE, "read")
USER_WRITE: Final = offset_of(USER_PAGE, "write")
USER_FLAGS: Final = offset_of(USER_PAGE, "flags")
