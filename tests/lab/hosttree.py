"""The host's own file tree in the guest, read-only, so that the host's Python runs there, warm."""

from __future__ import annotations

import functools
import os
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

from .bench import MOUNTING, Bench
from .drivers import find_drivers
from .guest import Guest
from .interpreter import folders
from .packages import LabError, locked

TREE = Path(__file__).resolve().parents[2]
WARM = TREE / "tests" / "lab" / "warm.py"
TRACE = TREE / "framework" / "sources" / "trace" / "bundled.pcapng"
# What the scenarios' commands run, and what the workers of the kernel's own sources call.
PLUGINS = ("--plugin", "flows?top=100000", "sizes")
PULLS = "; ".join(f"from zcframe.framework.sources.{name}.pull import warm_up; warm_up()" for name in ("packet", "xdp"))
SINKS = "from zcframe.framework.outputs.kinds.frames import entry_points; [job.run() for job in entry_points()]"
RUN = ("-m", "zcframe", "run", "--json", "--read", str(TRACE))
FILTER = ("--filter", "udp or vlan")
# As many outputs as the scenario has that sends.
OUTPUTS = 3
# Programs that were compiled for the guest's plain processor, in a cache that the guest copies.
COMPILE_ENV = {"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": ""}
MOUNT = (
    "mkdir -p /host && mount -t 9p -o trans=virtio,version=9p2000.L,ro,cache=loose,msize=512000 host /host"
    " && for f in proc sys dev; do mount -o bind /$f /host/$f; done"
    " && mount -t tmpfs run /host/run && mkdir -p /disk && mount -t ext4 -o ro,noatime /dev/vda /disk"
)
# What zcframe is imported from.
SOURCES = ("src", "framework", "affinity", "plugins")
# Of the command that runs beside the shell: its process, the shell's job, and what it wrote.
PID, JOB, DOCUMENT, SAID = (f"/tmp/zcframe.{name}" for name in ("pid", "job", "document", "said"))
ALIVE = f"kill -0 $(cat {JOB})"


def _to_compile(folder: str) -> list[tuple[str, ...]]:
    """Words for the interpreter; what they write goes into this folder."""
    outputs = [word for number in range(OUTPUTS) for word in ("--out", f"pcap:{folder}/{number}.pcap")]
    return [
        (*RUN, *PLUGINS),
        (*RUN, *PLUGINS, *FILTER),
        (*RUN, "--plugin", "sizes", *outputs),
        ("-c", PULLS),
        ("-c", SINKS),
    ]


@functools.cache
def _compile(cache: Path) -> Path:
    """Compile on the host, for any processor, what the scenarios' commands need; the folder that holds it."""
    folder = cache / "compiled"
    environment = os.environ | COMPILE_ENV | {"XDG_CACHE_HOME": str(folder)}
    with locked(cache), tempfile.TemporaryDirectory(dir=cache) as written:
        for arguments in _to_compile(written):
            command = [sys.executable, *arguments]
            done = subprocess.run(command, env=environment, cwd=TREE, capture_output=True, text=True)
            if done.returncode:
                raise LabError(f"{' '.join(command)}: exit code {done.returncode}\n{done.stderr[-2000:]}")
    return folder


def _mount(guest: Guest, compiled: Path) -> None:
    """Mount the tree in the guest, the interpreter's files over its own, and copies in its memory of what zcframe is.

    numba finds code by the path and the time of its source: the copies keep both, and lie over the originals.
    """
    guest.run(MOUNT)
    for name, folder in folders().items():
        guest.run(f"mount -o bind /disk/{name} /host{folder}")
    for number, folder in enumerate((*map(TREE.joinpath, SOURCES), compiled)):
        copy = f"/run/copy{number}"
        guest.run(f"chroot /host cp -a {folder} {copy} && mount -o bind /host{copy} /host{folder}")


def load_drivers(bench: Bench, *names: str) -> None:
    """Modules of the kernel's package, and what they need; one that is there already may refuse."""
    for name in find_drivers(bench.kernel, names):
        bench.guest.attempt(f"insmod /bin/{name}.ko")


class Tree:
    """The tree in the common guest, and the command in it: `line` for the guest's shell, or `start` and `end`.

    The first to ask has it mounted, and an interpreter started that has zcframe imported: a command is a child of it.
    """

    def __init__(self, bench: Bench) -> None:
        self._bench, self._compiled = bench, _compile(bench.cache)
        if bench.guest.attempt("[ -d /host ]")[0]:
            load_drivers(bench, *MOUNTING)
            _mount(bench.guest, self._compiled)
            bench.background(self.python(WARM, "/run/warm"), "warm")

    def python(self, *arguments: object) -> str:
        """The command line by which the guest runs the host's interpreter with these arguments."""
        environment = {"XDG_CACHE_HOME": self._compiled, "HOME": "/run", "TMPDIR": "/run", **COMPILE_ENV}
        words = [f"{name}={value}" for name, value in environment.items()]
        command = ["chroot", "/host", "/usr/bin/env", "-C", str(TREE), *words, sys.executable, *map(str, arguments)]
        return shlex.join(command)

    def line(self, *words: object, pid: str = "/dev/null") -> str:
        """`zcframe WORD...`, or `-c SCRIPT`, for the guest's shell."""
        return shlex.join(["warm", pid, *map(str, words)])

    def start(self, *words: object, cold: bool = False) -> None:
        """The command beside the shell; cold: as a user starts it, with all its imports."""
        line = self.python("-m", "zcframe", *words) if cold else self.line(*words, pid=PID)
        self._bench.guest.run(f"rm -f {PID}; {line} > {DOCUMENT} 2> {SAID} & echo $! > {JOB}")
        if cold:
            self._bench.guest.run(f"cp {JOB} {PID}")
        self._bench.until(f"[ -s {PID} ] || ! {ALIVE}")

    def until_said(self, text: str) -> None:
        """Until the command says this, or has ended."""
        self._bench.until(f"grep -qF {shlex.quote(text)} {SAID} || ! {ALIVE}")

    def said(self) -> str:
        return self._bench.guest.run(f"cat {SAID}")

    def end(self, signal: str = "") -> tuple[int, str, str]:
        """Wait for its end, after this signal: (exit code, document, what it said)."""
        kill = f"kill -{signal} $(cat {PID}); " if signal else ""
        code, _ = self._bench.guest.attempt(f"{kill}wait $(cat {JOB})")
        return code, self._bench.guest.run(f"cat {DOCUMENT}"), self.said()
