"""Flow counters on one file: C on libpcap, nfstream, dpkt, scapy."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from .bench import Bench, Figures, best, python_counter, run_counter

C_RUNS = 5
LARGE_READ_BUFFER = 128 << 10
# The slow ones count the beginning of the file: their rate does not depend on its length.
DPKT_PACKETS, SCAPY_PACKETS = 150_000, 15_000


def libpcap(bench: Bench, capture: Path, read_buffer: int = 0) -> Figures:
    """The C program, best of several runs on one core; `read_buffer` in bytes, 0 for what pcap_open_offline() has."""
    program = bench.compile("flows_libpcap.c", f"-DREAD_BUFFER={read_buffer}", libraries=("-lpcap",))
    return best(C_RUNS, lambda: run_counter(str(program), str(capture)), lambda figures: figures.seconds)


def counters(bench: Bench, capture: Path) -> dict[str, Callable[[], Figures]]:
    """Every peer by name; calling one measures it, or raises NotMeasured."""
    return {
        "C libpcap": partial(libpcap, bench, capture),
        "C libpcap, 128 KiB read buffer": partial(libpcap, bench, capture, LARGE_READ_BUFFER),
        "nfstream": partial(python_counter, "nfstream", str(capture)),
        "dpkt": partial(python_counter, "dpkt", str(capture), str(DPKT_PACKETS)),
        "scapy": partial(python_counter, "scapy", str(capture), str(SCAPY_PACKETS)),
    }
