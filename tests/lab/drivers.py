"""Modules of a kernel's own package, unpacked for the guest, in the order in which they load."""

from __future__ import annotations

import lzma
import re
from collections.abc import Sequence
from pathlib import Path

from .kernels import Kernel


def _files(kernel: Kernel) -> dict[str, Path]:
    """Name, with underscores, of every module of the kernel's package."""
    root = kernel.vmlinux.parent
    # Below /usr/lib from 7.0 on.
    folders = (root / place / "modules" / kernel.release for place in ("lib", "usr/lib"))
    paths = (path for folder in folders for path in folder.rglob("*.ko*"))
    return {path.name.partition(".ko")[0].replace("-", "_"): path for path in paths}


def _content(path: Path) -> bytes:
    return lzma.decompress(path.read_bytes()) if path.suffix == ".xz" else path.read_bytes()


def _depends(content: bytes) -> list[str]:
    """What a module's own .modinfo names; modules.dep is made at an installation, and nothing was installed."""
    found = re.search(rb"\0depends=([^\0]*)\0", content)
    return [name.replace("-", "_") for name in found[1].decode().split(",") if name] if found else []


def find_drivers(kernel: Kernel, names: Sequence[str]) -> dict[str, bytes]:
    """These modules and those that they need, in the order in which they load; what is not there is built in."""
    files, found = _files(kernel), dict[str, bytes]()

    def add(name: str) -> None:
        if name in found or name not in files:
            return
        content = _content(files[name])
        for other in _depends(content):
            add(other)
        found[name] = content

    for name in names:
        add(name)
    return found


def pack_drivers(kernel: Kernel, folder: Path, names: Sequence[str]) -> list[Path]:
    """The same, written into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, content in find_drivers(kernel, names).items():
        paths.append(folder / f"{name}.ko")
        paths[-1].write_bytes(content)
    return paths
