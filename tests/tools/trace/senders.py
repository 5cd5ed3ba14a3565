"""Small senders for traffic that no packaged program makes in a bounded and repeatable way.

    senders.py sink PORT...                            UDP sockets that take everything and never answer
    senders.py synflood NETWORK VICTIM PORT COUNT      SYNs from random addresses of NETWORK
    senders.py syslog SOURCE TARGET COUNT              RFC 3164 messages to UDP port 514
    senders.py netflow SOURCE TARGET COUNT             NetFlow v5 exports to UDP port 2055
    senders.py datagrams SOURCE TARGET PORT SIZE COUNT plain UDP datagrams, larger than the MTU if SIZE is

Addresses are bound as given: run them in the namespace that owns them.
"""

from __future__ import annotations

import ipaddress
import random
import select
import socket
import struct
import sys
import time

SYSLOG_PORT = 514
NETFLOW_PORT = 2055
PAUSE_S = 0.002

IPV4_HEADER = struct.Struct("!BBHHHBBH4s4s")
TCP_HEADER = struct.Struct("!HHIIBBHHH")
TCP_SYN = 0x02
TCP_OPTIONS = bytes.fromhex("020405b40402080a000000000000000001030307")  # MSS 1460, SACK, timestamps, window scale 7
NETFLOW_HEADER = struct.Struct("!HHIIIIBBH")
NETFLOW_RECORD = struct.Struct("!4s4s4sHHIIIIHHBBBBHHBBH")

SYSLOG_LINES = (
    "<30>{time} edge1 dhcpd: lease 10.82.1.{n} renewed",
    "<38>{time} edge1 sshd[{n}]: Connection closed by 10.82.1.{n} port 50{n:03d} [preauth]",
    "<6>{time} edge1 kernel: fw-drop IN=wan0 SRC=10.82.64.{n} DST=10.82.0.2 PROTO=TCP SPT=4{n:03d} DPT=23",
    "<86>{time} edge1 cron[{n}]: session opened for user backup",
)


def checksum(data: bytes) -> int:
    """Internet checksum (RFC 1071)."""
    words: tuple[int, ...] = struct.unpack(f"!{(len(data) + 1) // 2}H", data + b"\0" * (len(data) % 2))
    total = sum(words)
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def syn(source: bytes, target: bytes, sport: int, dport: int, sequence: int) -> bytes:
    """An IPv4 packet with one SYN, as a Linux client would send it; the kernel fills in id and header checksum."""
    offset = (TCP_HEADER.size + len(TCP_OPTIONS)) // 4 << 4

    def tcp(check: int) -> bytes:
        return TCP_HEADER.pack(sport, dport, sequence, 0, offset, TCP_SYN, 64240, check, 0) + TCP_OPTIONS

    segment = tcp(0)
    pseudo = source + target + struct.pack("!HH", socket.IPPROTO_TCP, len(segment))
    segment = tcp(checksum(pseudo + segment))
    length = IPV4_HEADER.size + len(segment)
    return IPV4_HEADER.pack(0x45, 0, length, 0, 0, 64, socket.IPPROTO_TCP, 0, source, target) + segment


def synflood(network: str, victim: str, port: int, count: int) -> None:
    chance = random.Random(f"synflood {victim}")
    hosts = ipaddress.IPv4Network(network)
    target = socket.inet_aton(victim)
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as raw:
        for _ in range(count):
            source = hosts[chance.randrange(1, hosts.num_addresses - 1)].packed
            packet = syn(source, target, chance.randrange(1024, 65536), port, chance.getrandbits(32))
            raw.sendto(packet, (victim, 0))


def _udp_from(source: str) -> socket.socket:
    sender = socket.socket(socket.AF_INET6 if ":" in source else socket.AF_INET, socket.SOCK_DGRAM)
    sender.bind((source, 0))
    return sender


def syslog(source: str, target: str, count: int) -> None:
    stamp = time.strftime("%b %e %H:%M:%S", time.gmtime())
    with _udp_from(source) as sender:
        for n in range(count):
            line = SYSLOG_LINES[n % len(SYSLOG_LINES)].format(time=stamp, n=n % 250)
            sender.sendto(line.encode(), (target, SYSLOG_PORT))
            time.sleep(PAUSE_S)


def netflow(source: str, target: str, count: int) -> None:
    chance = random.Random(f"netflow {source}")
    with _udp_from(source) as sender:
        for n in range(count):
            records = b"".join(_netflow_record(chance) for _ in range(chance.randrange(1, 8)))
            size = len(records) // NETFLOW_RECORD.size
            header = NETFLOW_HEADER.pack(5, size, 60_000 + n, int(time.time()), 0, n, 0, 0, 0)
            sender.sendto(header + records, (target, NETFLOW_PORT))
            time.sleep(PAUSE_S)


def _netflow_record(chance: random.Random) -> bytes:
    source, target = (bytes((10, 82, 1, chance.randrange(1, 49))), bytes((10, 82, 0, 2)))
    packets = chance.randrange(1, 200)
    volume = packets * chance.randrange(60, 1500)
    ports = (chance.randrange(32768, 60999), chance.choice((53, 80, 443)))
    return NETFLOW_RECORD.pack(
        source, target, bytes(4), 1, 2, packets, volume, 50_000, 59_000, *ports, 0, 0x1B, 6, 0, 0, 0, 24, 24, 0
    )


def datagrams(source: str, target: str, port: int, size: int, count: int) -> None:
    with _udp_from(source) as sender:
        for n in range(count):
            sender.sendto(bytes((n + i) & 0xFF for i in range(size)), (target, port))
            time.sleep(PAUSE_S)


def sink(*ports: int) -> None:
    sockets = []
    for port in ports:
        taker = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        taker.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        taker.bind(("::", port))
        sockets.append(taker)
    print("ready", flush=True)
    while True:
        for taker in select.select(sockets, [], [])[0]:
            taker.recv(65536)


def main(kind: str, *arguments: str) -> None:
    if kind == "sink":
        sink(*map(int, arguments))
    elif kind == "synflood":
        synflood(arguments[0], arguments[1], int(arguments[2]), int(arguments[3]))
    elif kind == "datagrams":
        datagrams(arguments[0], arguments[1], *map(int, arguments[2:]))
    else:
        {"syslog": syslog, "netflow": netflow}[kind](arguments[0], arguments[1], int(arguments[2]))


if __name__ == "__main__":
    main(*sys.argv[1:])
