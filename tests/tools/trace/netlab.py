"""Two network namespaces and the programs in them, none of which outlives this process.

The namespaces have no name: each exists as long as the process that holds it. Every child gets PDEATHSIG, so that even
kill -9 of the recorder leaves no process, interface or namespace behind.
"""

from __future__ import annotations

import shutil
import signal
import subprocess
import threading
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

RUN_TIMEOUT_S = 60.0
OFFLOADS = ("tso", "gso", "gro", "tx", "rx", "sg")


class LabError(Exception):
    """Something the recording needs is missing or failed; the message is one line for the user."""


def check_programs(packages: dict[str, str]) -> None:
    """Raise LabError with the apt command for every program of `packages` (program -> Debian package) not installed."""
    missing = sorted({package for program, package in packages.items() if shutil.which(program) is None})
    if missing:
        raise LabError(f"missing programs: run apt-get install {' '.join(missing)}")


def _bound_to_us(command: Sequence[str]) -> list[str]:
    return ["setpriv", "--pdeathsig", "KILL", "--", *command]


class Lab:
    """All child processes of a recording; leaving the context kills those that still run."""

    def __init__(self) -> None:
        self._children: set[subprocess.Popen[str]] = set()
        self._lock = threading.Lock()
        self._closed = False

    def start(self, command: Sequence[str], *, stdin: Path | None = None) -> subprocess.Popen[str]:
        """Start a program whose stdout and stderr come in one pipe. Raises LabError once the lab is closed."""
        source = subprocess.DEVNULL if stdin is None else stdin.open()
        try:
            with self._lock:
                if self._closed:
                    raise LabError("the recording was stopped")
                child = subprocess.Popen(
                    _bound_to_us(command),
                    stdin=source,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    text=True,
                    errors="replace",
                )
                self._children.add(child)
        finally:
            if not isinstance(source, int):
                source.close()
        return child

    def run(self, command: Sequence[str], *, accept: Sequence[int] = (0,), stdin: Path | None = None) -> str:
        """Run a program to its end and return what it printed. Raises LabError for an exit code not in `accept`."""
        child = self.start(command, stdin=stdin)
        try:
            output, _ = child.communicate(timeout=RUN_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            raise LabError(f"{' '.join(command)}: no end after {RUN_TIMEOUT_S:.0f} s") from None
        finally:
            self.end(child, signal.SIGKILL)
        if child.returncode not in accept:
            raise LabError(f"{' '.join(command)}: exit {child.returncode}: {output.strip()}")
        return output

    def wait_for(self, child: subprocess.Popen[str], text: str) -> None:
        """Read the child's output until a line contains `text`. Raises LabError with the output if it ends before."""
        assert child.stdout is not None
        seen: list[str] = []
        for line in child.stdout:
            if text in line:
                return
            seen.append(line.strip())
        raise LabError(f"{child.args!r} ended before it said {text!r}: {' / '.join(seen)}")

    def end(self, child: subprocess.Popen[str], signum: int = signal.SIGTERM) -> str:
        """Signal a child that still runs, reap it, and return the rest of its output."""
        if child.poll() is None:
            child.send_signal(signum)
        rest = ""
        if child.stdout is not None and not child.stdout.closed:
            rest = child.stdout.read()
            child.stdout.close()
        child.wait()
        with self._lock:
            self._children.discard(child)
        return rest

    def close(self) -> None:
        with self._lock:
            self._closed = True
            left = list(self._children)
            self._children.clear()
        for child in left:
            child.kill()
        for child in left:
            child.wait()
            if child.stdout is not None:
                child.stdout.close()

    def __enter__(self) -> Lab:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class Namespace:
    """An unnamed network namespace, held by a sleeping child of the lab."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        holder = lab.start(["unshare", "--net", "sh", "-c", "echo ready; exec sleep infinity"])
        lab.wait_for(holder, "ready")
        self.pid = holder.pid
        self.run("ip", "link", "set", "lo", "up")
        # Replies may take another way than requests: no reverse-path check.
        self.sysctl("ipv4/conf/all/rp_filter", 0)
        self.sysctl("ipv4/conf/default/rp_filter", 0)

    def _enter(self, command: Sequence[str]) -> list[str]:
        return ["nsenter", f"--net=/proc/{self.pid}/ns/net", "--", *command]

    def start(self, *command: str) -> subprocess.Popen[str]:
        return self.lab.start(self._enter(command))

    def run(self, *command: str, accept: Sequence[int] = (0,), stdin: Path | None = None) -> str:
        return self.lab.run(self._enter(command), accept=accept, stdin=stdin)

    def sysctl(self, name: str, value: int) -> None:
        self.run("sh", "-c", f"echo {value} > /proc/sys/net/{name}")

    def address(self, device: str, *addresses: str) -> None:
        """Bring `device` up and give it addresses with prefix lengths; IPv6 ones without duplicate detection."""
        self.run("ip", "link", "set", device, "up")
        for address in addresses:
            nodad = ["nodad"] if ":" in address else []
            self.run("ip", "address", "add", address, "dev", device, *nodad)


def join(left: Namespace, right: Namespace, device: str, macs: tuple[str, str]) -> None:
    """Lay a veth between two namespaces, named `device` at both ends, without offloads.

    A capture of it then holds what a cable would carry: frames of at most 1514 bytes with all checksums filled in.
    """
    peer = ["peer", "name", device, "address", macs[1], "netns", str(right.pid)]
    left.run("ip", "link", "add", device, "address", macs[0], "type", "veth", *peer)
    off = [word for feature in OFFLOADS for word in (feature, "off")]
    for end in (left, right):
        end.run("ethtool", "-K", device, *off)
