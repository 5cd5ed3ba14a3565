"""The tasks of the worked examples on NFStream: by its own dissectors and flows where they do, else by a plugin.

    python -m benchmarks.peers.examples.on_nfstream TASK FILE

It starts its processes in the time that is told.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nfstream import NFPlugin, NFStreamer

from benchmarks.peers.flows_nfstream import NEVER_S

from .task import Gaps, main, request

TCP = 6
# Packets of a flow that its dissectors look at, as its manual has them.
DISSECTIONS = 20


class Opening(NFPlugin):  # type: ignore[misc]
    """Whether a flow begins with a SYN, and how many milliseconds later the SYN-ACK comes."""

    def on_init(self, packet: Any, flow: Any) -> None:
        flow.udps.asked = packet.time if packet.syn and not packet.ack else -1
        flow.udps.took = -1

    def on_update(self, packet: Any, flow: Any) -> None:
        if packet.syn and packet.ack and flow.udps.asked >= 0 and flow.udps.took < 0:
            flow.udps.took = packet.time - flow.udps.asked


class Requests(NFPlugin):  # type: ignore[misc]
    """Paths of requests."""

    def on_init(self, packet: Any, flow: Any) -> None:
        flow.udps.paths = []
        self.on_update(packet, flow)

    def on_update(self, packet: Any, flow: Any) -> None:
        if packet.protocol == TCP and packet.payload_size > 0:
            path = request(packet.ip_packet[-packet.payload_size :])
            if path:
                flow.udps.paths.append(path)


PLUGINS = {"handshakes": Opening, "scans": Opening, "beacons": Opening, "http": Requests}


def _found(task: str, flow: Any, gaps: Gaps) -> list[str]:
    """What one flow adds to what was found."""
    if task == "http":
        return list(flow.udps.paths)
    if task == "tls_names":
        return [flow.requested_server_name] if flow.application_name.startswith("TLS") else []
    if flow.protocol != TCP or flow.udps.asked < 0:
        return []
    if task == "beacons":
        gaps.add((flow.src_ip, flow.dst_ip, flow.dst_port), flow.bidirectional_first_seen_ms / 1000)
        return []
    if task == "scans":
        return [flow.src_ip]
    return [str(flow.dst_port)] if flow.udps.took >= 0 else []


def _run(task: str, path: Path, limit: int) -> tuple[int, set[str]]:
    keys, packets, gaps = set[str](), 0, Gaps()
    streamer = NFStreamer(
        source=str(path),
        n_dissections=DISSECTIONS if task == "tls_names" else 0,
        decode_tunnels=False,
        statistical_analysis=False,
        idle_timeout=NEVER_S,
        active_timeout=NEVER_S,
        udps=PLUGINS[task]() if task in PLUGINS else None,
    )
    for flow in streamer:
        packets += flow.bidirectional_packets
        keys.update(_found(task, flow, gaps))
    return packets, (keys | gaps.keys) - {""}


if __name__ == "__main__":
    main(_run)
