"""What a run must find, by an independent reader: plain struct over the file, bit-by-bit Toeplitz. Imports no zcframe.

It is written from the documentation (the formats' drafts, docs/decisions/rss-model.md, the docstring of plugins/flows.py),
not from the code that it judges. It is slow and has no cleverness in it.
"""

from __future__ import annotations

import functools
import struct
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv6Address
from pathlib import Path
from typing import NamedTuple

SYMMETRIC = bytes.fromhex("6d5a") * 20
MICROSOFT = bytes.fromhex("6d5a56da255b0ec24167253d43a38fb0d0ca2bcbae7b30b477cb2da38030f20c6a42b73bbeac01fa")

BLOCK = 2048
LARGEST_RECORD = 256 << 10

IPV4, IPV6 = 0x0800, 0x86DD
VLAN, QINQ, OLD_QINQ = 0x8100, 0x88A8, 0x9100
TCP, UDP, DCCP, SCTP, UDPLITE = 6, 17, 33, 132, 136
HOP_BY_HOP, ROUTING, FRAGMENT, OPTIONS = 0, 43, 44, 60
EXTENSIONS = 8

# Link types: bytes in front of the network layer; Ethernet has none of its own.
ETHERNET = 1
LOOPBACKS = (0, 108)
RAWS = (12, 14, 101)
RAW_4, RAW_6 = 228, 229
SLL, SLL2 = 113, 276
SUPPORTED = (ETHERNET, *LOOPBACKS, *RAWS, RAW_4, RAW_6, SLL, SLL2)


class Packet(NamedTuple):
    """An Ethernet frame (with a synthetic header where the link layer is another), wire length, ns since the epoch."""

    frame: bytes
    wire: int
    ts: int


@dataclass
class Capture:
    """A file as far as it can be read. cut: it ends in the middle of a record; unsupported: link types without meaning."""

    packets: list[Packet] = field(default_factory=list)
    link_types: list[int] = field(default_factory=list)
    cut: bool = False

    @property
    def unsupported(self) -> list[int]:
        return [number for number in self.link_types if number not in SUPPORTED]

    @property
    def wire_bytes(self) -> int:
        return sum(packet.wire for packet in self.packets)


# --- files


def read(path: Path) -> Capture:
    """The records of a pcap or pcapng file, up to the first that is cut or impossible."""
    data = path.read_bytes()
    return _read_pcapng(data) if data[:4] == b"\x0a\x0d\x0d\x0a" else _read_pcap(data)


def _read_pcap(data: bytes) -> Capture:
    order = "<" if data[:4] in (b"\xd4\xc3\xb2\xa1", b"\x4d\x3c\xb2\xa1") else ">"
    nano = data[:4] in (b"\x4d\x3c\xb2\xa1", b"\xa1\xb2\x3c\x4d")
    minor, link = struct.unpack_from(f"{order}H", data, 6)[0], struct.unpack_from(f"{order}I", data, 20)[0] & 0xFFFF
    capture = Capture(link_types=[link])
    at = 24
    while at < len(data):
        if at + 16 > len(data):
            capture.cut = True
            break
        seconds, fraction, caplen, wire = struct.unpack_from(f"{order}IIII", data, at)
        if minor < 3 or (minor == 3 and caplen > wire):
            caplen, wire = wire, caplen
        if caplen > LARGEST_RECORD or at + 16 + caplen > len(data):
            capture.cut = True
            break
        stamp = seconds * 10**9 + fraction * (1 if nano else 1000)
        capture.packets.append(_packet(link, data[at + 16 : at + 16 + caplen], wire, stamp))
        at += 16 + caplen
    return capture


def _options(order: str, data: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at + 4 <= len(data):
        code, length = struct.unpack_from(f"{order}HH", data, at)
        if code == 0:
            return
        yield code, data[at + 4 : at + 4 + length]
        at += 4 + (length + 3) // 4 * 4


class Interface(NamedTuple):
    link: int
    snaplen: int
    ticks: int  # a second
    offset: int  # seconds


def _interface(order: str, block: bytes) -> Interface:
    link, _, snaplen = struct.unpack_from(f"{order}HHI", block, 8)
    ticks, offset = 10**6, 0
    for code, value in _options(order, block[16:-4]):
        if code == 9:
            ticks = 2 ** (value[0] & 127) if value[0] & 128 else 10 ** value[0]
        elif code == 14:
            offset = struct.unpack(f"{order}q", value)[0]
    return Interface(link, snaplen, ticks, offset)


def _read_pcapng(data: bytes) -> Capture:
    capture = Capture()
    order, at = "<", 0
    interfaces: list[Interface] = []
    while at < len(data):
        if data[at : at + 4] == b"\x0a\x0d\x0d\x0a":
            order = "<" if data[at + 8 : at + 12] == b"\x4d\x3c\x2b\x1a" else ">"
            interfaces = []
        if at + 12 > len(data):
            capture.cut = True
            break
        kind, length = struct.unpack_from(f"{order}II", data, at)
        if length < 12 or at + length > len(data):
            capture.cut = True
            break
        block = data[at : at + length]
        if kind == 1:
            interfaces.append(_interface(order, block))
            if interfaces[-1].link not in capture.link_types:
                capture.link_types.append(interfaces[-1].link)
        elif kind in (2, 3, 6):
            capture.packets.append(_block_packet(order, kind, block, interfaces))
        at += length
    return capture


def _block_packet(order: str, kind: int, block: bytes, interfaces: list[Interface]) -> Packet:
    if kind == 3:
        wire = struct.unpack_from(f"{order}I", block, 8)[0]
        snaplen = interfaces[0].snaplen
        caplen = min(wire, snaplen) if snaplen else wire
        return _packet(interfaces[0].link, block[12 : 12 + caplen], wire, 0)
    number = struct.unpack_from(f"{order}I" if kind == 6 else f"{order}H", block, 8)[0]
    high, low, caplen, wire = struct.unpack_from(f"{order}IIII", block, 12)
    face = interfaces[number]
    stamp = (high << 32 | low) * 10**9 // face.ticks + face.offset * 10**9
    return _packet(face.link, block[28 : 28 + caplen], wire, stamp)


def _packet(link: int, data: bytes, wire: int, ts: int) -> Packet:
    """With an Ethernet header in place of whatever stands before the network layer; cut to a block as the NIC does."""
    return Packet(_ethernet(link, data)[:BLOCK], wire, ts)


def _ethernet(link: int, data: bytes) -> bytes:
    if link in RAWS or link in (RAW_4, RAW_6):
        version = {RAW_4: 4, RAW_6: 6}.get(link, data[0] >> 4 if data else 0)
        return _header({4: IPV4, 6: IPV6}.get(version, 0xFFFF)) + data
    if link in LOOPBACKS:
        family = int.from_bytes(data[:4], "big")
        family = family if family < 1 << 16 else int.from_bytes(data[:4], "little")
        known = {2: IPV4, 10: IPV6, 24: IPV6, 28: IPV6, 30: IPV6}
        return _header(known.get(family, 0xFFFF) if len(data) >= 4 else 0xFFFF) + data[4:]
    if link in (SLL, SLL2):
        return _cooked(link, data)
    return data


def _header(ethertype: int, source: bytes = bytes(6)) -> bytes:
    return bytes(6) + source + ethertype.to_bytes(2, "big")


def _cooked(link: int, data: bytes) -> bytes:
    size = 16 if link == SLL else 20
    if len(data) < size:
        return _header(0xFFFF) + data[size:]
    if link == SLL:
        _, hardware, length, source, protocol = struct.unpack_from(">HHH8sH", data)
    else:
        protocol, _, _, hardware, _, length, source = struct.unpack_from(">HHIHBB8s", data)
    if hardware in (770, 803, 824):
        protocol = 0xFFFF
    elif protocol in (1, 4):
        protocol = min(len(data) - size, 1500)
    elif protocol < 0x0600:
        protocol = 0xFFFF
    return _header(protocol, source[:6] if length == 6 else bytes(6)) + data[size:]


# --- RSS as the 82576 does it


@functools.lru_cache(maxsize=1 << 18)
def toeplitz(key: bytes, data: bytes) -> int:
    """For each set bit of the input, from the left, xor the 32 bits of the key that stand at its place."""
    bits = "".join(f"{byte:08b}" for byte in key)
    result = 0
    for place in range(8 * len(data)):
        if data[place // 8] >> (7 - place % 8) & 1:
            result ^= int(bits[place : place + 32], 2)
    return result


def rss(frame: bytes, key: bytes, fields: str) -> tuple[int, int]:
    """(hash type, hash): type 0 where the card does not hash."""
    if len(frame) < 14:
        return 0, 0
    ethertype, at = int.from_bytes(frame[12:14], "big"), 14
    if ethertype == VLAN and len(frame) >= 18:
        ethertype, at = int.from_bytes(frame[16:18], "big"), 18
    packet = frame[at:]
    if ethertype == IPV4:
        return _rss_ipv4(packet, key, fields)
    if ethertype == IPV6:
        return _rss_ipv6(packet, key, fields)
    return 0, 0


def _rss_ipv4(packet: bytes, key: bytes, fields: str) -> tuple[int, int]:
    if len(packet) < 20 or packet[0] >> 4 != 4 or packet[0] & 15 < 5:
        return 0, 0
    addresses, at = packet[12:20], (packet[0] & 15) * 4
    total, fragment = int.from_bytes(packet[2:4], "big"), int.from_bytes(packet[6:8], "big") & 0x3FFF
    datagram = packet if total == 0 else packet[:total]
    ports = datagram[at : at + 4]
    kind = {TCP: 1, UDP: 7}.get(packet[9], 0)
    if fields == "5-tuple" and kind and not fragment and len(ports) == 4:
        return kind, toeplitz(key, addresses + ports)
    return 2, toeplitz(key, addresses)


def _rss_ipv6(packet: bytes, key: bytes, fields: str) -> tuple[int, int]:
    if len(packet) < 40 or packet[0] >> 4 != 6:
        return 0, 0
    addresses = packet[8:40]
    claimed = int.from_bytes(packet[4:6], "big")
    datagram = packet if claimed == 0 else packet[: 40 + claimed]
    protocol, at = packet[6], 40
    for _ in range(EXTENSIONS):
        if protocol not in (HOP_BY_HOP, ROUTING, OPTIONS):
            break
        if len(datagram) < at + 8:
            return 5, toeplitz(key, addresses)
        protocol, at = datagram[at], at + (datagram[at + 1] + 1) * 8
    ports = datagram[at : at + 4]
    kind = {TCP: 3, UDP: 8}.get(protocol, 0)
    if fields == "5-tuple" and kind and len(ports) == 4:
        return kind, toeplitz(key, addresses + ports)
    return 5, toeplitz(key, addresses)


def queue_of(frame: bytes, key: bytes, fields: str, queues: int) -> int:
    """Through a table of 128 entries, entry i to queue i modulo queues; a frame without a hash goes to queue 0."""
    kind, value = rss(frame, key, fields)
    return value % 128 % queues if kind else 0


# --- flows


class Headers(NamedTuple):
    """Of an IP packet: ports 0 for fragments and where there are none; icmp: type << 8 | code.

    fragment: 1 for the first one, 2 for a later one, 0 for a whole packet.
    """

    src: bytes
    dst: bytes
    sport: int
    dport: int
    proto: int
    tcp_flags: int
    icmp: int
    fragment: int
    # Of a fragment, or a header cut short, nobody reads ports or type.
    readable: bool = False
    tcp_seq: int = 0
    tcp_ack: int = 0


def headers(frame: bytes) -> Headers | None:
    """None for what is not IP, or whose fixed header is not there whole. VLAN tags are looked through."""
    if len(frame) < 14:
        return None
    ethertype, at = int.from_bytes(frame[12:14], "big"), 14
    for _ in range(32):
        if ethertype in (VLAN, QINQ, OLD_QINQ) and len(frame) >= at + 4:
            ethertype, at = int.from_bytes(frame[at + 2 : at + 4], "big"), at + 4
    packet = frame[at:]
    if ethertype == IPV4 and len(packet) >= 20 and packet[0] >> 4 == 4:
        return _headers_ipv4(packet)
    if ethertype == IPV6 and len(packet) >= 40 and packet[0] >> 4 == 6:
        return _headers_ipv6(packet)
    return None


def _headers_ipv4(packet: bytes) -> Headers:
    src, dst = (bytes(10) + b"\xff\xff" + packet[i : i + 4] for i in (12, 16))
    total, size = int.from_bytes(packet[2:4], "big"), (packet[0] & 15) * 4
    # A total length below that of a header cannot be meant: 0 is what segmentation offload leaves behind.
    datagram = packet[:total] if total >= 20 else packet
    fragment = int.from_bytes(packet[6:8], "big") & 0x3FFF
    kind = (2 if fragment & 0x1FFF else 1) if fragment else 0
    readable = 20 <= size <= len(datagram) and kind < 2
    return _transport(src, dst, packet[9], datagram[size:] if readable else b"", kind)


def _headers_ipv6(packet: bytes) -> Headers:
    src, dst = packet[8:24], packet[24:40]
    claimed = int.from_bytes(packet[4:6], "big")
    datagram = packet[: 40 + claimed] if claimed else packet
    proto, at, fragment = packet[6], 40, 0
    for _ in range(EXTENSIONS):
        if proto not in (HOP_BY_HOP, ROUTING, FRAGMENT, OPTIONS):
            return _transport(src, dst, proto, datagram[at:], fragment)
        if len(datagram) < at + 8:
            break
        if proto == FRAGMENT:
            word = int.from_bytes(datagram[at + 2 : at + 4], "big")
            # One that begins and ends its packet (RFC 6946) is none.
            fragment = 2 if word & 0xFFF8 else word & 1 or fragment
            proto, at = datagram[at], at + 8
            if fragment == 2:
                break
        else:
            proto, at = datagram[at], at + 8 + datagram[at + 1] * 8
            if at > len(datagram):
                break
    return _transport(src, dst, proto, b"", fragment)


def _transport(src: bytes, dst: bytes, proto: int, rest: bytes, fragment: int) -> Headers:
    sport = dport = flags = icmp = seq = ack = 0
    if proto in (TCP, UDP, DCCP, SCTP, UDPLITE) and len(rest) >= 4 and not fragment:
        sport, dport = struct.unpack_from(">HH", rest)
    if proto == TCP and len(rest) >= 20:
        seq, ack, flags = *struct.unpack_from(">II", rest, 4), rest[13]
    if proto in (1, 58) and len(rest) >= 2:
        icmp = rest[0] << 8 | rest[1]
    readable = not fragment and len(rest) >= (2 if proto in (1, 58) else 4)
    return Headers(src, dst, sport, dport, proto, flags, icmp, fragment, readable, seq, ack)


End = tuple[bytes, int]
Key = tuple[End, End, int]

FIN, SYN, RST, ACK = 1, 2, 4, 16
IDLE, ACTIVE = 120 * 10**9, 1800 * 10**9
# ICMP and ICMPv6: what asks -> what answers it (Community ID 1.0).
ICMP_PAIRS = {
    1: {8: 0, 10: 9, 13: 14, 15: 16, 17: 18},
    58: {128: 129, 130: 131, 133: 134, 135: 136, 139: 140, 144: 145},
}


@dataclass
class Flow:
    """Packets between two ends, seen from the one that asked; numbers: of each end, as its SYN had it or is guessed."""

    src: End
    dst: End
    proto: int
    first_ns: int
    last_ns: int
    packets: int = 0
    bytes: int = 0
    tcp_flags: int = 0
    senders: set[End] = field(default_factory=set)
    asked: bool = False
    over: bool = False
    syns: dict[End, int] = field(default_factory=dict)
    near: dict[End, int] = field(default_factory=dict)

    def as_report(self) -> dict[str, object]:
        """As the report of `flows` has it, without the Community ID."""
        return {
            "src": _text(self.src[0]),
            "dst": _text(self.dst[0]),
            "sport": self.src[1],
            "dport": self.dst[1],
            "proto": self.proto,
            "packets": self.packets,
            "bytes": self.bytes,
            "first_ns": self.first_ns,
            "last_ns": self.last_ns,
            "tcp_flags": self.tcp_flags,
            "one_sided": len(self.senders) < 2 and self.src != self.dst,
        }


def _text(address: bytes) -> str:
    whole = IPv6Address(address)
    return str(whole.ipv4_mapped or whole)


def packed(text: str) -> bytes:
    """The 16 bytes of an address as reports write it."""
    return IPv6Address(text if ":" in text else f"::ffff:{text}").packed


def ends(found: Headers) -> tuple[End, End, bool]:
    """(who sent, who was sent to, whether anything can answer); ICMP has its types in place of ports."""
    if found.proto not in ICMP_PAIRS or not found.readable:
        return (found.src, found.sport), (found.dst, found.dport), True
    asks = ICMP_PAIRS[found.proto]
    others = asks | {answer: question for question, answer in asks.items()}
    kind, code = divmod(found.icmp, 256)
    return (found.src, kind), (found.dst, others.get(kind, code)), kind in others


def flow_key(found: Headers) -> Key:
    """The same for both directions, where there are two."""
    src, dst, both = ends(found)
    low, high = sorted([src, dst]) if both else (src, dst)
    return low, high, found.proto


def _answers(found: Headers) -> bool:
    """Whether the packet is an answer to one that asked: SYN-ACK, or ICMP to one host."""
    if found.proto == TCP:
        return found.tcp_flags & (SYN | ACK | RST) == SYN | ACK
    several = found.dst[0] == 0xFF or (found.dst[:12] == bytes(10) + b"\xff\xff" and found.dst[12] >= 224)
    return found.readable and not several and found.icmp >> 8 in ICMP_PAIRS.get(found.proto, {}).values()


def _agree(flow: Flow, end: End, number: int, exact: bool) -> bool | None:
    """Whether a number of an end is of this flow: that of its SYN, or near what its packets told; None: nobody knows."""
    if end in flow.syns:
        return flow.syns[end] == number if exact else (number - flow.syns[end]) % 2**32 < 65536
    if end not in flow.near:
        return None
    ahead = (flow.near[end] - number) % 2**32
    return ahead < 65536 or (not exact and ahead > 2**32 - 65536)


def _reopened(flow: Flow, found: Headers) -> bool:
    """Whether a SYN or SYN-ACK opens another connection than the one of this flow."""
    src, dst, _ = ends(found)
    own = _agree(flow, src, found.tcp_seq, True)
    if not found.tcp_flags & ACK:
        return not own or flow.over if src in flow.syns else flow.over if own is None else not own
    asked = _agree(flow, dst, (found.tcp_ack - 1) % 2**32, False)
    if asked is False or dst in flow.syns:
        return not asked
    if own is False or src in flow.syns:
        return not own or flow.over
    return flow.over and asked is None


def _next(flow: Flow, packet: Packet, found: Headers, idle: int, active: int) -> Flow:
    """The flow that the packet belongs to: this one, or the next one of the key, which may know who asked."""
    src, dst, _ = ends(found)
    following = Flow(src, dst, found.proto, packet.ts, packet.ts)
    if found.tcp_flags & (SYN | RST) == SYN and _reopened(flow, found):
        return following
    if idle and flow.first_ns - packet.ts > idle:
        return following
    silent = idle and packet.ts - flow.last_ns > idle
    if not silent and not (active and packet.ts - flow.first_ns > active):
        return flow
    following.syns, following.near, following.over = dict(flow.syns), dict(flow.near), flow.over
    if flow.asked or not silent:
        following.src, following.dst, following.asked = flow.src, flow.dst, flow.asked
    return following


def _add(flow: Flow, packet: Packet, found: Headers) -> None:
    src, dst, _ = ends(found)
    flow.packets += 1
    flow.bytes += packet.wire
    flow.first_ns, flow.last_ns = min(flow.first_ns, packet.ts), max(flow.last_ns, packet.ts)
    flow.tcp_flags |= found.tcp_flags
    flow.over |= bool(found.tcp_flags & (FIN | RST))
    flow.senders.add(src)
    opens = found.tcp_flags & (SYN | RST) == SYN
    if not flow.asked and (opens or _answers(found)):
        flow.asked = True
        flow.src, flow.dst = (dst, src) if _answers(found) else (src, dst)
    if opens:
        flow.syns.setdefault(src, found.tcp_seq)
    if found.tcp_flags and not found.tcp_flags & RST:
        flow.near.setdefault(src, found.tcp_seq - 1)
    if found.tcp_flags & ACK:
        flow.near.setdefault(dst, found.tcp_ack - 1)


def flows(packets: Iterable[Packet], idle: int = IDLE, active: int = ACTIVE) -> list[Flow]:
    """Every flow, from packets in the order of their arrival; a key has one after the other."""
    found_flows: list[Flow] = []
    latest: dict[tuple[Key, bool], Flow] = {}
    for packet in packets:
        found = headers(packet.frame)
        if found is None:
            continue
        src, dst, _ = ends(found)
        key = flow_key(found), found.readable or found.proto not in (1, 58, TCP, UDP, SCTP)
        flow = latest.get(key)
        before = flow
        flow = _next(flow, packet, found, idle, active) if flow else Flow(src, dst, found.proto, packet.ts, packet.ts)
        if flow is not before:
            latest[key] = flow
            found_flows.append(flow)
        _add(flow, packet, found)
    return found_flows


# --- replays


ROUND_GAP = 1000


def replay(packets: Sequence[Packet], count: int) -> Iterator[tuple[int, Sequence[Packet], int]]:
    """(times, packets, ns that their last replay is later): the first `count` packets of an endless replay, in two parts."""
    stamps = [packet.ts for packet in packets]
    span = max(stamps) - min(stamps) + ROUND_GAP
    rounds, rest = divmod(count, len(packets))
    yield rounds, packets, (rounds - 1) * span
    yield 1, packets[:rest], rounds * span


@dataclass
class Replayed:
    """Flows of the beginning of a replay, those of `listed` (of one round, or less) one by one."""

    count: int
    packets: int
    bytes: int
    listed: list[Flow] | None = None


def replayed_flows(packets: Sequence[Packet], count: int) -> Replayed:
    """Flows of the first `count` packets of an endless replay, times rising from round to round.

    From its second round on, every round begins as many flows as the one before: nothing is idle for long in it. A flow
    longer than ACTIVE is split, which is not counted here: runs that last longer turn it off.
    """
    span = max(packet.ts for packet in packets) - min(packet.ts for packet in packets) + ROUND_GAP
    rounds, rest = divmod(count, len(packets))
    later = [packet._replace(ts=packet.ts + span) for packet in packets]
    octets = sum(
        times * sum(p.wire for p in part if headers(p.frame)) for times, part, _ in replay(packets, count) if times > 0
    )
    several = sum(
        times * sum(headers(p.frame) is not None for p in part)
        for times, part, _ in replay(packets, count)
        if times > 0
    )
    if rounds == 0:
        listed = flows(packets[:rest])
        return Replayed(len(listed), several, octets, listed)
    once = len(flows(packets, active=0))
    again = len(flows([*packets, *later], active=0)) - once if rounds > 1 else 0
    partly = len(flows([*packets, *later[:rest]], active=0)) - once if rest else 0
    return Replayed(
        once + (rounds - 1) * again + partly, several, octets, flows(packets) if (rounds, rest) == (1, 0) else None
    )


def replayed_lengths(packets: Sequence[Packet], count: int) -> Counter[int]:
    """Packets of each wire length, likewise."""
    counts: Counter[int] = Counter()
    for times, part, _ in replay(packets, count):
        for packet in part:
            counts[packet.wire] += times
    return +counts


# --- sums


def sizes(lengths: Mapping[int, int], width: int = 64) -> dict[str, int]:
    """Histogram of wire lengths (length -> packets) as the report of `sizes` has it; above 65,535 they count there."""
    counts: Counter[str] = Counter()
    for length, packets in lengths.items():
        low = min(length, 65535) // width * width
        counts[f"{low}-{low + width - 1}"] += packets
    return dict(counts)


def queue_totals(packets: Iterable[Packet], key: bytes, fields: str, queues: int) -> list[tuple[int, int]]:
    """(packets, wire bytes) of each queue."""
    totals = [[0, 0] for _ in range(queues)]
    for packet in packets:
        row = totals[queue_of(packet.frame, key, fields, queues)]
        row[0] += 1
        row[1] += packet.wire
    return [(count, octets) for count, octets in totals]
