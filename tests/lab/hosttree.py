"""The host's own file tree in the guest, read-only, so that the host's Python runs there: 9p, its modules, a chroot."""

from __future__ import annotations

import lzma
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from .bench import Bench
from .guest import Guest
from .kernels import Kernel
from .packages import LabError

TREE = Path(__file__).resolve().parents[2]
# Programs that were compiled for the guest's plain processor, in a cache that the guest copies.
COMPILE_ENV = {"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": ""}
MODULES = ("virtio_pci", "9pnet_virtio", "9p")
MOUNT = (
    "mkdir -p /host && mount -t 9p -o trans=virtio,version=9p2000.L,ro,cache=loose,msize=512000 host /host"
    " && for f in proc sys dev; do mount -o bind /$f /host/$f; done"
    " && mount -t tmpfs run /host/run"
)


def _module_files(kernel: Kernel) -> dict[str, Path]:
    """Name, with underscores, of every module of the kernel's package."""
    root = kernel.vmlinux.parent / "lib" / "modules" / kernel.release
    return {path.name.partition(".ko")[0].replace("-", "_"): path for path in root.rglob("*.ko*")}


def _content(path: Path) -> bytes:
    return lzma.decompress(path.read_bytes()) if path.suffix == ".xz" else path.read_bytes()


def _depends(content: bytes) -> list[str]:
    """What a module's own .modinfo names; modules.dep is made at an installation, and nothing was installed."""
    found = re.search(rb"\0depends=([^\0]*)\0", content)
    return [name.replace("-", "_") for name in found[1].decode().split(",") if name] if found else []


def pack_modules(kernel: Kernel, folder: Path, names: Sequence[str] = MODULES) -> list[Path]:
    """Modules of the kernel's package (those that mount the tree), in the order in which they load, unpacked."""
    files, order = _module_files(kernel), []

    def add(name: str) -> None:
        # What is not there is built in.
        if name in order or name not in files:
            return
        content = _content(files[name])
        for other in _depends(content):
            add(other)
        order.append(name)
        (folder / f"{name}.ko").write_bytes(content)

    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        add(name)
    return [folder / f"{name}.ko" for name in order]


def prepare_cache(cache: Path, *arguments: object) -> Path:
    """Compile on the host, for any processor, what a run with these arguments needs; the folder that holds it."""
    return compile_by(cache, "-m", "zcframe", "run", "--json", *arguments)


def compile_by(cache: Path, *arguments: object) -> Path:
    """The same of what the interpreter compiles with these arguments."""
    folder = cache / "compiled"
    environment = os.environ | COMPILE_ENV | {"XDG_CACHE_HOME": str(folder)}
    command = [sys.executable, *map(str, arguments)]
    done = subprocess.run(command, env=environment, cwd=TREE, capture_output=True, text=True)
    if done.returncode:
        raise LabError(f"{' '.join(command)}: exit code {done.returncode}\n{done.stderr[-2000:]}")
    return folder


def mount(guest: Guest, modules: list[Path], compiled: Path) -> None:
    """Mount the tree in the guest, with a copy in its memory of what was compiled.

    numba finds code by the path and the time of its source: the copy keeps both, so it lies over the original.
    """
    for module in modules:
        guest.run(f"insmod /bin/{module.name}")
    guest.run(MOUNT)
    guest.run(f"chroot /host cp -a {compiled} /run/compiled && mount -o bind /host/run/compiled /host{compiled}", 120)


@contextmanager
def tree_guest(bench: Bench, compiled: Path, *drivers: str) -> Iterator[tuple[Guest, list[Path]]]:
    """A guest of its own with the tree mounted; and the modules of its kernel for these drivers, for `load_drivers`."""
    folder = bench.cache / "9p" / bench.kernel.series
    tree, more = pack_modules(bench.kernel, folder), pack_modules(bench.kernel, folder, drivers)
    with bench.other_guest(memory="2G", shared="/", files=[*tree, *more]) as guest:
        mount(guest, tree, compiled)
        yield guest, more


def load_drivers(guest: Guest, modules: Sequence[Path]) -> None:
    """In their order; one that is there already may refuse."""
    for module in modules:
        guest.attempt(f"insmod /bin/{module.name}")


def python(compiled: Path, *arguments: object) -> str:
    """The command line by which the guest runs the host's interpreter with these arguments."""
    environment = {"XDG_CACHE_HOME": compiled, "HOME": "/run", "TMPDIR": "/run", **COMPILE_ENV}
    words = [f"{name}={value}" for name, value in environment.items()]
    command = ["chroot", "/host", "/usr/bin/env", "-C", str(TREE), *words, sys.executable, *map(str, arguments)]
    return shlex.join(command)
