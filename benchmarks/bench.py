"""What every bench works with: a scratch directory, the mixes and the compiled peers, each made once."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from .mix import ROOT, Mix, make_mix

PEERS = Path(__file__).with_name("peers")
UAPI = ROOT / "kernel" / "include" / "uapi"
CFLAGS = ("-O2", "-Wall", "-Wextra", "-Werror", f"-I{UAPI}")
PEER_TIMEOUT_S = 600


class NotMeasured(Exception):
    """A peer that cannot run here; the message is the reason, for the table."""


@dataclass(frozen=True)
class Figures:
    """What a flow counter printed; seconds, and cpu in seconds of CPU, are of its processing, after its start."""

    packets: int
    bytes: int
    flows: int
    seconds: float
    cpu: float = 0.0

    @property
    def mpps(self) -> float:
        return self.packets / self.seconds / 1e6


class Bench:
    """One run of benches in the directory `scratch`; `megabytes` is the size of the mixes, `rounds` of each figure."""

    def __init__(self, scratch: Path, megabytes: float, rounds: int = 5) -> None:
        self.scratch = scratch
        self.megabytes = megabytes
        self.rounds = rounds
        self._mixes: dict[bool, Mix] = {}

    def mix(self, *, renumber: bool = False) -> Mix:
        if renumber not in self._mixes:
            path = self.scratch / ("mix-renumbered.pcap" if renumber else "mix.pcap")
            self._mixes[renumber] = make_mix(path, self.megabytes, renumber=renumber)
        return self._mixes[renumber]

    def compile(self, source: str, *options: str, libraries: tuple[str, ...] = ()) -> Path:
        """Compile a C peer, once for these options. Raises NotMeasured where gcc or a library is missing."""
        name = "".join(c if c.isalnum() else "_" for c in "".join((source, *options)))
        target = self.scratch / name
        if target.exists():
            return target
        if shutil.which("gcc") is None:
            raise NotMeasured("gcc is not installed: apt-get install gcc libc6-dev")
        command = ["gcc", *CFLAGS, *options, str(PEERS / source), "-o", str(target), *libraries]
        made = subprocess.run(command, capture_output=True, text=True, check=False)
        if made.returncode and "pcap.h" in made.stderr:
            raise NotMeasured("libpcap's headers are not installed: apt-get install libpcap-dev")
        if made.returncode:
            raise NotMeasured(f"{source} does not compile: {made.stderr.splitlines()[0]}")
        return target


@dataclass(frozen=True)
class Whole:
    """Seconds of a command from exec to exit, and of CPU of all its processes."""

    seconds: float
    cpu: float


def run_whole(*command: str) -> Whole:
    """Run a command. Raises NotMeasured where it fails."""
    start = time.perf_counter()
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise NotMeasured(f"{' '.join(command[:4])} ended with {process.returncode}")
    return Whole(seconds, used.ru_utime + used.ru_stime)


def run_counter(*command: str) -> Figures:
    """Run a flow counter and read its JSON line. Raises NotMeasured where it fails."""
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=PEER_TIMEOUT_S)
    if ran.returncode:
        last = (ran.stderr.strip().splitlines() or ["no message"])[-1]
        raise NotMeasured(f"{Path(command[0]).name} ended with {ran.returncode}: {last}")
    return Figures(**json.loads(ran.stdout.splitlines()[0]))


def python_counter(package: str, *arguments: str) -> Figures:
    """Run the flow counter of a Python package. Raises NotMeasured where the package is missing."""
    if importlib.util.find_spec(package) is None:
        raise NotMeasured(f"{package} is not installed: pip install .[bench]")
    return run_counter(sys.executable, "-m", f"benchmarks.peers.flows_{package}", *arguments)
