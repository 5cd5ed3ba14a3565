"""A network namespace that exists as long as the process that holds it, and programs in it."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from command import PATIENCE, Background, Finished, die_with_tests, until, zcframe

HERE = Path(__file__).parent
# What workers keep up with, however long they have to wait for their turn on a busy machine.
SENT_PPS = 20_000
# sysfs shows the interfaces of the namespace that it was mounted in. Without IPv6 the kernel sends nothing of its own.
SETUP = "mount -t sysfs sysfs /sys && sysctl -qw net.ipv6.conf.all.disable_ipv6=1 && echo ready && exec sleep infinity"


class Space:
    """`ip(...)` configures it, `zcframe(...)` and `start(...)` run the command in it."""

    def __init__(self) -> None:
        self._holder = subprocess.Popen(
            ["unshare", "--net", "--mount", "sh", "-c", SETUP],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
            preexec_fn=die_with_tests,
        )
        assert self._holder.stdout is not None
        assert self._holder.stdout.readline() == "ready\n"

    @property
    def pid(self) -> int:
        """Of the process that holds the namespace."""
        return self._holder.pid

    @property
    def enter(self) -> list[str]:
        """Words in front of a command that is to run here."""
        return ["nsenter", f"--target={self.pid}", "--net", "--mount", "--"]

    def run(self, *words: object) -> str:
        """Output of a command, which must succeed."""
        command = [*self.enter, *map(str, words)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
        assert done.returncode == 0, (words, done.stderr)
        return done.stdout

    def ip(self, words: str) -> None:
        self.run("ip", *words.split())

    def link(self, name: str) -> dict[str, Any]:
        """What `ip` tells of an interface, with its counters."""
        found: list[dict[str, Any]] = json.loads(self.run("ip", "-s", "-d", "-j", "link", "show", name))
        return found[0]

    def veth(self, queues: int, *, mtu: int = 1500) -> None:
        """v0 and v1, up; what is sent on v1 comes on v0, on one of its `queues`."""
        shape = f"mtu {mtu} numrxqueues {queues} numtxqueues {queues}"
        self.ip(f"link add v0 {shape} type veth peer name v1 {shape}")
        self.ip("link set v0 up")
        self.ip("link set v1 up")

    def send(self, file: Path, *, rounds: int = 1, ifname: str = "v1") -> None:
        """All frames of a capture, by a packet socket."""
        self.run(sys.executable, HERE / "xdp_send.py", ifname, file, rounds, SENT_PPS)

    @contextlib.contextmanager
    def sending(self, file: Path, *, pps: int, ifname: str = "v1") -> Iterator[subprocess.Popen[str]]:
        """Send until told to stop by closing its stdin; then it says how many frames it sent."""
        words = [*self.enter, sys.executable, str(HERE / "xdp_send.py"), ifname, str(file), "0", str(pps)]
        with subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, preexec_fn=die_with_tests
        ) as sender:
            try:
                yield sender
            finally:
                sender.kill()

    def zcframe(self, *arguments: object, launcher: Sequence[object] = ()) -> Finished:
        """The command, to its end. launcher: more words in front of it."""
        return zcframe(*arguments, launcher=[*self.enter, *launcher])

    def start(self, folder: Path, *arguments: object) -> Background:
        """The command in the background; it takes the traffic when this returns."""
        run = Background(folder, *arguments, launcher=self.enter)
        until(lambda: run.process.poll() is not None or "takes all traffic" in run.stderr, what="the start")
        assert run.process.poll() is None, run.stderr
        return run

    def __enter__(self) -> Space:
        return self

    def __exit__(self, *_: object) -> None:
        self._holder.kill()
        self._holder.wait()
        assert self._holder.stdout is not None
        self._holder.stdout.close()
