"""A network namespace of a test's own, the programs in it, and the command that captures there."""

from __future__ import annotations

import ctypes
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

PATIENCE = 150.0
PROGRAM = [sys.executable, "-m", "zcframe"]
SENDER = Path(__file__).with_name("send.py")
PR_SET_PDEATHSIG = 1
# /sys shows the interfaces of the namespace that it was mounted in.
HOLD = "mount -t sysfs none /sys && ip link set lo up && echo ready && exec sleep infinity"

_libc = ctypes.CDLL(None)


def _die_with_tests() -> None:
    _libc.prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)


def until(condition: Callable[[], Any], what: str) -> Any:
    """Poll until `condition()` is true, and return it."""
    deadline = time.monotonic() + PATIENCE
    while not (found := condition()):
        assert time.monotonic() < deadline, f"not within {PATIENCE} s: {what}"
        time.sleep(0.01)
    return found


class Space:
    """An unnamed network namespace; it ends with its holder, and that with the tests."""

    def __init__(self) -> None:
        self._holder = subprocess.Popen(
            ["unshare", "--net", "--mount", "sh", "-c", HOLD], stdout=subprocess.PIPE, preexec_fn=_die_with_tests
        )
        assert self._holder.stdout is not None
        assert self._holder.stdout.readline() == b"ready\n"
        self.pid = self._holder.pid

    def enter(self, words: Sequence[object]) -> list[str]:
        """`words` as a command that runs in the namespace, under the pid of what was started."""
        return ["nsenter", f"--target={self.pid}", "--net", "--mount", "--", *(str(word) for word in words)]

    def run(self, *words: object) -> str:
        """Run a program to its end; returns what it printed."""
        done = subprocess.run(self.enter(words), capture_output=True, text=True, timeout=PATIENCE, check=False)
        assert done.returncode == 0, f"{words}: {done.stderr}"
        return done.stdout

    def ip(self, words: str) -> None:
        self.run("ip", *words.split())

    def veth(self, *options: str, mtu: int = 1500) -> None:
        """A pair: what is sent on `far` comes in on `near`."""
        self.ip(f"link add near {' '.join(options)} type veth peer name far {' '.join(options)}")
        for name in ("near", "far"):
            # Neither end says anything by itself.
            self.run("sh", "-c", f"echo 1 > /proc/sys/net/ipv6/conf/{name}/disable_ipv6")
            self.ip(f"link set {name} mtu {mtu} up")

    def send(self, iface: str, capture: Path, *, loops: int = 1, pace: float = 0.0) -> None:
        """Send every frame of a capture `loops` times; pace: seconds between two frames."""
        self.run(sys.executable, SENDER, iface, capture, loops, pace)

    def start(self, *words: object) -> subprocess.Popen[bytes]:
        """Start a program in the namespace."""
        return subprocess.Popen(self.enter(words), preexec_fn=_die_with_tests)

    def close(self) -> None:
        self._holder.kill()
        self._holder.wait()
        assert self._holder.stdout is not None
        self._holder.stdout.close()


@dataclass(frozen=True)
class Finished:
    """How a command ended."""

    code: int
    stdout: str
    stderr: str

    @property
    def document(self) -> dict[str, Any]:
        """The JSON document that is all of stdout."""
        (line,) = self.stdout.splitlines()
        found: dict[str, Any] = json.loads(line)
        return found

    @property
    def ledger(self) -> dict[str, Any]:
        ledger: dict[str, Any] = self.document["totals"]["ledger"]
        assert ledger["arrived"] == sum(ledger[name] for name in ("delivered", "nic_drop", "ring_full", "in_flight"))
        return ledger


def zcframe(*arguments: object, launcher: Sequence[object] = ()) -> Finished:
    """Run the command to its end. launcher: words in front of it."""
    words = [str(word) for word in (*launcher, *PROGRAM, *arguments)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=PATIENCE, stdin=subprocess.DEVNULL)
    assert "Traceback" not in done.stderr, done.stderr
    return Finished(done.returncode, done.stdout, done.stderr)


class Capture:
    """`zcframe run --json` in a namespace, from the moment on that it lets frames in."""

    def __init__(self, space: Space, folder: Path, *arguments: object) -> None:
        self._out, self._err = folder / "stdout", folder / "stderr"
        words = [*PROGRAM, "run", "--json", "--stats-interval", "0.05", *arguments]
        with self._out.open("w") as out, self._err.open("w") as err:
            self.process = subprocess.Popen(
                space.enter(words),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                start_new_session=True,
                preexec_fn=_die_with_tests,
            )
        until(lambda: self._alive() and list(self.ticks()), "the first look at the counters")

    def _alive(self) -> bool:
        assert self.process.poll() is None, f"ended early: {self.stderr}"
        return True

    def __enter__(self) -> Capture:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    @property
    def stderr(self) -> str:
        return self._err.read_text()

    def ticks(self) -> Iterator[dict[str, Any]]:
        for line in self.stderr.splitlines():
            if line.startswith("{") and line.endswith("}"):
                yield json.loads(line)

    def arrived(self) -> int:
        """Frames that had arrived at the last look."""
        return int(list(self.ticks())[-1]["totals"]["ledger"]["arrived"])

    def wait_for(self, frames: int) -> Capture:
        until(lambda: self._alive() and self.arrived() >= frames, f"{frames} frames")
        return self

    def wait_to_hear(self, text: str) -> Capture:
        """Until a warning says so: they are in each look's document."""
        until(lambda: self._alive() and text in self.stderr, f"{text!r}")
        return self

    def workers(self) -> list[psutil.Process]:
        found = []
        for child in psutil.Process(self.process.pid).children():
            try:
                if child.name().startswith("zc-rx-") and child.status() != psutil.STATUS_ZOMBIE:
                    found.append(child)
            except psutil.NoSuchProcess:
                continue
        return sorted(found, key=lambda child: child.name())

    def finish(self, signum: int | None = signal.SIGTERM) -> Finished:
        """Ask for the end, or with None wait for it."""
        if signum is not None:
            self.process.send_signal(signum)
        code = self.process.wait(PATIENCE)
        assert "Traceback" not in self.stderr, self.stderr
        return Finished(code, self._out.read_text(), self.stderr)
