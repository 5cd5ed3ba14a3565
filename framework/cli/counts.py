"""tcpdump's lines on stderr: where frames come from, and how many there were."""

from __future__ import annotations

import sys
from collections.abc import Iterable


def say(*lines: str) -> None:
    for line in lines:
        print(line, file=sys.stderr, flush=True)


def source_line(kind: str, names: Iterable[str], link_types: Iterable[str]) -> str:
    """Where frames come from. kind: "iface", or another one of files."""
    verb = "listening on" if kind == "iface" else "reading from"
    return f"{verb} {' '.join(names)}, link-type {', '.join(link_types)}"


def count_lines(written: int, matched: int, lost: int) -> list[str]:
    """tcpdump's three closing lines: what was written, what matched, and what was lost on the way."""
    return [
        f"{written} packet{'' if written == 1 else 's'} captured",
        f"{matched} packet{'' if matched == 1 else 's'} received by filter",
        f"{lost} packet{'' if lost == 1 else 's'} dropped by kernel",
    ]
