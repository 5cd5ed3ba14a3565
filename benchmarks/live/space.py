"""A network namespace with a veth pair, whose receiving side works on the CPU that it is told."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from benchmarks.mix import ROOT

SETUP = "mount -t sysfs none /sys && ip link set lo up && echo ready && exec sleep infinity"
NEAR, FAR = "near", "far"
RECEIVER, SENDER = 0, 1
NAPI_THREAD = f"napi/{NEAR}-"


class LiveError(Exception):
    """What is needed and missing, or did not work."""


class Space:
    """The namespace, with `near` and `far` up; it ends with the block that holds it."""

    def __enter__(self) -> Space:
        command = ["unshare", "--net", "--mount", "setpriv", "--pdeathsig", "KILL", "sh", "-c", SETUP]
        self._holder = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self._holder.stdout is not None
        if self._holder.stdout.readline() != "ready\n":
            raise LiveError("no network namespace to be had: bench-live needs root, unshare and setpriv")
        self.run("ip", "link", "add", NEAR, "type", "veth", "peer", "name", FAR)
        for end in (NEAR, FAR):
            # Neither end says anything by itself.
            self.write(f"/proc/sys/net/ipv6/conf/{end}/disable_ipv6", "1")
            self.run("ip", "link", "set", end, "up")
        # Has NAPI run on the receiving side, without which nothing that XDP sends is taken.
        self.run("ethtool", "-K", NEAR, "gro", "on")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._holder.kill()
        self._holder.communicate()

    def enter(self, words: Sequence[object], cpu: int | None = None) -> list[str]:
        pinned = ["taskset", "--cpu-list", str(cpu)] if cpu is not None else []
        namespaces = [f"--target={self._holder.pid}", "--net", "--mount", f"--wd={ROOT}"]
        return ["nsenter", *namespaces, "--", *pinned, *map(str, words)]

    def run(self, *words: object, cpu: int | None = None) -> str:
        """Output of a program. Raises LiveError where it fails."""
        done = subprocess.run(self.enter(words, cpu), capture_output=True, text=True, check=False)
        if done.returncode:
            last = (done.stderr.strip().splitlines() or ["no message"])[-1]
            raise LiveError(f"{' '.join(map(str, words))}: {last}")
        return done.stdout

    def write(self, path: str, text: str) -> None:
        self.run("sh", "-c", f"echo {text} > {path}")

    def offer(self, seconds: float) -> str:
        return self.run(sys.executable, "-m", "benchmarks.live.offer", FAR, seconds, cpu=SENDER)

    def share_core(self, how: str | None) -> None:
        """Have the receiving softirq on the receiver's CPU: all of it (`napi`), the stack's part (`rps`), or none."""
        rps = 1 << RECEIVER if how == "rps" else 0
        self.write(f"/sys/class/net/{NEAR}/queues/rx-0/rps_cpus", f"{rps:x}")
        self.write(f"/sys/class/net/{NEAR}/threaded", "1" if how == "napi" else "0")
        if how == "napi":
            for thread in _napi_threads():
                self.run("taskset", "--cpu-list", "--pid", RECEIVER, thread)


def _napi_threads() -> list[int]:
    """Of our veth: kernel threads are in no namespace, but no other interface is called so."""
    found = []
    for comm in Path("/proc").glob("[0-9]*/comm"):
        try:
            if comm.read_text().startswith(NAPI_THREAD):
                found.append(int(comm.parent.name))
        except OSError:
            continue
    return found
