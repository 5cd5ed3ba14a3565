"""Who captures: a command, how it tells that it is ready, and which of its processes is the worker."""

from __future__ import annotations

import importlib.util
import json
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import psutil

from benchmarks.bench import Bench, NotMeasured

from .space import NEAR, RECEIVER, LiveError, Space

# Bytes of blocks for everyone: a ring of 4,096 slots of 2 KiB.
BUFFER = 4096 * 2048
TIMEOUT_MS = 20
READY_S, END_S = 60.0, 60.0


# What is measured of a contender: on one core, its worker alone on a veth and on a TAP, and with the kernel's part
# wherever it runs.
DELIVERED, COST, TAP, FREE = "delivered", "cost", "tap", "free"


@dataclass(frozen=True)
class Contender:
    """ours: whether it is `zcframe run`; settings: commands that change the link once it captures."""

    name: str
    command: tuple[str, ...]
    ours: bool = False
    figures: tuple[str, ...] = (DELIVERED, COST, TAP)
    settings: tuple[tuple[str, ...], ...] = ()


class Running:
    """A contender that captures."""

    def __init__(self, contender: Contender, process: subprocess.Popen[str], stderr: IO[str]) -> None:
        self.contender, self.process, self._stderr = contender, process, stderr
        self.worker = process.pid

    def wait_until_ready(self) -> None:
        """Raises LiveError where it ends before."""
        ready = self._workers_count if self.contender.ours else self._said_ready
        deadline = time.monotonic() + READY_S
        while not ready():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise LiveError(f"{self.contender.name} did not start: {self._last_words()}")
            time.sleep(0.02)
        if self.contender.ours:
            children = psutil.Process(self.process.pid).children()
            self.worker = next(child.pid for child in children if child.name().startswith("zc-rx-"))

    def _said_ready(self) -> bool:
        assert self.process.stdout is not None
        if not select.select([self.process.stdout], [], [], 0)[0]:
            return False
        return self.process.stdout.readline() == "ready\n"

    def _workers_count(self) -> bool:
        """Each line of statistics is a look at workers that run."""
        return '"ledger"' in Path(self._stderr.name).read_text()

    def _last_words(self) -> str:
        lines = Path(self._stderr.name).read_text().strip().splitlines()
        return lines[-1] if lines else "it says nothing"

    def cpu_ns(self) -> int:
        """Nanoseconds of CPU that the worker has had."""
        return int(Path(f"/proc/{self.worker}/schedstat").read_text().split()[0])

    def stop(self) -> int:
        """Packets that it has read, all told. Raises LiveError where it fails."""
        self.process.send_signal(signal.SIGTERM)
        out, _ = self.process.communicate(timeout=END_S)
        if self.process.returncode:
            raise LiveError(f"{self.contender.name} ended with {self.process.returncode}: {self._last_words()}")
        found: dict[str, Any] = json.loads(out.splitlines()[-1])
        return int(found["totals"]["ledger"]["delivered"] if self.contender.ours else found["packets"])


@contextmanager
def running(contender: Contender, space: Space) -> Iterator[Running]:
    """The contender, ready; it is ended with the block at the latest."""
    cpu = None if contender.ours else RECEIVER
    with tempfile.NamedTemporaryFile("w+", prefix="zcframe-bench-") as stderr:
        process = space.start(contender.command, cpu, stdout=subprocess.PIPE, stderr=stderr, text=True)
        try:
            found = Running(contender, process, stderr)
            found.wait_until_ready()
            for words in contender.settings:
                space.run(*words)
            yield found
        finally:
            if process.poll() is None:
                process.kill()
            process.communicate()


def _zcframe(backend: str, *plugins: str, options: tuple[str, ...] = ()) -> tuple[str, ...]:
    run = (sys.executable, "-m", "zcframe", "run", "--json", "--stats-interval", "1", "--iface", NEAR, *options)
    return (*run, "--backend", backend, "--queues", "1", "--cpus", str(RECEIVER), "--plugin", *plugins)


def _python(package: str, program: str, *arguments: str) -> tuple[str, ...]:
    if importlib.util.find_spec(package) is None:
        raise NotMeasured(f"{package} is not installed: pip install .[bench]")
    return (sys.executable, "-m", f"benchmarks.peers.{program}", NEAR, *arguments)


LIBPCAP, LIBPCAP_THREE = "libpcap in C, counts", "libpcap in C, three plugins"
PACKET, PACKET_THREE, XDP = "zcframe packet, sizes", "zcframe packet, three plugins", "zcframe xdp, sizes"
PACKET_COUNTS, XDP_COUNTS = "zcframe packet, counts", "zcframe xdp, counts"
TUNED, GRO_OFF = "{}, --tune", "{}, GRO off"
CYPCAP, PCAPY, SCAPY = "cypcap, parses", "pcapy-ng, parses", "scapy sniff"
BUFFERED = (str(BUFFER), str(TIMEOUT_MS))
THREE, COUNTS = ("flows", "sizes", "talkers"), ("benchmarks.plugins:Packets",)


def _ours() -> list[Contender]:
    tune, gro = ("--tune",), ("ethtool", "-K", NEAR, "gro", "off")
    return [
        Contender(PACKET_THREE, _zcframe("packet", *THREE), True, (DELIVERED, COST, TAP, FREE)),
        Contender(PACKET_COUNTS, _zcframe("packet", *COUNTS), True, (COST, TAP)),
        Contender(XDP_COUNTS, _zcframe("xdp", *COUNTS), True, (COST, TAP, FREE)),
        Contender(PACKET, _zcframe("packet", "sizes"), True),
        Contender(XDP, _zcframe("xdp", "sizes"), True),
        Contender(TUNED.format(PACKET_THREE), _zcframe("packet", *THREE, options=tune), True, (FREE,)),
        Contender(TUNED.format(XDP_COUNTS), _zcframe("xdp", *COUNTS, options=tune), True, (FREE,)),
        # With a program of XDP NAPI stays without GRO; else it would end, and nothing be taken of what comes.
        Contender(GRO_OFF.format(XDP_COUNTS), _zcframe("xdp", *COUNTS), True, (FREE,), (gro,)),
    ]


def contenders(bench: Bench) -> tuple[list[Contender], dict[str, str]]:
    """All that can run here, and why the others cannot, by name; those that are held against each other are near."""

    def libpcap(source: str) -> tuple[str, ...]:
        return (str(bench.compile(source, libraries=("-lpcap",))), NEAR, *BUFFERED)

    peers: dict[str, Callable[[], tuple[str, ...]]] = {
        LIBPCAP_THREE: lambda: libpcap("plugins/live.c"),
        LIBPCAP: lambda: libpcap("count_libpcap.c"),
        CYPCAP: lambda: _python("cypcap", "live_cypcap", *BUFFERED),
        PCAPY: lambda: _python("pcapy", "live_pcapy", *BUFFERED),
        SCAPY: lambda: _python("scapy", "live_scapy"),
    }
    found, missing = [], {}
    for name, command in peers.items():
        try:
            # What Python costs is the same on a TAP.
            figures = (DELIVERED, COST) if name in (CYPCAP, PCAPY, SCAPY) else (DELIVERED, COST, TAP)
            found.append(Contender(name, command(), figures=figures))
        except NotMeasured as reason:
            missing[name] = str(reason)
    first, *others = _ours()
    return [first, *found[:1], *others, *found[1:]], missing
