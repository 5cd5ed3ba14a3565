"""A network namespace that exists as long as the process that holds it, and programs in it."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from tests.kit.command import PATIENCE, Background, Finished, die_with_tests, zcframe
from tests.kit.places import ROOT

# What veth, a CPU's backlog and workers keep up with, however long they wait for their turn on a busy machine.
SENT_PPS = 20_000
# sysfs shows the interfaces of the namespace that it was mounted in. Without IPv6 the kernel sends nothing of its own.
SETUP = (
    "mount -t sysfs sysfs /sys && mount -t tmpfs run /run && sysctl -qw net.ipv6.conf.all.disable_ipv6=1"
    " && ip link set lo up && echo ready && exec sleep infinity"
)


def program_of(name: str) -> list[object]:
    """The words that start a program of tests/netns/programs, whatever the working directory."""
    return ["env", f"PYTHONPATH={ROOT}", sys.executable, "-m", f"tests.netns.programs.{name}"]


def _order(owner: subprocess.Popen[str]) -> None:
    """Have a TAP's owner send, and wait until it has."""
    assert owner.stdin is not None and owner.stdout is not None
    owner.stdin.write("go\n")
    assert owner.stdout.readline() == "sent\n"


class Space:
    """`ip(...)` configures it, `run(...)`, `zcframe(...)` and `capture(...)` run programs in it.

    It has the /sys of its interfaces and an empty /run, and ends with the tests.
    """

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
        """Words in front of a command that is to run here, under the pid of what was started."""
        return ["nsenter", f"--target={self.pid}", "--net", "--mount", "--"]

    def attempt(self, *words: object) -> subprocess.CompletedProcess[str]:
        """Run a program to its end, whatever that is."""
        command = [*self.enter, *map(str, words)]
        return subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE, check=False
        )

    def run(self, *words: object) -> str:
        """What a program printed, which must succeed."""
        done = self.attempt(*words)
        assert done.returncode == 0, (words, done.stderr)
        return done.stdout.strip()

    @contextlib.contextmanager
    def start(self, *words: object) -> Iterator[subprocess.Popen[str]]:
        """A program beside us, whose stdin and stdout are ours; what still runs at the end is killed."""
        pipe = subprocess.PIPE
        command = [*self.enter, *map(str, words)]
        with subprocess.Popen(
            command, stdin=pipe, stdout=pipe, text=True, bufsize=1, preexec_fn=die_with_tests
        ) as program:
            try:
                yield program
            finally:
                program.kill()

    def zcframe(self, *arguments: object, launcher: Sequence[object] = ()) -> Finished:
        """The command, to its end. launcher: more words in front of it."""
        return zcframe(*arguments, launcher=[*self.enter, *launcher])

    def capture(self, folder: Path, *arguments: object) -> Background:
        """`zcframe run --json` in the background; it takes every frame from now on."""
        words = ("run", "--json", "--stats-interval", 0.05, *arguments)
        return Background(folder, *words, launcher=self.enter).looking()

    def ip(self, words: str) -> None:
        self.run("ip", *words.split())

    def link(self, name: str) -> dict[str, Any]:
        """What `ip` tells of an interface, with its counters."""
        found: list[dict[str, Any]] = json.loads(self.run("ip", "-s", "-d", "-j", "link", "show", name))
        return found[0]

    def veth(self, queues: int = 1, *, mtu: int = 1500, names: tuple[str, str] = ("near", "far")) -> None:
        """A pair, up; what is sent on the far end comes in on the near one, on one of its `queues`."""
        near, far = names
        shape = f"mtu {mtu} numrxqueues {queues} numtxqueues {queues}"
        self.ip(f"link add {near} {shape} type veth peer name {far} {shape}")
        for name in names:
            self.ip(f"link set {name} up")

    @contextlib.contextmanager
    def tap(self, queues: int, file: Path) -> Iterator[Callable[[], None]]:
        """A TAP t0; when the result is called, its owner sends the frames of a capture, spread by Toeplitz."""
        with self.start(*program_of("tap"), "t0", queues, file) as owner:
            assert owner.stdout is not None
            assert owner.stdout.readline() == "ready\n"
            yield lambda: _order(owner)

    def send(self, file: Path, *, rounds: int = 1, pps: int = SENT_PPS, ifname: str = "far") -> None:
        """All frames of a capture, by a packet socket; pps: 0 is as fast as it goes."""
        self.run(*program_of("send"), ifname, file, rounds, pps)

    def sending(
        self, file: Path, *, rounds: int = 0, pps: int = SENT_PPS, ifname: str = "far"
    ) -> AbstractContextManager[subprocess.Popen[str]]:
        """The same in the background, with no `rounds` until its stdin is closed; then it says how many it sent."""
        return self.start(*program_of("send"), ifname, file, rounds, pps)

    def __enter__(self) -> Space:
        return self

    def __exit__(self, *_: object) -> None:
        self._holder.kill()
        self._holder.wait()
        assert self._holder.stdout is not None
        self._holder.stdout.close()
