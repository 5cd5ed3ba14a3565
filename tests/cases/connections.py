"""Where a flow begins and ends, and who opened it: ports that are used again, a SYN that the capture lacks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from scapy.layers.inet import TCP, UDP
from scapy.packet import Packet

from . import readers
from .case import Case, Files, Kind
from .frames import capture, ether, flow, ip, timed, udp

HOUR = 3600
STREAMS = "tcp.stream of tshark counts as many connections; Zeek's conn.log has a line for each"
ASKED = "RFC 9293, 3.5: a SYN-ACK is sent by the end that was connected to; Zeek, Suricata and Arkime turn such a flow round"


def tcp(host: int, flags: str, seq: int, ack: int = 0, *, v6: bool = False) -> Packet:
    """From the client; a flag string that begins with < is the server's."""
    back = flags.startswith("<")
    ports = {"sport": 80, "dport": 40000} if back else {"sport": 40000, "dport": 80}
    return ether / ip(host, v6=v6, back=back) / TCP(**ports, flags=flags.lstrip("<"), seq=seq, ack=ack)


def connection(
    host: int, at: float, isn: int, ending: tuple[str, ...] = ("FA", "<FA", "A"), **more: bool
) -> Iterator[tuple[float, Packet]]:
    """Packets with the sequence numbers of such a connection, a millisecond apart; six where FINs end it."""
    client, server = isn, isn + 5000
    for step, flags in enumerate(("S", "<SA", "A", *ending)):
        back = flags.startswith("<")
        seq, ack = (server, client) if back else (client, server)
        yield at + step / 1000, tcp(host, flags, seq, ack if flags != "S" else 0, **more)
        grown = "S" in flags or "F" in flags
        server, client = server + (back and grown), client + (not back and grown)


CASES = (
    Case(
        name="port-reused",
        what="a connection that ends with FINs; an hour later another one with the same ports",
        why=STREAMS,
        reported=("ntop/PF_RING#998", "arkime/arkime#4019", "nfstream/nfstream#193"),
        files=timed([*connection(1, 0, 1000), *connection(1, HOUR, 900_000)]),
        flows=(flow(1, 40000, 80, 6, 6),) * 2,
    ),
    Case(
        name="port-reused-at-once",
        what="the same within a second, of IPv6",
        why=STREAMS,
        files=timed([*connection(2, 0, 1000, v6=True), *connection(2, 0.5, 900_000, v6=True)]),
        flows=(flow(2, 40000, 80, 6, 6, v6=True),) * 2,
    ),
    Case(
        name="port-reused-after-a-reset",
        what="the first connection ends with a RST",
        why=STREAMS,
        files=timed([*connection(3, 0, 1000, ("<RA",)), *connection(3, 1, 900_000)]),
        flows=(flow(3, 40000, 80, 6, 4), flow(3, 40000, 80, 6, 6)),
    ),
    Case(
        name="silence-of-datagrams",
        what="UDP between the same ports before and after an hour of silence, and within ?idle=60",
        why="what a parameter in the command says; RFC 7011, 5.1.1 and Zeek's udp_inactivity_timeout (60 s) end it alike",
        files=timed((at, ether / ip(4) / udp) for at in (0, 30, 80, HOUR)),
        flows=(flow(4, 1000, 2000, 17, 3), flow(4, 1000, 2000, 17, 1)),
    ),
    Case(
        name="synack-first",
        what="the SYN is missing from the capture: its answer comes first",
        why=ASKED,
        reported=("weary/reass#8", "OISF/suricata#5844", "arkime/arkime#1956"),
        files=capture([tcp(5, "<SA", 0, 1), tcp(5, "A", 1, 1), tcp(5, "PA", 1, 1) / b"GET"]),
        flows=(flow(5, 40000, 80, 6, 3),),
    ),
    Case(
        name="synack-first-of-ipv6",
        what="the same of IPv6, and the SYN comes behind its answer",
        why=ASKED,
        files=capture([tcp(6, "<SA", 9, 1, v6=True), tcp(6, "S", 0, v6=True), tcp(6, "A", 1, 10, v6=True)]),
        flows=(flow(6, 40000, 80, 6, 3, v6=True),),
    ),
    Case(
        name="synack-alone",
        what="answers of a server alone, as where only one direction is mirrored",
        why=ASKED,
        files=capture([tcp(7, "<SA", 9, 1), tcp(7, "<PA", 10, 1) / b"HTTP"]),
        flows=(flow(7, 40000, 80, 6, 2),),
    ),
    Case(
        name="refused",
        what="RST and ACK of a closed port come before the SYN that they answer",
        why="RFC 9293, 3.10.7.1: a RST with ACK answers a segment without ACK, a SYN",
        files=capture([tcp(8, "<RA", 0, 1), tcp(8, "S", 0)]),
        flows=(flow(8, 40000, 80, 6, 2),),
    ),
    Case(
        name="udp-answers-first",
        what="datagrams bear no sign of who asked: the first sender did",
        why="RFC 768 has no flags; Zeek takes the first sender",
        files=capture([ether / ip(9) / UDP(sport=53, dport=999), ether / ip(9, back=True) / UDP(sport=999, dport=53)]),
        flows=(flow(9, 53, 999, 17, 2),),
    ),
)  # fmt: skip


def as_many_connections(files: Files, document: Mapping[str, Any]) -> None:
    """tshark's streams are our flows of TCP, and frames, lengths and times are the same in sum."""
    readers.same_flows(files, document)
    streams = {row[0] for row in readers.tshark(files, "tcp.stream", shown="tcp")}
    assert len(streams) == sum(flow["proto"] == 6 for flow in document["plugins"]["flows"]["top"])


KIND = Kind("connections", CASES, "flows?top=1000&idle=60", as_many_connections)
