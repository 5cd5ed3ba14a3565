"""TCP segments of a capture, as tshark dissects them, outside of tunnels and quotations."""

from __future__ import annotations

import functools
import re
import subprocess
from pathlib import Path
from typing import NamedTuple

SYN, RST, ACK = 0x02, 0x04, 0x10
SETTINGS = (
    "tcp.no_subdissector_on_error:FALSE",
    "ip.defragment:FALSE",
    "ipv6.defragment:FALSE",
)
# Without these, a request is not told where the rest of its header is not in the capture.
APART = ("tcp.desegment_tcp_streams:FALSE", "http.desegment_headers:FALSE", "http.desegment_body:FALSE")
FIELDS = (
    "frame.time_epoch", "frame.protocols", "ip.src", "ipv6.src", "ip.dst", "ipv6.dst", "tcp.srcport", "tcp.dstport",
    "tcp.flags", "tcp.seq_raw", "tcp.ack_raw", "tcp.stream", "tcp.analysis.ack_rtt",
    "tls.handshake.extensions_server_name", "http.request.method", "http.request.uri",
)  # fmt: skip
# One IP header, behind whatever stands before it, then TCP.
PLAIN = re.compile(r"(?:(?!ip:|ipv6:)\w+:)*(ip|ipv6)(:ipv6\.\w+|:ah)*:tcp\b")


class Segment(NamedTuple):
    """A TCP segment. layers: "tcp" and what is in it; rtt: seconds from the segment that it acknowledges, or ""."""

    layers: str
    ts: int
    src: str
    dst: str
    sport: int
    dport: int
    flags: int
    seq: int
    ack: int
    stream: int
    rtt: str
    server_name: str
    method: str
    uri: str

    @property
    def kind(self) -> int:
        """SYN, RST and ACK of its flags."""
        return self.flags & (SYN | RST | ACK)


def nanoseconds(time: str) -> int:
    seconds, _, fraction = time.partition(".")
    return int(seconds) * 10**9 + int(fraction.ljust(9, "0"))


def _segment(line: str) -> Segment | None:
    time, protocols, src4, src6, dst4, dst6, sport, dport, flags, seq, ack, stream, *rest = line.split("\t")
    plain = PLAIN.match(protocols)
    if not plain or not seq:
        return None
    numbers = int(sport), int(dport), int(flags, 16), int(seq), int(ack), int(stream)
    layers = "tcp" + protocols[plain.end() :]
    return Segment(layers, nanoseconds(time), src4 or src6, dst4 or dst6, *numbers, *rest)


@functools.cache
def segments(path: Path, apart: bool = False) -> tuple[Segment, ...]:
    """All segments of a capture, in its order. apart: dissect each for itself, not what is put together of several."""
    options = [word for setting in SETTINGS + (APART if apart else ()) for word in ("-o", setting)]
    shown = [word for field in FIELDS for word in ("-e", field)]
    command = ["tshark", "-n", "-r", str(path), *options, "-Y", "tcp", "-T", "fields", "-E", "occurrence=f", *shown]
    # tshark ends with 2 where a capture is cut short, and tells what it has.
    lines = subprocess.run(command, capture_output=True, text=True, check=False).stdout.splitlines()
    return tuple(found for line in lines if (found := _segment(line)))
