"""Flow counter on nfstream, without deep packet inspection, on as many processes as it likes.

    python -m benchmarks.peers.flows_nfstream FILE

Time is that of the file, less that of an empty one: starting its processes is not counted against it.
"""

from __future__ import annotations

import json
import struct
import sys
import tempfile
import time
from pathlib import Path

from nfstream import NFStreamer

# Longer than any capture, so that no flow is cut in two.
NEVER_S = 10**6
EMPTY_PCAP = struct.pack("=IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1)


def count(path: Path) -> tuple[int, int, int]:
    """(packets, bytes, flows) of the IP packets of a capture."""
    packets = volume = flows = 0
    streamer = NFStreamer(
        source=str(path),
        n_dissections=0,
        decode_tunnels=False,
        statistical_analysis=False,
        idle_timeout=NEVER_S,
        active_timeout=NEVER_S,
    )
    for flow in streamer:
        flows += 1
        packets += flow.bidirectional_packets
        volume += flow.bidirectional_bytes
    return packets, volume, flows


def _start_up() -> float:
    with tempfile.NamedTemporaryFile(suffix=".pcap") as empty:
        empty.write(EMPTY_PCAP)
        empty.flush()
        start = time.perf_counter()
        count(Path(empty.name))
        return time.perf_counter() - start


def main() -> None:
    start_up = _start_up()
    start = time.perf_counter()
    packets, volume, flows = count(Path(sys.argv[1]))
    seconds = max(time.perf_counter() - start - start_up, 1e-9)
    print(json.dumps({"packets": packets, "bytes": volume, "flows": flows, "seconds": seconds}))


if __name__ == "__main__":
    main()
