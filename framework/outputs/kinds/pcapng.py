"""`pcapng:FILE`: as pcap, with an interface a queue, what each received and lost, and comments behind gaps."""

from __future__ import annotations

import os
import struct
import time
from collections.abc import Sequence
from typing import Final

from zcframe import __version__
from zcframe.framework.outputs.output import ETHERNET, Input

from .file import Note, Tail
from .files import Files

SECTION, INTERFACE, STATISTICS = 0x0A0D0D0A, 1, 5
BYTE_ORDER: Final = 0x1A2B3C4D
UNKNOWN_LENGTH: Final = -1
END_OF_OPTIONS, COMMENT = 0, 1
USER_APPLICATION, OS = 4, 3
IF_NAME, IF_TSRESOL, IF_FILTER = 2, 9, 11
IF_RECEIVED, IF_DROPPED = 4, 5
NANOSECONDS: Final = b"\x09"
BPF_TEXT: Final = b"\0"


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)


def _options(options: Sequence[tuple[int, bytes]]) -> bytes:
    each = [struct.pack("=HH", code, len(value)) + _padded(value) for code, value in options]
    return b"".join([*each, bytes(4)]) if each else b""


def _block(kind: int, body: bytes) -> bytes:
    size = struct.pack("=I", len(body) + 12)
    return struct.pack("=I", kind) + size + body + size


def _interface(source: Input, snaplen: int, expression: str) -> bytes:
    options = [(IF_NAME, f"{source.name}/{source.queue}".encode()), (IF_TSRESOL, NANOSECONDS)]
    if expression:
        options.append((IF_FILTER, BPF_TEXT + expression.encode()))
    return _block(INTERFACE, struct.pack("=HHI", ETHERNET, 0, snaplen) + _options(options))


def pcapng_head(inputs: Sequence[Input], snaplen: int, expression: str) -> bytes:
    """A section, and an interface for each input in their order."""
    system = os.uname()
    options = [
        (OS, f"{system.sysname} {system.release}".encode()),
        (USER_APPLICATION, f"zcframe {__version__}".encode()),
    ]
    section = _block(SECTION, struct.pack("=IHHq", BYTE_ORDER, 1, 0, UNKNOWN_LENGTH) + _options(options))
    return section + b"".join(_interface(source, snaplen, expression) for source in inputs)


def pcapng_tail(counts: Sequence[tuple[int, int]]) -> bytes:
    """Statistics of each interface: frames received and dropped since the start."""
    now = time.time_ns()
    stamp = struct.pack("=II", now >> 32, now & 0xFFFFFFFF)
    blocks = []
    for number, (received, dropped) in enumerate(counts):
        options = [(IF_RECEIVED, struct.pack("=Q", received)), (IF_DROPPED, struct.pack("=Q", dropped))]
        blocks.append(_block(STATISTICS, struct.pack("=I", number) + stamp + _options(options)))
    return b"".join(blocks)


def with_comment(block: bytes, text: str) -> bytes:
    """An Enhanced Packet Block that has no options, with a comment."""
    (kind,) = struct.unpack_from("=I", block)
    return _block(kind, block[8:-4] + _options([(COMMENT, text.encode())]))


class Pcapng(Files):
    """Files, or standard output: `-`."""

    record = "pcapng"

    @property
    def _head(self) -> bytes:
        return pcapng_head(self.inputs, self.snaplen, str(self.spec.options.get("filter", "")))

    _tail: Tail | None = staticmethod(pcapng_tail)
    _note: Note | None = staticmethod(with_comment)
