"""How soon the command answers and delivers, and how much memory a worker has."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import psutil

from .bench import Bench, NotMeasured
from .first_run import environment
from .rounds import Spread, in_turns
from .table import Row

ZCFRAME = (sys.executable, "-m", "zcframe")
TIMEOUT_S = 300
# So long a worker counts before its memory is looked at.
COUNTED_S = 3.0


def _seconds(command: Sequence[str]) -> float:
    start = time.perf_counter()
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    subprocess.run(command, env=environment(), check=True, timeout=TIMEOUT_S, **quiet)
    return time.perf_counter() - start


def _first_packet(bench: Bench) -> float:
    """Seconds from the command to its end for one packet: an upper bound for the time to the first packet."""
    capture = str(bench.mix().path)
    return _seconds([*ZCFRAME, "run", "--json", "--read", capture, "--count", "1"])


def start_rows(bench: Bench) -> list[Row]:
    """The start with the chain in the cache, and the memory of a worker."""
    _first_packet(bench)
    help_s, first_s = in_turns(bench.rounds, partial(_seconds, [*ZCFRAME, "--help"]), partial(_first_packet, bench))
    return [
        Row("zcframe --help", "s", Spread(help_s), None, 0.2, True),
        Row("cached chain: command to first packet and end", "s", Spread(first_s), None, 0.8, True),
        Row("memory of a worker beyond ring and state", "MB", _worker_mb(), None, 10.0, True),
    ]


def _workers(pid: int) -> list[psutil.Process]:
    """The workers of a run. Raises NotMeasured where it has none in time."""
    deadline = time.monotonic() + TIMEOUT_S
    while time.monotonic() < deadline:
        workers = [child for child in psutil.Process(pid).children() if child.name().startswith("zc-rx")]
        if workers:
            return workers
        time.sleep(0.1)
    raise NotMeasured("zcframe run started no worker")


def _worker_mb() -> float:
    """Private memory of the largest of eight workers, while the bundled trace runs."""
    command = [*ZCFRAME, "run", "--json", "--duration", str(TIMEOUT_S)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        workers = _workers(process.pid)
        time.sleep(COUNTED_S)
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
