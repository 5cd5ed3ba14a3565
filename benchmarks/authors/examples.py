"""The five worked examples against NFStream and scapy, which do the same tasks on the same file, on two cores."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

from benchmarks.bench import PEER_TIMEOUT_S, Bench, NotMeasured, run_counter, run_whole
from benchmarks.mix import PCAP_HEADER, ROOT, Mix, make_mix
from benchmarks.peers.examples.task import TASKS
from benchmarks.rounds import Spread, in_turns
from benchmarks.table import Row

PACKETS = 168_000
# scapy takes the beginning of the file: its rate does not rise with its length.
SCAPY_PACKETS = 4000
# Rounds at most: NFStream takes seconds for each.
ROUNDS = 3
INNER, WALL, SCAPY = 30.0, 3.0, 700.0
RUN = ("--speed", "max", "--queues", "2", "--plugin")


class Peer(NamedTuple):
    """Seconds of the task by its own clock, and of the process from exec to exit; packets that it took."""

    seconds: float
    whole: float
    packets: int
    keys: list[str]


def peer(package: str, task: str, path: Path, packets: int = 0) -> Peer:
    """Run a task on a peer. Raises NotMeasured where it is missing, or fails."""
    if importlib.util.find_spec(package) is None:
        raise NotMeasured(f"{package} is not installed: pip install .[bench]")
    command = [sys.executable, "-m", f"benchmarks.peers.examples.on_{package}", task, str(path), str(packets)]
    start = time.perf_counter()
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=PEER_TIMEOUT_S)
    whole = time.perf_counter() - start
    if ran.returncode:
        last = (ran.stderr.strip().splitlines() or ["no message"])[-1]
        raise NotMeasured(f"{package} ended with {ran.returncode}: {last}")
    found = json.loads(ran.stdout.splitlines()[-1])
    return Peer(found["seconds"], whole, found["packets"], found["keys"])


def _capture(bench: Bench) -> Mix:
    size = bench.megabytes * PACKETS / bench.mix().packets
    return make_mix(bench.scratch / "examples.pcap", size)


def _example(task: str) -> str:
    return str(ROOT / "examples" / "plugins" / f"{task}.py")


def _inner(task: str, capture: Mix) -> float:
    """ns a packet."""
    command = (sys.executable, "-m", "benchmarks.measured_run", "--read", str(capture.path))
    return run_counter(*command, *RUN, _example(task)).seconds / capture.packets * 1e9


def _wall(task: str, capture: Mix) -> float:
    command = (sys.executable, "-m", "zcframe", "run", "--read", str(capture.path))
    return run_whole(*command, *RUN, _example(task)).seconds


def _rows(bench: Bench, task: str, capture: Mix, empty: Path) -> list[Row]:
    # The first run compiles.
    _wall(task, capture)
    start_up = peer("nfstream", task, empty).seconds
    measures: list[Callable[[], float | Peer]] = [
        partial(_inner, task, capture),
        partial(_wall, task, capture),
        partial(peer, "nfstream", task, capture.path),
        partial(peer, "scapy", task, capture.path, SCAPY_PACKETS),
    ]
    inner, wall, nfstream, scapy = in_turns(min(ROUNDS, bench.rounds), *measures)
    ours, whole = (Spread(tuple(one for one in each if isinstance(one, float))) for each in (inner, wall))
    flows, packets = ([one for one in each if isinstance(one, Peer)] for each in (nfstream, scapy))
    theirs = Spread(tuple(max(one.seconds - start_up, 1e-9) / capture.packets * 1e9 for one in flows))
    slowest = Spread(tuple(one.seconds / one.packets * 1e9 for one in packets))
    took = Spread(tuple(one.whole for one in flows))
    return [
        Row(f"{task}, inner time, against nfstream", "ns", ours, theirs, INNER, smaller_is_better=True),
        Row(f"{task}, inner time, against scapy", "ns", ours, slowest, SCAPY, smaller_is_better=True),
        Row(f"{task}, whole command, against nfstream", "s", whole, took, WALL, smaller_is_better=True),
    ]


def example_rows(bench: Bench) -> list[Row]:
    """ns a packet without starting, and seconds of the whole command with what it compiled before."""
    capture, empty = _capture(bench), bench.scratch / "nothing.pcap"
    empty.write_bytes(PCAP_HEADER)
    rows = []
    for task in TASKS:
        try:
            rows += _rows(bench, task, capture, empty)
        except NotMeasured as reason:
            rows.append(Row(f"{task}, against nfstream and scapy", "ns", not_measured=str(reason)))
    return rows
