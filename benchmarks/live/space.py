"""A network namespace with a link on which frames come in, whose receiving side works on the CPU that it is told."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any

from benchmarks.mix import ROOT
from zcframe.framework.child import die_with

SETUP = (
    "mount -t sysfs none /sys && sysctl -qw net.ipv6.conf.default.disable_ipv6=1 && ip link set lo up && echo ready"
    " && exec sleep infinity"
)
NEAR, FAR = "near", "far"
RECEIVER, SENDER = 0, 1
NAPI_THREAD = f"napi/{NEAR}-"


class LiveError(Exception):
    """What is needed and missing, or did not work."""


class Space:
    """The namespace, which ends with the block that holds it. Whatever is started here dies with the bench."""

    def __init__(self) -> None:
        self._die_with_us = partial(die_with, os.getpid())

    def __enter__(self) -> Space:
        command = ["unshare", "--net", "--mount", "sh", "-c", SETUP]
        self._holder = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, preexec_fn=self._die_with_us)
        assert self._holder.stdout is not None
        if self._holder.stdout.readline() != "ready\n":
            raise LiveError("no network namespace to be had: bench-live needs root, unshare and setpriv")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._holder.kill()
        self._holder.communicate()

    def veth(self) -> None:
        """`near` and `far`, up: what is sent by one comes in on the other."""
        self.run("ip", "link", "add", NEAR, "type", "veth", "peer", "name", FAR)
        for end in (NEAR, FAR):
            self.run("ip", "link", "set", end, "up")
        # Has NAPI run on the receiving side, without which nothing that XDP sends is taken.
        self.run("ethtool", "-K", NEAR, "gro", "on")

    def tap(self) -> None:
        """`near`, a TAP, up as soon as somebody opens it."""
        self.run("ip", "tuntap", "add", NEAR, "mode", "tap")
        self.run("ip", "link", "set", NEAR, "up")

    def _enter(self, words: Sequence[object], cpu: int | None = None) -> list[str]:
        pinned = ["taskset", "--cpu-list", str(cpu)] if cpu is not None else []
        namespaces = [f"--target={self._holder.pid}", "--net", "--mount", f"--wd={ROOT}"]
        return ["nsenter", *namespaces, "--", *pinned, *map(str, words)]

    def start(self, words: Sequence[object], cpu: int | None = None, **popen: Any) -> subprocess.Popen[Any]:
        """A program in the namespace, on a CPU, without input. popen: more of subprocess.Popen's arguments."""
        command = self._enter(words, cpu)
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, preexec_fn=self._die_with_us, **popen)

    def run(self, *words: object, cpu: int | None = None) -> str:
        """Output of a program. Raises LiveError where it fails."""
        command = self._enter(words, cpu)
        done = subprocess.run(command, capture_output=True, text=True, check=False, preexec_fn=self._die_with_us)
        if done.returncode:
            last = (done.stderr.strip().splitlines() or ["no message"])[-1]
            raise LiveError(f"{' '.join(map(str, words))}: {last}")
        return done.stdout

    def _send(self, program: str, *words: object) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.run(sys.executable, "-m", program, *words, cpu=SENDER))
        return found

    def offer(self, seconds: float, pps: int) -> dict[str, Any]:
        """Send into the veth, on the sender's CPU; `frames` and `seconds`."""
        return self._send("benchmarks.live.offer", FAR, seconds, pps)

    def write(self, seconds: float) -> dict[str, Any]:
        """Write into the TAP, on the sender's CPU; `frames` and `seconds`."""
        return self._send("benchmarks.live.write", NEAR, seconds)

    def share_core(self) -> None:
        """Have all of receiving on the receiver's CPU, in a thread of its own. Raises LiveError where there is none.

        Only now: a program of XDP that comes or goes ends the thread.
        """
        self.run("sh", "-c", f"echo 1 > /sys/class/net/{NEAR}/threaded")
        threads = _napi_threads()
        if not threads:
            raise LiveError(f"the kernel made no thread {NAPI_THREAD}*: it cannot receive on a CPU that it is told")
        for thread in threads:
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
