"""`zcframe dump -i` against tcpdump and dumpcap: frames in the file, where each has one core with the softirq."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from .contenders import BUFFER, END_S, READY_S
from .measure import Paces
from .offer import FRAME
from .space import NEAR, RECEIVER, LiveError, Space

# The same of all: expression, snap length, bytes of the ring, and the folder that is written to.
EXPRESSION: Final = ("udp",)
SNAPLEN: Final = "262144"
OFFER_S: Final = 1.0
PACES: Final = (500_000, 1_000_000, 2_000_000)
# What belongs to a start is over, and what is on its way is read.
START_S, SETTLE_S = 0.5, 0.5
HEAD, RECORD = 24, 16 + len(FRAME)

DUMP_PACKET, DUMP_XDP = "zcframe dump, packet", "zcframe dump, xdp"
TCPDUMP, DUMPCAP = "tcpdump -w", "dumpcap -w"


@dataclass(frozen=True)
class Dumper:
    """A command that writes what comes in on NEAR to a pcap file, whose name follows it, with other words behind.

    said: what it says once it captures.
    """

    name: str
    command: tuple[str, ...]
    said: str
    behind: tuple[str, ...] = EXPRESSION


def _ours(backend: str) -> tuple[str, ...]:
    run = (sys.executable, "-m", "zcframe", "dump", "-i", NEAR, "--backend", backend)
    return (*run, "-s", SNAPLEN, "-w")


def dumpers() -> tuple[list[Dumper], dict[str, str]]:
    """All that can run here, and why the others cannot, by name."""
    mega = str(BUFFER >> 20)
    tcpdump = ("tcpdump", "-n", "-i", NEAR, "-s", SNAPLEN, "-B", str(BUFFER >> 10), "-Z", "root", "-w")
    dumpcap = ("dumpcap", "-q", "-P", "-i", NEAR, "-s", SNAPLEN, "-B", mega, "-f", " ".join(EXPRESSION), "-w")
    found = [
        Dumper(DUMP_PACKET, _ours("packet"), "listening on"),
        Dumper(TCPDUMP, tcpdump, "listening on"),
        Dumper(DUMP_XDP, _ours("xdp"), "listening on"),
        Dumper(DUMPCAP, dumpcap, "File:", ()),
    ]
    missing = {one.name: f"{one.command[0]} is not installed" for one in found if not shutil.which(one.command[0])}
    return [one for one in found if one.name not in missing], missing


def _wait_to_hear(process: subprocess.Popen[bytes], stderr: Path, dumper: Dumper) -> None:
    """Raises LiveError where it ends before, or is silent."""
    deadline = time.monotonic() + READY_S
    while dumper.said not in stderr.read_text():
        if process.poll() is not None or time.monotonic() > deadline:
            lines = stderr.read_text().strip().splitlines()
            raise LiveError(f"{dumper.name} did not start: {lines[-1] if lines else 'it says nothing'}")
        time.sleep(0.02)


@contextmanager
def capturing(dumper: Dumper, space: Space, file: Path) -> Iterator[None]:
    """It captures; with the end of the block the file has all."""
    stderr = file.with_suffix(".err")
    with stderr.open("wb") as said:
        command = (*dumper.command, file, *dumper.behind)
        process = space.start(command, RECEIVER, stdout=subprocess.DEVNULL, stderr=said)
    try:
        _wait_to_hear(process, stderr, dumper)
        yield
        process.send_signal(signal.SIGINT)
        if process.wait(END_S):
            raise LiveError(f"{dumper.name} ended with {process.returncode}: {stderr.read_text().strip()}")
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def _written_at(dumper: Dumper, pps: int, file: Path) -> float:
    """Frames a second that are in the file."""
    with Space() as space:
        space.veth()
        with capturing(dumper, space, file):
            time.sleep(START_S)
            space.share_core()
            offered = space.offer(OFFER_S, pps)
            time.sleep(SETTLE_S)
    frames = (file.stat().st_size - HEAD) / RECORD
    file.unlink()
    return frames / offered["seconds"]


def written(dumper: Dumper, scratch: Path, paces: Paces) -> float:
    """Frames a second that are in the file, at the pace at which these are most."""
    return paces.most(dumper.name, lambda pps: _written_at(dumper, pps, scratch / "dump.pcap"))
