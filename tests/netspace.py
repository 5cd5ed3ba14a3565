"""A network namespace of one's own, with sysfs and an empty /run, in which tests change what they like."""

from __future__ import annotations

import json
import subprocess
import sys
from types import TracebackType
from typing import Any

SETUP = "mount -t sysfs sys /sys && mount -t tmpfs run /run && ip link set lo up && echo ready && exec cat"


class NetSpace:
    """Lives as long as the process that holds it; `run` runs a program in it."""

    def __init__(self) -> None:
        pipe = subprocess.PIPE
        command = ["unshare", "--net", "--mount", "setpriv", "--pdeathsig", "KILL", "sh", "-c", SETUP]
        self._holder = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True)
        assert self._holder.stdout is not None
        assert self._holder.stdout.readline() == "ready\n"
        self._enter = ["nsenter", "--net", "--mount", f"--target={self._holder.pid}"]

    def __enter__(self) -> NetSpace:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._holder.communicate()

    def attempt(self, *words: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*self._enter, *map(str, words)], capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False
        )

    def run(self, *words: object) -> str:
        """Output of a program that has to succeed."""
        done = self.attempt(*words)
        assert done.returncode == 0, done
        return done.stdout.strip()

    def start(self, *words: object) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*self._enter, *map(str, words)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def zcframe(self, *words: object) -> subprocess.CompletedProcess[str]:
        return self.attempt(sys.executable, "-m", "zcframe", *words)

    def read(self, path: str) -> str:
        return self.run("cat", path)

    def veth(self, name: str, queues: int) -> None:
        """A pair of interfaces, up, whose NAPI is on; the other end is called <name>-peer."""
        counts = ["numrxqueues", queues, "numtxqueues", queues]
        self.run("ip", "link", "add", name, *counts, "type", "veth", "peer", "name", f"{name}-peer", *counts)
        for end in (name, f"{name}-peer"):
            self.run("ip", "link", "set", end, "up")
        self.run("ethtool", "-K", name, "gro", "on")

    def record(self, path: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.read(path))
        return found
