"""Flow counters on one file: C on libpcap, tshark, nfstream, dpkt, scapy."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from .bench import PEER_TIMEOUT_S, Bench, Figures, NotMeasured, python_counter, run_counter
from .mix import PCAP_HEADER

LARGE_READ_BUFFER = 128 << 10
# The slow ones count the beginning of the file: their rate does not rise with its length.
TSHARK_PACKETS, DPKT_PACKETS, SCAPY_PACKETS = 200_000, 150_000, 15_000


def zcframe(capture: Path, *options: str) -> Figures:
    """`zcframe run` with the flow counter, as fast as it can."""
    command = (sys.executable, "-m", "benchmarks.measured_run", "--read", str(capture), "--speed", "max")
    return run_counter(*command, "--plugin", "flows", *options)


def libpcap_program(bench: Bench, read_buffer: int = 0) -> Path:
    """The C program; `read_buffer` in bytes, 0 for what pcap_open_offline() has."""
    return bench.compile("flows_libpcap.c", f"-DREAD_BUFFER={read_buffer}", libraries=("-lpcap",))


def libpcap(bench: Bench, capture: Path, read_buffer: int = 0) -> Figures:
    """The C program on one core."""
    return run_counter(str(libpcap_program(bench, read_buffer)), str(capture))


def _conversations(capture: Path, packets: int) -> float:
    """Seconds that tshark takes, from exec to exit."""
    command = ["tshark", "-n", "-r", str(capture), "-c", str(packets), "-q", "-z", "conv,tcp"]
    start = time.perf_counter()
    ran = subprocess.run(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False, timeout=PEER_TIMEOUT_S
    )
    if ran.returncode:
        raise NotMeasured(f"tshark ended with {ran.returncode}: {(ran.stderr.splitlines() or ['no message'])[-1]}")
    return time.perf_counter() - start


def tshark(bench: Bench, capture: Path, packets: int) -> Figures:
    """tshark -q -z conv,tcp on the first packets; its start, as long as an empty file takes, is not counted."""
    if shutil.which("tshark") is None:
        raise NotMeasured("tshark is not installed: apt-get install tshark")
    empty = bench.scratch / "empty.pcap"
    empty.write_bytes(PCAP_HEADER)
    seconds = _conversations(capture, packets) - _conversations(empty, packets)
    return Figures(packets, 0, 0, max(seconds, 1e-9))


def counters(bench: Bench, capture: Path) -> dict[str, Callable[[], Figures]]:
    """Every other peer by name; calling one measures it, or raises NotMeasured."""
    most = bench.mix().packets
    return {
        "tshark -q -z conv,tcp": partial(tshark, bench, capture, min(TSHARK_PACKETS, most)),
        "nfstream": partial(python_counter, "nfstream", str(capture)),
        "dpkt": partial(python_counter, "dpkt", str(capture), str(DPKT_PACKETS)),
        "scapy": partial(python_counter, "scapy", str(capture), str(SCAPY_PACKETS)),
    }


def two_cores() -> str:
    """The first two CPUs that this process may use, to which it is bound from now on, as a list for people."""
    cpus = sorted(os.sched_getaffinity(0))[:2]
    os.sched_setaffinity(0, cpus)
    return ", ".join(map(str, cpus))
