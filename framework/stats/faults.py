"""Why packets faulted: by plugin and by what it raised, with the first such packet of all workers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


def end_text(address: str, port: int) -> str:
    """One end of a packet: ADDRESS, or ADDRESS:PORT where the port is not 0."""
    host = f"[{address}]" if port and ":" in address else address
    return f"{host}:{port}" if port else address


@dataclass(frozen=True)
class FaultyPacket:
    """worker, number: the worker of the run, and which of its packets, from 0. ts: ns since the epoch.

    source, destination: ADDRESS or ADDRESS:PORT, "" for a packet without IP; protocol: number of IP's, 0 without.
    frame: its first bytes; length: bytes on the wire.
    """

    worker: int
    number: int
    ts: int
    length: int
    source: str
    destination: str
    protocol: int
    frame: bytes

    def as_json(self) -> dict[str, Any]:
        return {
            "worker": self.worker,
            "number": self.number,
            "time": self.ts / 1e9,
            "length": self.length,
            "source": self.source,
            "destination": self.destination,
            "protocol": self.protocol,
            "frame": self.frame.hex(),
        }


@dataclass(frozen=True)
class Fault:
    """What a plugin raised, how many packets it did so for, and the first of them."""

    plugin: str
    reason: str
    packets: int
    first: FaultyPacket

    def __add__(self, other: Fault) -> Fault:
        """The same of another worker."""
        earlier = self.first if self.first.ts <= other.first.ts else other.first
        return Fault(self.plugin, self.reason, self.packets + other.packets, earlier)

    def as_json(self) -> dict[str, Any]:
        return {
            "plugin": self.plugin,
            "reason": self.reason,
            "packets": self.packets,
            "first": self.first.as_json(),
        }
