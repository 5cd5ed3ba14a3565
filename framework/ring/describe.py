"""The descriptor of a frame, written field by field; compiled."""

from __future__ import annotations

from zcframe.framework import abi
from zcframe.framework.jit.address import store_u8, store_u16, store_u32, store_u64
from zcframe.framework.jit.compiler import inlined


@inlined
def describe(desc, timestamp, offset, length, wire_len, hashed, tpid, tci, status, port):  # type: ignore[no-untyped-def]
    """Write the descriptor at address `desc`; nobody reads it before `write` of its ring is released.

    timestamp: nanoseconds since 1970. offset: of the frame, from the first block. length, wire_len: bytes that are
    there, bytes on the wire. hashed: as `rss_hash` returns it. tpid, tci: of the VLAN tag that was taken off, 0 for
    none. status: mask of abi.STATUS_*. port: number of the interface in the run.
    """
    store_u64(desc + abi.DESC_TIMESTAMP, timestamp)
    store_u32(desc + abi.DESC_OFFSET, offset)
    store_u32(desc + abi.DESC_WIRE_LEN, wire_len)
    store_u32(desc + abi.DESC_RSS_HASH, hashed)
    store_u16(desc + abi.DESC_LEN, length)
    store_u16(desc + abi.DESC_VLAN_TCI, tci)
    store_u16(desc + abi.DESC_VLAN_TPID, tpid)
    store_u16(desc + abi.DESC_STATUS, status)
    store_u8(desc + abi.DESC_RSS_TYPE, hashed >> 32)
    store_u8(desc + abi.DESC_FLAG_ACCESS, abi.ACCESS_READABLE)
    store_u16(desc + abi.DESC_PORT, port)
