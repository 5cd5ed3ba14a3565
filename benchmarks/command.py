"""Figures of the whole command: against other flow counters, and its own start and memory."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psutil

from .bench import Bench, Figures, NotMeasured, best
from .counters import counters
from .table import Row

ZCFRAME = (sys.executable, "-m", "zcframe")
RUNS = 5
TIMEOUT_S = 300
# The NIC's process has the first CPU to itself, the worker the second: two cores in all.
TWO_CORES = ("--queues", "1", "--cpus", "1")
BARS = {"C libpcap": 1.3, "dpkt": 50.0, "nfstream": 30.0, "scapy": 1000.0}


def run_document(*arguments: str) -> dict[str, Any]:
    """The document of one `zcframe run --json`. Raises NotMeasured where it fails."""
    command = [*ZCFRAME, "run", "--json", *arguments]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=TIMEOUT_S)
    if ran.returncode:
        last = (ran.stderr.strip().splitlines() or ["no message"])[-1]
        raise NotMeasured(f"zcframe run ended with {ran.returncode}: {last}")
    document: dict[str, Any] = json.loads(ran.stdout)
    return document


def _figures(document: dict[str, Any]) -> Figures:
    totals, flows = document["totals"], document["plugins"].get("flows", {})
    return Figures(totals["packets"], totals["bytes"], flows.get("count", 0), document["elapsed_s"])


def replay(capture: Path, *arguments: str) -> Figures:
    """Best of several runs over a capture, by the processing time that the command itself reports."""
    return best(RUNS, lambda: _figures(run_document("--read", str(capture), *arguments)), lambda f: f.seconds)


def nic_rows(bench: Bench) -> list[Row]:
    """The software NIC into one queue, behind which a worker only counts sizes."""
    name = "soft82576 into one queue, file in page cache"
    try:
        rate = replay(bench.mix().path, *TWO_CORES, "--plugin", "sizes").mpps
    except NotMeasured as reason:
        return [Row(name, "Mpps", not_measured=str(reason))]
    return [Row(name, "Mpps", ours=rate, bar=4.0)]


def command_rows(bench: Bench) -> list[Row]:
    """`zcframe run --read` with flows on two cores against every other flow counter on the same file."""
    capture = bench.mix().path
    ours = replay(capture, *TWO_CORES, "--plugin", "flows")
    rows = []
    for name, measure in counters(bench, capture).items():
        title = f"flow counter: whole command against {name}"
        try:
            rows.append(Row(title, "Mpps", ours=ours.mpps, peer=measure().mpps, bar=BARS.get(name)))
        except NotMeasured as reason:
            rows.append(Row(title, "Mpps", ours=ours.mpps, not_measured=str(reason)))
    return rows


def _seconds(command: Sequence[str]) -> float:
    start = time.perf_counter()
    subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True, timeout=TIMEOUT_S)
    return time.perf_counter() - start


def _first_packet(bench: Bench) -> float:
    """Seconds from the command to its end for one packet: an upper bound for the time to the first packet."""
    capture = str(bench.mix().path)
    return _seconds([*ZCFRAME, "run", "--json", "--read", capture, "--count", "1"])


def start_rows(bench: Bench) -> list[Row]:
    """How soon the command answers and delivers, with the chain in the cache."""
    _first_packet(bench)
    help_s = best(RUNS, lambda: _seconds([*ZCFRAME, "--help"]), lambda s: s)
    first_s = best(RUNS, lambda: _first_packet(bench), lambda s: s)
    return [
        Row("zcframe --help", "s", ours=help_s, bar=0.2, smaller_is_better=True),
        Row("cached chain: command to first packet and end", "s", ours=first_s, bar=1.0, smaller_is_better=True),
        Row("memory of a worker beyond ring and state", "MB", ours=_worker_mb(bench), bar=10.0, smaller_is_better=True),
    ]


def _worker_mb(bench: Bench) -> float:
    """Private memory of the largest of eight workers, while the bundled trace runs."""
    command = [*ZCFRAME, "run", "--json", "--duration", "60"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        time.sleep(5)
        workers = [c for c in psutil.Process(process.pid).children() if c.name().startswith("zc-rx")]
        return max(_private_mb(worker.pid) for worker in workers)
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(TIMEOUT_S)


def _private_mb(pid: int) -> float:
    """Pages that only this process has, without those of ring and state, which are memfds."""
    kilobytes, counted = 0, True
    for line in Path(f"/proc/{pid}/smaps").read_text().splitlines():
        if re.match(r"[0-9a-f]+-[0-9a-f]+ ", line):
            counted = "/memfd:" not in line
        elif counted and line.startswith(("Private_Clean:", "Private_Dirty:")):
            kilobytes += int(line.split()[1])
    return kilobytes * 1024 / 1e6
