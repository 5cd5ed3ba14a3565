"""The attack trace: seeded, the same bytes each time; conversations of many hosts, interleaved, both directions.

Each kind of conversation is there several times, between other hosts, so that every share gets some of each.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from ipaddress import IPv4Address, IPv6Address
from typing import NamedTuple

import dpkt
from dpkt.ip import IP_PROTO_ICMP, IP_PROTO_TCP, IP_PROTO_UDP

SEED = 14
EPOCH = 1_760_000_000
SECONDS = 40.0
EACH = 24
MTU = 1480
A, B = bytes.fromhex("020000000001"), bytes.fromhex("020000000002")
SYN, ACK, PSH, FIN, RST = dpkt.tcp.TH_SYN, dpkt.tcp.TH_ACK, dpkt.tcp.TH_PUSH, dpkt.tcp.TH_FIN, dpkt.tcp.TH_RST


class Timed(NamedTuple):
    """A frame, and its time in seconds since the epoch."""

    time: float
    frame: bytes


class Hosts(NamedTuple):
    """Two of them, by their packed addresses."""

    client: bytes
    server: bytes

    @property
    def back(self) -> Hosts:
        return Hosts(self.server, self.client)


def ethernet(hosts: Hosts, proto: int, segment: dpkt.Packet | bytes, ident: int = 0, vlan: int = 0) -> bytes:
    """A frame of one packet from client to server; dpkt computes the checksums."""
    if len(hosts.client) == 4:
        packet = dpkt.ip.IP(src=hosts.client, dst=hosts.server, p=proto, id=ident, ttl=64, data=segment)
        packet.len = len(packet)
    else:
        packet = dpkt.ip6.IP6(src=hosts.client, dst=hosts.server, nxt=proto, hlim=64, plen=len(segment), data=segment)
        packet.extension_hdrs = {}
    kind = dpkt.ethernet.ETH_TYPE_IP if len(hosts.client) == 4 else dpkt.ethernet.ETH_TYPE_IP6
    tag = b"\x81\0" + vlan.to_bytes(2, "big") if vlan else b""
    return B + A + tag + kind.to_bytes(2, "big") + bytes(packet)


def fragments(frame: bytes, size: int, ident: int) -> list[bytes]:
    """The same datagram in pieces of `size` bytes, a multiple of 8."""
    head, packet = frame[:14], frame[14:]
    if packet[0] >> 4 == 4:
        return [head + piece for piece in _pieces_of_four(packet, size, ident)]
    return [head + piece for piece in _pieces_of_six(packet, size, ident)]


def _pieces_of_four(packet: bytes, size: int, ident: int) -> Iterator[bytes]:
    whole = dpkt.ip.IP(packet)
    body = packet[20:]
    for at in range(0, len(body), size):
        piece = dpkt.ip.IP(src=whole.src, dst=whole.dst, p=whole.p, id=ident, ttl=64)
        piece.data = body[at : at + size]
        piece._flags_offset = (0x2000 if at + size < len(body) else 0) | at // 8
        piece.len = 20 + len(piece.data)
        # Of a piece, no checksum but that of the header is computed.
        yield piece.pack_hdr()[:10] + _sum(piece.pack_hdr()) + piece.pack_hdr()[12:] + piece.data


def _sum(header: bytes) -> bytes:
    return int(dpkt.in_cksum(header)).to_bytes(2, "big") if header[10:12] == b"\0\0" else header[10:12]


def _pieces_of_six(packet: bytes, size: int, ident: int) -> Iterator[bytes]:
    body, proto = packet[40:], packet[6]
    for at in range(0, len(body), size):
        piece = body[at : at + size]
        more = int(at + size < len(body))
        head = bytes([proto, 0]) + (at | more).to_bytes(2, "big") + ident.to_bytes(4, "big")
        yield packet[:4] + (len(piece) + 8).to_bytes(2, "big") + b"\x2c" + packet[7:40] + head + piece


class Connection:
    """A TCP connection whose packets are made one after the other, each a little later."""

    def __init__(self, dice: random.Random, hosts: Hosts, port: int, vlan: int = 0) -> None:
        self.dice, self.hosts, self.vlan = dice, hosts, vlan
        self.ports = dice.randrange(32768, 61000), port
        self.next = [dice.randrange(1 << 31), dice.randrange(1 << 31)]
        self.frames: list[bytes] = []

    def segment(self, side: int, flags: int, data: bytes = b"", back: int = 0) -> bytes:
        """One from client (0) or server (1); back: how many bytes before its turn it begins."""
        hosts = self.hosts if side == 0 else self.hosts.back
        acknowledged = self.next[1 - side] if flags & ACK else 0
        tcp = dpkt.tcp.TCP(sport=self.ports[side], dport=self.ports[1 - side], seq=self.next[side] - back,
                           ack=acknowledged, flags=flags, win=64000, data=data)  # fmt: skip
        return ethernet(hosts, IP_PROTO_TCP, tcp, self.dice.randrange(1, 1 << 16), self.vlan)

    def open(self) -> Connection:
        self.frames.append(self.segment(0, SYN))
        self.next[0] += 1
        self.frames.append(self.segment(1, SYN | ACK))
        self.next[1] += 1
        self.frames.append(self.segment(0, ACK))
        return self

    def say(self, side: int, data: bytes, size: int = 0) -> Connection:
        """Send in segments of `size` bytes, each of them acknowledged."""
        for at in range(0, len(data), size or len(data)):
            piece = data[at : at + (size or len(data))]
            self.frames.append(self.segment(side, PSH | ACK, piece))
            self.next[side] += len(piece)
            self.frames.append(self.segment(1 - side, ACK))
        return self

    def close(self) -> list[bytes]:
        for side in (0, 1):
            self.frames.append(self.segment(side, FIN | ACK))
            self.next[side] += 1
        self.frames.append(self.segment(0, ACK))
        return self.frames


# --- kinds of conversations: each makes the frames of one


def http(dice: random.Random, hosts: Hosts) -> list[bytes]:
    requests = [
        b"GET /console/export?id=%d HTTP/1.1\r\nHost: shop.example\r\n\r\n" % dice.randrange(1000),
        b"GET / HTTP/1.1\r\nHost: shop.example\r\nUser-Agent: gather-bot/2\r\n\r\n",
        b"POST /up HTTP/1.1\r\nHost: shop.example\r\nContent-Length: 21\r\n\r\nstage=upload&key=abcd",
        b"GET /v2/list HTTP/1.1\r\nHost: updates.bad.example\r\n\r\n",
        b"DELETE /box/%d HTTP/1.1\r\nHost: shop.example\r\n\r\n" % dice.randrange(1000),
    ]
    answers = [
        b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 26\r\n\r\n<p>ZC-not-a-program</p>\r\n\r\n",
        b"HTTP/1.1 503 Busy\r\nContent-Type: text/html\r\nContent-Length: 2\r\n\r\nno",
        b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 2\r\n\r\nok",
    ]
    connection = Connection(dice, hosts, 80).open()
    for _ in range(2):
        connection.say(0, dice.choice(requests), dice.randrange(5, 60)).say(
            1, dice.choice(answers), dice.randrange(7, 90)
        )
    return connection.close()


def dns_message(dice: random.Random, name: str, flags: int) -> bytes:
    labels = b"".join(bytes([len(part)]) + part.encode() for part in name.split("."))
    return dice.randbytes(2) + flags.to_bytes(2, "big") + b"\0\1\0\0\0\0\0\0" + labels + b"\0\0\1\0\1"


def datagram(dice: random.Random, hosts: Hosts, ports: tuple[int, int], data: bytes) -> bytes:
    udp = dpkt.udp.UDP(sport=ports[0], dport=ports[1], data=data)
    udp.ulen = len(udp)
    return ethernet(hosts, IP_PROTO_UDP, udp, dice.randrange(1, 1 << 16))


def dns(dice: random.Random, hosts: Hosts) -> list[bytes]:
    frames = []
    for number in range(14):
        port = dice.randrange(32768, 61000)
        name = f"a{number}{dice.randrange(10**6)}.{'tunnel' if number % 4 == 0 else 'shop'}.example"
        question = dns_message(dice, name, 0x0100)
        answer = question[:2] + (b"\x81\x83" if number % 4 else b"\x81\x80") + question[4:]
        frames += [datagram(dice, hosts, (port, 53), question), datagram(dice, hosts.back, (53, port), answer)]
    return frames


def dns_over_tcp(dice: random.Random, hosts: Hosts) -> list[bytes]:
    message = dns_message(dice, f"n{dice.randrange(10**6)}.zone.example", 0x0100)
    answer = message[:2] + b"\x81\x80" + message[4:]
    connection = Connection(dice, hosts, 53).open()
    connection.say(0, len(message).to_bytes(2, "big") + message, 11)
    return connection.say(1, len(answer).to_bytes(2, "big") + answer).close()


def tls(dice: random.Random, hosts: Hosts) -> list[bytes]:
    name = dice.choice([b"c2.bad.example", b"shop.example", b"x1.c2.bad.example"])
    sni = b"\0" + len(name).to_bytes(2, "big") + name
    extension = b"\0\0" + (len(sni) + 2).to_bytes(2, "big") + len(sni).to_bytes(2, "big") + sni
    body = (
        b"\x03\x03"
        + dice.randbytes(32)
        + b"\0"
        + b"\0\2\x13\x01"
        + b"\1\0"
        + len(extension).to_bytes(2, "big")
        + extension
    )
    hello = b"\x01" + len(body).to_bytes(3, "big") + body
    record = b"\x16\x03\x01" + len(hello).to_bytes(2, "big") + hello
    answer = b"\x03\x03" + dice.randbytes(32) + b"\0" + b"\x13\x01" + b"\0"
    answer = b"\x02" + len(answer).to_bytes(3, "big") + answer
    connection = Connection(dice, hosts, 443).open().say(0, record, dice.randrange(20, 60))
    connection.say(1, b"\x16\x03\x03" + len(answer).to_bytes(2, "big") + answer)
    for _ in range(6):
        connection.say(dice.randrange(2), b"\x17\x03\x03\x00\x40" + dice.randbytes(64))
    return connection.close()


def udp_in_fragments(dice: random.Random, hosts: Hosts) -> list[bytes]:
    """Datagrams of one flow, large ones in fragments, of which some come in disorder."""
    mark = b"ACROSS-FRAGMENTS-OF-FOUR" if len(hosts.client) == 4 else b"ACROSS-FRAGMENTS-OF-SIX"
    ports = dice.randrange(32768, 61000), 6000
    frames = []
    for number in range(4):
        frames += [datagram(dice, hosts, ports, b"small"), datagram(dice, hosts.back, ports[::-1], b"answer")]
        # The mark begins 10 bytes before the end of the first fragment.
        large = datagram(dice, hosts, ports, dice.randbytes(512 - 8 - 10) + mark + dice.randbytes(900))
        pieces = fragments(large, 512, dice.randrange(1, 1 << 16))
        frames += reversed(pieces) if number % 2 else pieces
    return frames


def echo(dice: random.Random, hosts: Hosts, kind: int, data: bytes) -> bytes:
    message = dpkt.icmp.ICMP(type=kind, data=dpkt.icmp.ICMP.Echo(id=7, seq=dice.randrange(1 << 16), data=data))
    return ethernet(hosts, IP_PROTO_ICMP, message, dice.randrange(1, 1 << 16))


def large_echo(dice: random.Random, hosts: Hosts) -> list[bytes]:
    data = bytes(MTU - 8 - 10) + b"ECHO-ACROSS-FRAGMENTS" + bytes(1400)
    return [
        piece
        for there, kind in ((hosts, 8), (hosts.back, 0))
        for piece in fragments(echo(dice, there, kind, data), MTU, dice.randrange(1, 1 << 16))
    ]


def tcp_in_fragments(dice: random.Random, hosts: Hosts) -> list[bytes]:
    connection = Connection(dice, hosts, 7000).open()
    connection.say(0, bytes(104 - 20 - 10) + b"SEGMENT-ACROSS-FRAGMENTS" + bytes(200))
    whole = connection.frames[-2]
    connection.frames[-2:-1] = fragments(whole, 104, dice.randrange(1, 1 << 16))
    return connection.close()


def syn_flood(dice: random.Random, hosts: Hosts) -> list[bytes]:
    return [Connection(dice, hosts, 80).segment(0, SYN) for _ in range(90)]


def udp_flood(dice: random.Random, hosts: Hosts) -> list[bytes]:
    return [datagram(dice, hosts, (dice.randrange(1024, 61000), 7777), dice.randbytes(20)) for _ in range(80)]


def icmp_flood(dice: random.Random, hosts: Hosts) -> list[bytes]:
    return [echo(dice, there, kind, b"x" * 20) for _ in range(45) for there, kind in ((hosts, 8), (hosts.back, 0))]


def port_scan(dice: random.Random, hosts: Hosts) -> list[bytes]:
    frames = []
    for port in dice.sample(range(1, 1024), 40):
        connection = Connection(dice, hosts, port)
        frames.append(connection.segment(0, SYN))
        connection.next = [connection.next[0] + 1, 0]
        frames.append(connection.segment(1, RST | ACK))
    return frames


def sweep(dice: random.Random) -> list[Timed]:
    """Not of the trace: one client looks for the same port of 60 hosts."""
    client = IPv4Address("10.21.0.1").packed
    hosts = [Hosts(client, IPv4Address(f"198.51.100.{last}").packed) for last in range(1, 61)]
    return [Timed(EPOCH + number / 10, Connection(dice, pair, 23).segment(0, SYN)) for number, pair in enumerate(hosts)]


def log_ins(dice: random.Random, hosts: Hosts) -> list[bytes]:
    """Several connections, one after the other."""
    frames = []
    for number in range(7):
        connection = Connection(dice, hosts, 2121).open().say(0, b"LOGIN root %d\r\n" % number, 4)
        connection.say(1, b"530 denied\r\n" if number < 6 else b"230 welcome\r\n", 5)
        frames += connection.say(0, b"PUT payload\r\n", 6).close()
    return frames


def dropper(dice: random.Random, hosts: Hosts) -> list[bytes]:
    frames = Connection(dice, hosts, 8081).open().say(0, b"STAGE-ONE", 4).close()
    frames += Connection(dice, hosts, 4444).open().say(0, b"BEACON").close()
    return frames + Connection(dice, hosts.back, 31337).open().say(0, b"id\n").say(1, b"uid=0(root)\n", 3).close()


def door(dice: random.Random, hosts: Hosts) -> list[bytes]:
    knock = datagram(dice, hosts, (dice.randrange(32768, 61000), 5353), b"KNOCK")
    return [knock, *Connection(dice, hosts, 22022).open().say(0, b"OPEN").close()]


def across_segments(dice: random.Random, hosts: Hosts) -> list[bytes]:
    return Connection(dice, hosts, 9100).open().say(0, b"SPLIT-ACROSS-THREE-SEGMENTS", 9).close()


def out_of_order(dice: random.Random, hosts: Hosts) -> list[bytes]:
    connection = Connection(dice, hosts, 9101).open()
    begin = len(connection.frames)
    connection.say(0, b"LATER-COMES-FIRST", 6)
    data = connection.frames[begin::2]
    connection.frames[begin:] = [data[1], data[0], *data[2:], connection.segment(1, ACK)]
    return connection.close()


def sent_twice(dice: random.Random, hosts: Hosts) -> list[bytes]:
    connection = Connection(dice, hosts, 9102).open().say(0, b"SENT-TWICE-AND-")
    connection.frames.append(connection.segment(0, PSH | ACK, b"TWICE-AND-", back=10))
    return connection.say(0, b"OVERLAPPING").close()


def tagged(dice: random.Random, hosts: Hosts) -> list[bytes]:
    return Connection(dice, hosts, 9103, vlan=dice.randrange(1, 9)).open().say(0, b"TAGGED-TRAFFIC", 5).close()


KINDS: tuple[Callable[[random.Random, Hosts], list[bytes]], ...] = (
    http, http, dns, dns_over_tcp, tls, udp_in_fragments, large_echo, tcp_in_fragments, log_ins, dropper, door,
    across_segments, out_of_order, sent_twice, tagged,
)  # fmt: skip
# Of these there are fewer, and they are longer.
LONG: tuple[Callable[[random.Random, Hosts], list[bytes]], ...] = (syn_flood, udp_flood, icmp_flood, port_scan)
OF_FOUR_ONLY = (large_echo, icmp_flood, tcp_in_fragments)


def _hosts(dice: random.Random, number: int, six: bool) -> Hosts:
    """A client that no other conversation has, and one of 40 servers."""
    server = dice.randrange(1, 41)
    if six:
        return Hosts(IPv6Address(f"2001:db8:1::{number:x}").packed, IPv6Address(f"2001:db8:2::{server:x}").packed)
    return Hosts(IPv4Address(0x0A140000 + number).packed, IPv4Address(0xC0000200 + server).packed)


def attack_trace() -> list[Timed]:
    """All frames in order of time."""
    dice = random.Random(SEED)
    kinds = [kind for kind in KINDS for _ in range(EACH)] + [kind for kind in LONG for _ in range(EACH // 3)]
    found = []
    for number, kind in enumerate(kinds, 1):
        six = kind not in OF_FOUR_ONLY and dice.random() < 0.25
        frames = kind(dice, _hosts(dice, number, six))
        time = EPOCH + dice.random() * SECONDS / 2
        step = SECONDS / 4 / len(frames)
        for frame in frames:
            time += step * (0.5 + dice.random())
            found.append(Timed(round(time, 6), frame))
    return sorted(found, key=lambda timed: timed.time)
