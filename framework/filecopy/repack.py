"""Records that were scanned, as records of the file to be written; compiled.

The target may lie in front of the source, in the same bytes, as long as no record grows: pcap of Ethernet to pcap. A
record that is the same in both files, or has another time stamp, is then not moved at all.
"""

from __future__ import annotations

from typing import Final

from zcframe.framework.chain.handover import head_pcap, head_pcapng, pcap_size, pcapng_size
from zcframe.framework.jit.address import move_bytes
from zcframe.framework.jit.flat.function import flat
from zcframe.framework.sources.capture.records import LENGTH, MAX_FRAME, OFFSET, TIMESTAMP, WIRE_LENGTH

# Bytes that a record takes at most, with a synthetic Ethernet header.
LONGEST: Final = MAX_FRAME + 4096


@flat(returns=2)
def repack(base, records, first, last, target, ng, room, until, snaplen):  # type: ignore[no-untyped-def]
    """Make records of rows [first, last) at address `target`: (rows, bytes).

    It ends in front of a record of the time `until`, or a later one, and of one that does not fit into `room` bytes,
    unless it is the first. base: address that offsets of the rows count from. ng: blocks of pcapng, else pcap.
    snaplen: bytes of a frame that are taken at most.
    """
    at, row = target, first
    while row < last and records[row, TIMESTAMP] < until:
        frame, length = base + records[row, OFFSET], records[row, LENGTH]
        wire, length = max(records[row, WIRE_LENGTH], length), min(length, snaplen)
        size = pcapng_size(length) if ng else pcap_size(length)
        if at + size - target > room and row > first:
            break
        ts = records[row, TIMESTAMP]
        body = head_pcapng(at, ts, length, wire, 0) if ng else head_pcap(at, ts, length, wire, 0)
        if body != frame:
            move_bytes(body, frame, length)
        at += size
        row += 1
    return row - first, at - target
