"""Streams of TCP connections as tshark follows them."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

SETTINGS = ("-n", "-o", "ip.defragment:FALSE", "-o", "ipv6.defragment:FALSE")
# One IP header, behind whatever stands before it, then TCP.
PLAIN = re.compile(r"(?:(?!ip:|ipv6:)\w+:)*(ip|ipv6)(:ipv6\.\w+|:ah)*:tcp\b")
MISSING = re.compile(rb"\[\d+ bytes missing in capture file\]")
# Streams that one call follows.
AT_ONCE = 200

End = tuple[str, int]


# Of a connection: what each of its ends sent, up to the first gap.
Followed = dict[End, bytes]


def _tshark(path: Path, *options: str) -> str:
    # It ends with 2 where a capture is cut short, and tells what it has.
    command = ["tshark", "-r", str(path), *SETTINGS, *options]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


def numbers(path: Path) -> set[int]:
    """Streams that have data, outside of tunnels and quotations."""
    plain, others, telling = set[int](), set[int](), set[int]()
    fields = ("frame.protocols", "tcp.stream", "tcp.len")
    shown = [word for field in fields for word in ("-e", field)]
    for line in _tshark(path, "-Y", "tcp", "-T", "fields", *shown).splitlines():
        protocols, streams, lengths = line.split("\t")
        for stream, length in zip(filter(None, streams.split(",")), lengths.split(","), strict=False):
            once = PLAIN.match(protocols) and "," not in streams
            (plain if once else others).add(int(stream))
            if length not in ("", "0"):
                telling.add(int(stream))
    return (plain - others) & telling


def _end(text: str) -> End:
    address, _, port = text.rpartition(":")
    return address.strip("[]"), int(port)


def _parsed(text: str) -> Followed:
    """One of tshark's texts: the ends, of which the first has sent data first, then hex digits, indented by sender."""
    ends = [_end(found) for found in re.findall(r"Node \d: (.*)", text)]
    sent = [b"", b""]
    for line in text.splitlines():
        if re.fullmatch(r"\t?[0-9a-f]+", line):
            sent[line.startswith("\t")] += bytes.fromhex(line.strip())
    return {end: MISSING.split(octets)[0] for end, octets in zip(ends, sent, strict=True)}


def followed(path: Path, streams: set[int]) -> list[Followed]:
    """These streams of a capture."""
    found = []
    for some in _batches(sorted(streams)):
        taps = [word for stream in some for word in ("-z", f"follow,tcp,raw,{stream}")]
        text = _tshark(path, "-q", *taps)
        found += [_parsed(part) for part in text.split("=" * 67) if "Node 0:" in part]
    return found


def _batches(streams: list[int]) -> list[list[int]]:
    return [streams[at : at + AT_ONCE] for at in range(0, len(streams), AT_ONCE)]
