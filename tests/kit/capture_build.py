"""Capture files built by hand from the formats' specifications, with nothing of zcframe in them."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from typing import NamedTuple

LITTLE, BIG = "<", ">"


class Record(NamedTuple):
    """One frame: its bytes, its time in ns since the epoch, its length on the wire."""

    data: bytes
    ns: int = 1_700_000_000_123_456_000
    wire: int = 0

    @property
    def wire_length(self) -> int:
        return self.wire or len(self.data)


def pcap_header(order: str = LITTLE, *, nano: bool = False, link: int = 1, version: tuple[int, int] = (2, 4)) -> bytes:
    return struct.pack(f"{order}IHHiIII", 0xA1B23C4D if nano else 0xA1B2C3D4, *version, 0, 0, 262144, link)


def pcap_record(record: Record, order: str = LITTLE, *, nano: bool = False) -> bytes:
    seconds, rest = divmod(record.ns, 10**9)
    head = (seconds, rest if nano else rest // 1000, len(record.data), record.wire_length)
    return struct.pack(f"{order}IIII", *head) + record.data


def pcap(records: Iterable[Record], order: str = LITTLE, *, nano: bool = False, link: int = 1) -> bytes:
    body = b"".join(pcap_record(record, order, nano=nano) for record in records)
    return pcap_header(order, nano=nano, link=link) + body


def padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)


def block(kind: int, body: bytes, order: str = LITTLE) -> bytes:
    length = struct.pack(f"{order}I", 12 + len(padded(body)))
    return struct.pack(f"{order}I", kind) + length + padded(body) + length


def options(pairs: Iterable[tuple[int, bytes]], order: str = LITTLE) -> bytes:
    return b"".join(struct.pack(f"{order}HH", code, len(value)) + padded(value) for code, value in pairs)


def section(order: str = LITTLE, version: tuple[int, int] = (1, 0)) -> bytes:
    return block(0x0A0D0D0A, struct.pack(f"{order}IHHq", 0x1A2B3C4D, *version, -1), order)


def interface(
    link: int = 1, snaplen: int = 0, order: str = LITTLE, *, tsresol: int | None = None, tsoffset: int | None = None
) -> bytes:
    """Interface description, with the name option in front of those that matter."""
    pairs = [(2, b"eth0")]
    if tsresol is not None:
        pairs.append((9, bytes([tsresol])))
    if tsoffset is not None:
        pairs.append((14, struct.pack(f"{order}q", tsoffset)))
    return block(1, struct.pack(f"{order}HHI", link, 0, snaplen) + options([*pairs, (0, b"")], order), order)


def enhanced(
    data: bytes, ticks: int, order: str = LITTLE, *, number: int = 0, wire: int = 0, comment: bytes = b""
) -> bytes:
    head = struct.pack(f"{order}IIIII", number, ticks >> 32, ticks & 0xFFFFFFFF, len(data), wire or len(data))
    tail = options([(1, comment), (0, b"")], order) if comment else b""
    return block(6, head + padded(data) + tail, order)


def obsolete(data: bytes, ticks: int, order: str = LITTLE, *, number: int = 0, wire: int = 0) -> bytes:
    head = struct.pack(f"{order}HHIIII", number, 7, ticks >> 32, ticks & 0xFFFFFFFF, len(data), wire or len(data))
    return block(2, head + data, order)


def simple(data: bytes, order: str = LITTLE, *, wire: int = 0) -> bytes:
    return block(3, struct.pack(f"{order}I", wire or len(data)) + data, order)


def pcapng(records: Sequence[Record], order: str = LITTLE, *, link: int = 1) -> bytes:
    """One section, one interface, nanoseconds."""
    blocks = (enhanced(record.data, record.ns, order, wire=record.wire_length) for record in records)
    return section(order) + interface(link, 0, order, tsresol=9) + b"".join(blocks)


def ethernet(payload: bytes, ethertype: int = 0x0800) -> bytes:
    return bytes.fromhex("020000000001020000000002") + struct.pack(">H", ethertype) + payload


def udp4(source: int, target: int, sport: int, dport: int, payload: bytes = b"") -> bytes:
    """IPv4 and UDP headers without checksums, addresses as numbers."""
    head = struct.pack(">BBHHHBBHII", 0x45, 0, 28 + len(payload), 0, 0, 64, 17, 0, source, target)
    return head + struct.pack(">HHHH", sport, dport, 8 + len(payload), 0) + payload


def flow_records(count: int, *, size: int = 0, start: int = 1_700_000_000 * 10**9, step: int = 1000) -> list[Record]:
    """`count` Ethernet frames of as many UDP flows, each with its number in the payload, `step` ns apart."""
    return [
        Record(
            ethernet(
                udp4(0x0A000000 + i, 0x0B000000 + 7 * i, 1024 + i % 50000, 53, struct.pack(">Q", i) + bytes(size))
            ),
            start + i * step,
        )
        for i in range(count)
    ]
