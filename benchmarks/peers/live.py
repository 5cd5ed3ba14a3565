"""What the live loops in Python share: how a frame is parsed, and how a loop begins and ends."""

from __future__ import annotations

import json
import signal
import struct
import sys
from typing import NoReturn

IPV4_UDP = struct.Struct("!12xHBBHHHBBH4s4sHH")
TOTAL_LENGTH = 3
SNAPLEN = 2048


class Parsed:
    """Counts what it parses: ethertype, lengths, protocol, addresses, ports."""

    def __init__(self) -> None:
        self.packets = self.bytes = 0

    def take(self, frame: bytes) -> None:
        fields = IPV4_UDP.unpack_from(frame)
        self.packets += 1
        self.bytes += fields[TOTAL_LENGTH]

    def begin(self) -> None:
        """Say "ready"; from now on SIGTERM ends the process with one JSON line."""

        def end(*_: object) -> NoReturn:
            print(json.dumps({"packets": self.packets}), flush=True)
            sys.exit(0)

        signal.signal(signal.SIGTERM, end)
        print("ready", flush=True)
